"""The input pipelines of tf-models-official, as its own code builds them."""

from collections.abc import Callable

import tensorflow as tf

# Its configs default to another AutoAugment, made for classification, and to
# translations of at most 10 px; these are the authors' values and its classes' own.
_RANDAUGMENT = {
    "num_layers": 2,
    "magnitude": 10.0,
    "cutout_const": 40.0,
    "translate_const": 100.0,
}
_AUTOAUGMENT = {
    "augmentation_name": "detection_v0",
    "cutout_const": 100.0,
    "translate_const": 250.0,
}
_ANCHORS = {
    "min_level": 3,
    "max_level": 7,
    "num_scales": 3,
    "aspect_ratios": [1.0, 2.0, 0.5],
    "anchor_size": 4.0,
}
_DETECTION_DTYPE = "bfloat16"  # The defaults of its data configs.
_SEGMENTATION_DTYPE = "float32"


def detection(
    policy: str, scale: tuple[float, float], size_px: tuple[int, int]
) -> Callable:
    """Returns its decoder and RetinaNet parser in turn: record to image and targets.

    Args:
      policy: randaugment or autoaugment.
      scale: Smallest and largest jitter.
      size_px: Height and width of the network's input.
    """
    from official.vision.configs import common
    from official.vision.dataloaders import retinanet_input, tf_example_decoder

    if policy == "randaugment":
        settings = common.RandAugment(**_RANDAUGMENT)
        augmentation = common.Augmentation(type="randaug", randaug=settings)
    else:
        settings = common.AutoAugment(**_AUTOAUGMENT)
        augmentation = common.Augmentation(type="autoaug", autoaug=settings)
    decoder = tf_example_decoder.TfExampleDecoder()
    parser = retinanet_input.Parser(
        output_size=list(size_px),
        aug_type=augmentation,
        aug_rand_hflip=True,
        aug_scale_min=scale[0],
        aug_scale_max=scale[1],
        dtype=_DETECTION_DTYPE,
        **_ANCHORS,
    )
    return _decode_and_parse(decoder, parser)


def segmentation(
    policy: str, scale: tuple[float, float], size_px: tuple[int, int]
) -> Callable:
    """Returns its decoder and segmentation parser in turn: record to image and map.

    Args:
      policy: randaugment or none. It has no policy for label maps; here, its
        RandAugment changes only the image, right after the parser decodes it.
      scale: Smallest and largest jitter.
      size_px: Height and width of the network's input.
    """
    from official.vision.dataloaders import segmentation_input
    from official.vision.ops import augment, preprocess_ops

    augmenter = augment.RandAugment(**_RANDAUGMENT)

    class ParserWithRandAugment(segmentation_input.Parser):
        def _prepare_image_and_label(self, data):
            shape = [data["image/height"], data["image/width"]]
            encoded = data["image/segmentation/class/encoded"]
            label = tf.reshape(tf.io.decode_image(encoded, channels=1), [1, *shape])
            image = tf.io.decode_image(data["image/encoded"], channels=3)
            image = augmenter.distort(tf.reshape(image, [*shape, 3]))
            return preprocess_ops.normalize_image(image), tf.cast(label, tf.float32)

    kinds = {"none": segmentation_input.Parser, "randaugment": ParserWithRandAugment}
    parser = kinds[policy](
        output_size=list(size_px),
        aug_rand_hflip=True,
        aug_scale_min=scale[0],
        aug_scale_max=scale[1],
        dtype=_SEGMENTATION_DTYPE,
    )
    return _decode_and_parse(segmentation_input.Decoder(), parser)


def decode_record(serialized: tf.Tensor) -> dict:
    """Returns a record with its picture, decoded."""
    from official.vision.dataloaders import tf_example_decoder

    return tf_example_decoder.TfExampleDecoder().decode(serialized)


def operations(argument_of: dict[str, float]) -> dict[str, Callable]:
    """Returns its operations of the same strength as ours.

    Args:
      argument_of: The number each operation works with, as ours do.

    Returns:
      Functions of an image [H, W, 3] uint8 and boxes [N, 4] in shares of it, by name.
    """
    from official.vision.ops import augment

    of = argument_of
    grey = [128] * 3

    def shear(name):
        return lambda image, boxes: augment.shear_with_bboxes(
            image, boxes, of[name], grey, shear_horizontal=name.endswith("X")
        )

    def translate(name):
        return lambda image, boxes: augment.translate_bbox(
            image, boxes, of[name], grey, shift_horizontal=name.endswith("X")
        )

    return {
        "AutoContrast": lambda image, _: augment.autocontrast(image),
        "Equalize": lambda image, _: augment.equalize(image),
        "Invert": lambda image, _: augment.invert(image),
        "Posterize": lambda image, _: augment.posterize(image, int(of["Posterize"])),
        "Solarize": lambda image, _: augment.solarize(image, int(of["Solarize"])),
        "SolarizeAdd": lambda image, _: augment.solarize_add(
            image, int(of["SolarizeAdd"])
        ),
        "Color": lambda image, _: augment.color(image, of["Color"]),
        "Contrast": lambda image, _: augment.contrast(image, of["Contrast"]),
        "Brightness": lambda image, _: augment.brightness(image, of["Brightness"]),
        "Sharpness": lambda image, _: augment.sharpness(image, of["Sharpness"]),
        "Cutout": lambda image, _: augment.cutout(
            image, int(of["Cutout"]), replace=grey[0]
        ),
        "Rotate": lambda image, boxes: augment.rotate_with_bboxes(
            image, boxes, of["Rotate"], grey
        ),
        "ShearX": shear("ShearX"),
        "ShearY": shear("ShearY"),
        "TranslateX": translate("TranslateX"),
        "TranslateY": translate("TranslateY"),
    }


def whole_policy(policy: str) -> Callable:
    """Returns all that its RetinaNet parser does to a picture and its boxes.

    Args:
      policy: randaugment or autoaugment.

    Returns:
      A function with the arguments of `jitter`.
    """
    from official.vision.ops import augment

    if policy == "randaugment":
        augmenter = augment.RandAugment.build_for_detection(**_RANDAUGMENT)
    else:
        augmenter = augment.AutoAugment(**_AUTOAUGMENT)

    def call(image, boxes, scale, size_px):
        image, boxes = augmenter.distort_with_boxes(image, boxes)
        return jitter(image, boxes, scale, size_px)

    return call


def normalize(image: tf.Tensor) -> tf.Tensor:
    """Returns zero-mean, unit-variance floats for uint8 pixels."""
    from official.vision.ops import preprocess_ops

    return preprocess_ops.normalize_image(image)


def jitter(
    image: tf.Tensor,
    boxes: tf.Tensor,
    scale: tuple[float, float],
    size_px: tuple[int, int],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Normalises, flips, resizes and crops, as its RetinaNet parser does.

    Args:
      image: [H, W, 3] uint8.
      boxes: [N, 4] float32 in shares of the image.
      scale: Smallest and largest jitter.
      size_px: Height and width of the network's input.
    """
    from official.vision.ops import box_ops, preprocess_ops

    shape = tf.shape(image)[:2]
    image = preprocess_ops.normalize_image(image)
    image, boxes, _ = preprocess_ops.random_horizontal_flip(image, boxes)
    boxes = box_ops.denormalize_boxes(boxes, shape)
    image, info = preprocess_ops.resize_and_crop_image(
        image,
        list(size_px),
        padded_size=list(size_px),
        aug_scale_min=scale[0],
        aug_scale_max=scale[1],
    )
    boxes = preprocess_ops.resize_and_crop_boxes(boxes, info[2], info[1], info[3])
    return image, tf.gather(boxes, box_ops.get_non_empty_box_indices(boxes))


def anchor_targets(
    boxes_yxyx: tf.Tensor, class_ids: tf.Tensor, size_px: tuple[int, int]
) -> tuple:
    """Matches and codes boxes, in pixels of the network's input."""
    from official.vision.ops import anchor

    anchors = anchor.build_anchor_generator(**_ANCHORS)(image_size=size_px)
    return anchor.AnchorLabeler().label_anchors(
        anchors, boxes_yxyx, tf.cast(class_ids[:, None], tf.int64), {}
    )


def _decode_and_parse(decoder, parser) -> Callable:
    parse = parser.parse_fn(is_training=True)
    return lambda serialized: parse(decoder.decode(serialized))
