r"""Turns published weights into a file that runs of st_keras can start from.

    python tools/import_checkpoint.py --checkpoint spinenet190-ssl/model.ckpt \
        --model retinanet_spinenet_190 --output weights/spinenet190_ssl.keras
    python tools/import_checkpoint.py --checkpoint efficientnet-b7/model.ckpt \
        --model nas_fpn_segmenter_efficientnet_b7 --parts backbone \
        --output weights/noisy_student_b7

Reads the authors' TF1 checkpoints, EfficientNet's and SimCLR's, TF2 checkpoints of
tf-models-official, files of tf.keras.applications, and our own. The output is a whole
model (.keras), its weights (.weights.h5), or the prefix of a TF2 checkpoint, which can
be `init.checkpoint` of a config. OUTPUT.report.json lists every weight.
"""

from absl import flags

from st_keras import command_line, environment

_FORMATS = ["auto", "tf1", "tf_models", "keras_applications", "own"]

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "File, prefix or folder to read.")
_MODEL = flags.DEFINE_string("model", None, "Preset such as retinanet_spinenet_143.")
_OUTPUT = flags.DEFINE_string("output", None, ".keras, .weights.h5 or a prefix.")
_PARTS = flags.DEFINE_list(
    "parts", [], "Of backbone, neck, head: which to load; empty: all, or it fails."
)
_FORMAT = flags.DEFINE_enum("format", "auto", _FORMATS, "Of the file; auto: find out.")
_IMAGE_SIZE = flags.DEFINE_list(
    "image_size", [], "Height,width of the network's input; empty: the preset's."
)
_NUM_CLASSES = flags.DEFINE_integer(
    "num_classes", None, "Of the model; empty: the preset's.", lower_bound=1
)
_EPSILON = flags.DEFINE_float(
    "batch_norm_epsilon",
    None,
    "Of the model; empty: the preset's. An EfficientNet keeps its own.",
)
flags.mark_flags_as_required(["checkpoint", "model", "output"])


def main(argv):
    del argv
    image_size_px = command_line.image_size_px("image_size", _IMAGE_SIZE.value)
    environment.quiet()
    # Here and not above, so that `--help` need not wait for TensorFlow.
    from st_keras.models.weights import importing

    report = importing.import_file(
        _CHECKPOINT.value,
        _MODEL.value,
        _OUTPUT.value,
        parts=_PARTS.value or None,
        format=_FORMAT.value,
        image_size_px=image_size_px,
        num_classes=_NUM_CLASSES.value,
        batch_norm_epsilon=_EPSILON.value,
    )
    print(report.summary())
    print(f"Written: {_OUTPUT.value}, {_OUTPUT.value}.report.json")


if __name__ == "__main__":
    command_line.run(main)
