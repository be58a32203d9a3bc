r"""Measures a trained model on records with human labels.

    python tools/evaluate.py --checkpoint runs/demo/student_1 \
        --records 'data/digits/test/*.tfrecord' --output student.json

`--check` fails where the number is not the one the config has under `expect`.
"""

from absl import flags, logging

from st_keras import command_line, environment

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Workdir or checkpoint prefix.")
_RECORDS = flags.DEFINE_string("records", None, "Glob of TFRecords; quote it.")
_IDS = flags.DEFINE_string("ids", "", "File of ids of the pictures; empty: all.")
_OUTPUT = flags.DEFINE_string("output", "", "JSON file for the numbers; empty: none.")
_PURPOSE = flags.DEFINE_enum(
    "purpose",
    "evaluation",
    ["evaluation", "labeling"],
    "Whose views of a picture: for labelling, there may be more.",
)
_CHECK = flags.DEFINE_bool("check", False, "Compare with the config's `expect`.")
_DEVICES = command_line.define_device_flags(hosts=True)
flags.mark_flags_as_required(["checkpoint", "records"])


def main(argv):
    del argv
    environment.quiet()
    # Here and not above, so that `--help` need not wait for TensorFlow.
    from st_keras.experiments import expected, tables
    from st_keras.runtime import hosts, restored, run_log
    from st_keras.training import evaluate

    run = restored.restore_run(
        _CHECKPOINT.value, purpose=_PURPOSE.value, deterministic=True, **_DEVICES()
    )
    expectation = expected.read_expectation(run.config) if _CHECK.value else None
    result = evaluate.evaluate_run(run, _RECORDS.value, _IDS.value)
    seen = evaluate.seen_before(run, _RECORDS.value, _IDS.value)
    if seen:
        result["protocol"]["seen_before"] = seen
        logging.warning("Not a number of unseen pictures: %s", seen)
    print(tables.format_evaluation(result))
    if _OUTPUT.value and hosts.join(_DEVICES()["strategy"]).is_chief:
        run_log.write_json(_OUTPUT.value, result)
    if expectation:
        print(expected.check_metrics(result["metrics"], expectation))


if __name__ == "__main__":
    command_line.run(main)
