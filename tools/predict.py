r"""Draws what a trained model sees in your own pictures, and writes it as JSON.

    python tools/predict.py --checkpoint runs/demo/student_1 \
        --images 'photos/**/*.jpg' --output predictions --min_score 0.4
"""

from absl import flags

from st_keras import command_line, environment

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Workdir or checkpoint prefix.")
_IMAGES = flags.DEFINE_string("images", None, "Glob of picture files; quote it.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the drawings and the JSON.")
_MIN_SCORE = flags.DEFINE_float(
    "min_score", 0.3, "Weaker boxes are left out; pixels have their best class."
)
_DEVICES = command_line.define_device_flags()
flags.mark_flags_as_required(["checkpoint", "images", "output"])


def main(argv):
    del argv
    environment.quiet()
    # Here and not above, so that `--help` need not wait for TensorFlow.
    from st_keras.experiments import predictions

    found = predictions.predict_files(
        _CHECKPOINT.value,
        _IMAGES.value,
        _OUTPUT.value,
        min_score=_MIN_SCORE.value,
        **_DEVICES(),
    )
    print(predictions.format_summary(found, _OUTPUT.value))


if __name__ == "__main__":
    command_line.run(main)
