r"""Draws a sheet of pictures: records, training batches or predictions.

    python tools/show.py records --records 'data/digits/train/*.tfrecord' \
        --output sheet.png
    python tools/show.py batches --config configs/demo/digits_teacher.yaml \
        --output sheet.png
    python tools/show.py predictions --checkpoint runs/demo/student_1 \
        --records 'data/digits/test/*.tfrecord' --output sheet.png
"""

from absl import app, flags

from st_keras import command_line, config, environment

_OUTPUT = flags.DEFINE_string("output", None, "Picture file to write.")
_COUNT = flags.DEFINE_integer("count", 24, "Pictures at most; of batches, per part.")
_RECORDS = flags.DEFINE_string("records", None, "Glob of TFRecords; quote it.")
_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Workdir or checkpoint prefix.")
_MIN_SCORE = flags.DEFINE_float("min_score", 0.3, "Weaker boxes: dashed or left out.")
_CONFIG = flags.DEFINE_string("config", None, "Batches: YAML file with the settings.")
_SET = flags.DEFINE_multi_string("set", [], "Overrides, as `pseudo.min_score=0.6`.")
flags.mark_flag_as_required("output")


def main(argv):
    environment.quiet()
    what, how = argv[1], {"count": _COUNT.value}
    if what == "batches":
        settings = config.load(_given(_CONFIG), _SET.value)
    # Here and not above: a mistake in the config need not wait for TensorFlow.
    from st_keras.experiments import showing

    if what == "batches":
        print(showing.show_batches(settings, _OUTPUT.value, **how))
        return
    show, given = showing.show_records, [_given(_RECORDS)]
    if what == "predictions":
        show, given = showing.show_predictions, [_given(_CHECKPOINT), *given]
    print(show(*given, _OUTPUT.value, min_score=_MIN_SCORE.value, **how))


def _given(flag):
    if flag.value is None:
        raise app.UsageError(f"flag --{flag.name} must be given here.")
    return flag.value


if __name__ == "__main__":
    command_line.run(main, commands=["records", "batches", "predictions"])
