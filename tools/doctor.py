r"""Examines a config before it costs anything: data, settings, speed, time, disk.

    python tools/doctor.py --config configs/demo/digits_student.yaml

Prints what was checked, a numbered list of problems with their cures, warnings, and
what the run will cost, judging by some real steps. Exit code 1 if there is a problem.

    python tools/doctor.py --tpu v3-64 \
        --config configs/detection/retinanet_spinenet_49.yaml

compiles the training step with a TPU's own compiler instead, on any Linux machine and
without data, and prints memory, operations and the time at best. `--tpu v3` finds out
what fits.
"""

import sys

from absl import flags

from st_keras import command_line, config, environment

_CONFIG = flags.DEFINE_string("config", None, "YAML file with the settings.")
_SET = flags.DEFINE_multi_string("set", [], "Overrides, as `pseudo.min_score=0.6`.")
# `--tpu` also takes a kind, v3, v4 or v5e, or a slice: then it compiles for it.
_DEVICES = command_line.define_device_overrides(hosts=False)
_STEPS = flags.DEFINE_integer("steps", 20, "Real training steps; 0: none.", 0)
_WORKDIR = flags.DEFINE_string("workdir", ".", "Where the run is going to write.")
_JSON = flags.DEFINE_string(
    "json", None, "File for the same as numbers; compiled steps are added to it."
)
_TPU_STEP = flags.DEFINE_enum(
    "tpu_step", "train", ["train", "evaluation", "labeling"], "What is compiled."
)
_TPU_MINUTES = flags.DEFINE_float("tpu_minutes", 60, "For each compilation.", 0.0)
flags.mark_flag_as_required("config")


def main(argv):
    del argv
    environment.quiet()
    from st_keras.experiments.tpu import chips  # Without TensorFlow.

    tpu = flags.FLAGS["tpu"].value or ""
    if chips.is_kind(tpu):
        sys.exit(int(not _compile(tpu)))
    settings = config.load(_CONFIG.value, [*_SET.value, *_DEVICES()])
    # Here and not above: a mistake in the config need not wait for TensorFlow.
    from st_keras.experiments.doctor import case, checkup, page
    from st_keras.experiments.tpu import results
    from st_keras.runtime import run_log

    if _JSON.value:
        results.check_none(_JSON.value)
    seen, found = checkup.examine(settings, workdir=_WORKDIR.value, steps=_STEPS.value)
    print(page.format_page(seen, found, _CONFIG.value))
    if _JSON.value:
        run_log.write_json(_JSON.value, page.to_json(seen, found))
    sys.exit(int(any(finding.kind == case.PROBLEM for finding in found)))


def _compile(tpu: str) -> bool:
    settings = config.load(_CONFIG.value, _SET.value)
    from st_keras.experiments.tpu import command

    return command.run(
        settings,
        " ".join([_CONFIG.value, *_SET.value]),
        tpu,
        step=_TPU_STEP.value,
        minutes=_TPU_MINUTES.value,
        path=_JSON.value,
    )


if __name__ == "__main__":
    command_line.run(main)
