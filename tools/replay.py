r"""Finds out why a step was not finite: which layer or loss, and which images.

    python tools/replay.py --debug runs/mine/debug/step_41200

A run leaves such a folder when a loss or a gradient is no longer finite. The step is
repeated on the CPU, layer by layer, forward and back.
"""

from absl import flags

from st_keras import command_line, environment

_DEBUG = flags.DEFINE_string("debug", None, "Folder debug/step_N of a run.")
flags.mark_flag_as_required("debug")


def main(argv):
    del argv
    environment.quiet()
    # Here and not above: a mistyped flag need not wait for TensorFlow.
    from st_keras.training.nonfinite import black_box, diagnosis, replay

    replay.use_cpus(black_box.read_facts(_DEBUG.value)["replicas"])
    seen = replay.replay(_DEBUG.value)
    print(diagnosis.page(seen, diagnosis.diagnose(seen), _DEBUG.value))


if __name__ == "__main__":
    command_line.run(main)
