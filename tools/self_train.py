r"""Trains a teacher, labels, trains a student and a control, and compares them.

    python tools/self_train.py --config configs/demo/digits_student.yaml \
        --workdir runs/demo

The same command goes on where a killed run stopped. report.html tells what was found.
"""

import os

from absl import flags

from st_keras import command_line, config, environment

_CONFIG = flags.DEFINE_string("config", None, "YAML file with the student's settings.")
_SET = flags.DEFINE_multi_string("set", [], "Overrides, as `pseudo.min_score=0.6`.")
_DEVICES = command_line.define_device_overrides()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the experiment.")
_ITERATIONS = flags.DEFINE_integer(
    "iterations", 1, "Students, each taught by the one before.", 1
)
flags.mark_flags_as_required(["config", "workdir"])


def main(argv):
    del argv
    environment.quiet()
    settings = config.load(_CONFIG.value, [*_SET.value, *_DEVICES()])
    # Here and not above: a mistake in the config need not wait for TensorFlow.
    from st_keras.experiments import report, self_train, tables
    from st_keras.runtime import hosts

    found = self_train.self_train(
        settings, _WORKDIR.value, iterations=_ITERATIONS.value
    )
    if hosts.join(settings.runtime.strategy).is_chief:
        page = report.write_html(_WORKDIR.value)
        print(tables.format_table(found))
        print(f"\nReport: {os.path.abspath(page)}")


if __name__ == "__main__":
    command_line.run(main)
