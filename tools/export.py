r"""Writes a trained model as a SavedModel or for TFLite, to be served without st_keras.

    python tools/export.py --checkpoint runs/demo/student_1 --output served/digits/1

The SavedModel takes pictures of any size, as pixels, as JPEG or PNG files (upright: no
EXIF is read), or as records, and gives boxes in pixels of the original, or maps at the
network's size and where the picture lies in them. With `--format tflite`, pictures of
the network's size go in and non-maximum suppression is left to the device. serving.json
in the folder describes inputs, outputs and labels.
"""

from absl import flags

from st_keras import command_line, environment

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Workdir or checkpoint prefix.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to make.")
_FORMAT = flags.DEFINE_enum(
    "format", "saved_model", ["saved_model", "tflite"], "What to write."
)
_IMAGE_SIZE = flags.DEFINE_list(
    "image_size", [], "Height,width of the network's input; empty: as trained."
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", None, "Fixes it; without: any, for TFLite 1.", lower_bound=1
)
_FLOAT16 = flags.DEFINE_bool("float16", False, "TFLite: store weights in 16 bits.")
flags.mark_flags_as_required(["checkpoint", "output"])


def main(argv):
    del argv
    image_size_px = command_line.image_size_px("image_size", _IMAGE_SIZE.value)
    environment.quiet()
    # Here and not above, so that `--help` need not wait for TensorFlow.
    from st_keras.runtime import export, restored

    run = restored.restore_run(_CHECKPOINT.value, image_size_px=image_size_px)
    print(f"Export {run.model.name} of {run.file.prefix} as {_FORMAT.value}")
    content = export.export_run(
        run,
        _OUTPUT.value,
        file_format=_FORMAT.value,
        batch_size=_BATCH_SIZE.value,
        float16=_FLOAT16.value,
    )
    print(export.format_summary(content, _OUTPUT.value))


if __name__ == "__main__":
    command_line.run(main)
