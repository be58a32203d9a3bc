r"""Trains one model: a teacher, or with a `pseudo` part a student.

    python tools/train.py --config configs/demo/digits_teacher.yaml \
        --workdir runs/teacher --set training.steps=3000

The same command goes on where a killed run stopped.
"""

from absl import flags

from st_keras import command_line, config, environment

_CONFIG = flags.DEFINE_string("config", None, "YAML file with the settings.")
_SET = flags.DEFINE_multi_string("set", [], "Overrides, as `pseudo.min_score=0.6`.")
_DEVICES = command_line.define_device_overrides()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")
flags.mark_flags_as_required(["config", "workdir"])


def main(argv):
    del argv
    environment.quiet()
    settings = config.load(_CONFIG.value, [*_SET.value, *_DEVICES()])
    # Here and not above: a mistake in the config need not wait for TensorFlow.
    from st_keras.experiments import tables
    from st_keras.training import loop

    summary = loop.train(settings, _WORKDIR.value)
    print(tables.format_summary(summary, _WORKDIR.value))


if __name__ == "__main__":
    command_line.run(main)
