"""The size of every preset next to what was published."""

import dataclasses
import math
import multiprocessing

import tensorflow as tf
from tqdm import tqdm

from st_keras import models, writing
from st_keras.experiments import multiply_adds

_ZOO = "authors' model zoo"
_PAPER = "paper's README"
_EFFICIENTNET = "arXiv:1905.11946"
_NOISY_STUDENT = "arXiv:1911.04252"


@dataclasses.dataclass(frozen=True)
class Published:
    """Published numbers, in millions and billions, and why ours may differ."""

    source: str
    parameters_m: str
    multiply_adds_b: str = ""  # Empty: not stated, or for another image size.
    explanation: str = ""


_DEAD_HEAD = (
    "the published number counts the ImageNet classifier of the backbone, which is "
    "built and not used, and no enlarging, 0.70 B here: so counted, {total}"
)
_UNKNOWN = (
    "parameters agree; why fewer multiply-adds were published at this size is not known"
)
_STATISTICS = "the published number counts BatchNorm statistics: with them, {total}"

PUBLISHED = {
    "retinanet_resnet50_fpn": Published(_ZOO, "34.0", "97.0"),
    "retinanet_resnet101_fpn": Published(_ZOO, "53.1", "326.3"),
    "retinanet_resnet152_fpn": Published(_ZOO, "68.7", "630.5"),
    "retinanet_resnet50_nas_fpn": Published(_ZOO, "60.3", "140.6"),
    "retinanet_spinenet_mobile_49": Published(_ZOO, "2.34", "1.0"),
    "retinanet_spinenet_49s": Published(
        _ZOO,
        "11.9",
        "33.8",
        "the zoo's number fits no setting of the authors' code; with weights by name, "
        "this model gives the outputs of their graph",
    ),
    "retinanet_spinenet_49": Published(_ZOO, "28.5", "85.4"),
    "retinanet_spinenet_96": Published(_ZOO, "43.0", "265.4"),
    "retinanet_spinenet_143": Published(_ZOO, "67.0", "524.0"),
    "retinanet_spinenet_190": Published(_ZOO, "163.6", "1885"),
    "nas_fpn_segmenter_efficientnet_b7": Published(
        _PAPER, "71", "60", _DEAD_HEAD.format(total="71.7 M and 60.1 B")
    ),
    "nas_fpn_segmenter_efficientnet_l2": Published(
        _PAPER, "485", "229", _DEAD_HEAD.format(total="486.0 M and 229.0 B")
    ),
    "classifier_efficientnet_b0": Published(_EFFICIENTNET, "5.3", "0.39"),
    "classifier_efficientnet_b1": Published(_EFFICIENTNET, "7.8", "0.70"),
    "classifier_efficientnet_b2": Published(
        _EFFICIENTNET, "9.2", "1.0", _STATISTICS.format(total="9.18 M")
    ),
    "classifier_efficientnet_b3": Published(_EFFICIENTNET, "12", "1.8", _UNKNOWN),
    "classifier_efficientnet_b4": Published(_EFFICIENTNET, "19", "4.2", _UNKNOWN),
    "classifier_efficientnet_b5": Published(_EFFICIENTNET, "30", "9.9", _UNKNOWN),
    "classifier_efficientnet_b6": Published(_EFFICIENTNET, "43", "19"),
    "classifier_efficientnet_b7": Published(_EFFICIENTNET, "66", "37", _UNKNOWN),
    "classifier_efficientnet_l2": Published(_NOISY_STUDENT, "480"),
}


@dataclasses.dataclass(frozen=True)
class Size:
    """How large a preset is, for one image of its own size."""

    parameters: int  # Trainable ones.
    multiply_adds: int


def measure(preset: str) -> Size:
    """Builds a preset and counts, without running it.

    Raises:
      RuntimeError: The profiler cannot count this model.
    """
    tf.keras.backend.clear_session()
    model = models.build(preset)
    parameters = sum(math.prod(v.shape) for v in model.trainable_variables)
    return Size(parameters=parameters, multiply_adds=multiply_adds.of_model(model))


def row(preset: str, size: Size) -> str:
    """Returns the line of the table of one preset, in Markdown."""
    published = PUBLISHED.get(preset, Published("", ""))
    side = models.PRESETS[preset].side_px
    cells = [
        f"`{preset}`",
        str(side),
        f"{size.parameters:,}",
        published.parameters_m and f"{published.parameters_m} M",
        _difference(size.parameters / 1e6, published.parameters_m),
        f"{size.multiply_adds / 1e9:.2f} B",
        published.multiply_adds_b and f"{published.multiply_adds_b} B",
        _difference(size.multiply_adds / 1e9, published.multiply_adds_b),
        "; ".join(filter(None, (published.source, published.explanation))),
    ]
    return f"| {' | '.join(cells)} |"


HEADER = (
    "| preset | side, px | parameters | published | difference | multiply-adds "
    "| published | difference | source |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)

_INTRODUCTION = """\
# Presets

`models.build(NAME)` makes each of these; `models.PRESETS` has their settings.
Parameters are the trainable ones; multiply-adds are for one image of the size given,
half of what TensorFlow's profiler counts, as the authors count. A published number of
few digits is met when ours rounds to it; where a difference is above 0.5% and not
rounding, the last column says why.

Made by `python tools/model_table.py --output docs/models.md`.
"""

_BOXES = """\

## From outputs to boxes

A detector's outputs are logits and offsets of anchors, and `models.anchors_of` has the
anchors of a preset:

```python
import tensorflow as tf
from st_keras import models, ops

name, size_px = "retinanet_resnet50_fpn", (128, 256)
model = models.build(name, image_size_px=size_px, num_classes=3)
pictures = tf.zeros([1, *size_px, 3], tf.uint8)
outputs = model(ops.images.normalize(pictures))
anchors_yxyx = models.anchors_of(name, image_size_px=size_px)
boxes_yxyx = ops.box_coding.decode_boxes(outputs["offsets"], anchors_yxyx)
found = ops.nms.non_max_suppression(
    ops.boxes.clip_to_window(boxes_yxyx, size_px),
    tf.sigmoid(outputs["logits"]),
    min_score=0.05,
    nms_iou=0.5,
    max_detections=100,
)
assert found.boxes_yxyx.shape == found.scores.shape + [4] == (1, 100, 4)
```

`models.weights.load_weights(model, path)` puts [published weights](weights.md) in. With
the 91 logits of a preset, a class id is COCO's own id, from 1 to 90.
"""


def write(path: str, presets: list[str]) -> None:
    """Writes the page of the presets in Markdown."""
    # Each in a process of its own: TensorFlow keeps the memory of frozen graphs.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        sizes = pool.imap(measure, presets, chunksize=1)
        bar = tqdm(sizes, desc="Counting", total=len(presets), unit="preset")
        rows = [row(preset, size) for preset, size in zip(presets, bar, strict=True)]
    writing.write_text(path, page(rows))


def page(rows: list[str]) -> str:
    """Returns the page with these lines in its table, in Markdown."""
    return "\n".join([_INTRODUCTION, HEADER, *rows, _BOXES])


def _difference(ours: float, published: str) -> str:
    if not published:
        return ""
    return f"{100 * (ours / float(published) - 1):+.1f}%"
