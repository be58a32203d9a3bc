"""The authors' variables: every one has a layer of ours, by name and by shape."""

import dataclasses
import hashlib

import pytest

from st_keras import models
from st_keras.models.authors.box_head import box_head_names
from st_keras.models.authors.efficientnet import (
    efficientnet_head_names,
    efficientnet_names,
)
from st_keras.models.authors.fpn import fpn_names
from st_keras.models.authors.nas_fpn import nas_fpn_names
from st_keras.models.authors.resnet import resnet_names
from st_keras.models.authors.segmentation import segmentation_head_names
from st_keras.models.authors.spinenet import spinenet_names

BOXES = {"head": lambda: box_head_names()}
FPN = {**BOXES, "neck": lambda: fpn_names()}
MASKS = {"head": lambda: segmentation_head_names(), "neck": lambda: nas_fpn_names()}


@dataclasses.dataclass(frozen=True)
class Graph:
    """A graph of the authors: how many variables it has, and which."""

    variables: int
    digest: str  # Start of the SHA-256 of its sorted lines `name shape`.
    parts: dict  # Functions that give our names, by part.
    dead_head: str = ""  # Size of the EfficientNet whose classifier is there, unused.


GRAPHS = {
    "retinanet_spinenet_49s": Graph(
        830, "2878a6c683bca364", {"backbone": lambda: spinenet_names("49s"), **BOXES}
    ),
    "retinanet_spinenet_49": Graph(
        830, "ea52ae93adfecffa", {"backbone": lambda: spinenet_names("49"), **BOXES}
    ),
    "retinanet_spinenet_96": Graph(
        1065, "8727838fcfb3dd04", {"backbone": lambda: spinenet_names("96"), **BOXES}
    ),
    "retinanet_spinenet_143": Graph(
        1300, "441cf28fd3061cbc", {"backbone": lambda: spinenet_names("143"), **BOXES}
    ),
    "retinanet_spinenet_190": Graph(
        1667,
        "f98698a2b483c39f",
        {
            "backbone": lambda: spinenet_names("190"),
            "head": lambda: box_head_names(convs=7),
        },
    ),
    "retinanet_resnet50_fpn": Graph(
        481, "4023df25789f3150", {"backbone": lambda: resnet_names(50), **FPN}
    ),
    "retinanet_efficientnet_b7_fpn": Graph(
        1253,
        "a83397b464ad05b2",
        {"backbone": lambda: efficientnet_names("b7"), **FPN},
        dead_head="b7",
    ),
    "nas_fpn_segmenter_efficientnet_b0": Graph(
        695,
        "801e16acb7190628",
        {"backbone": lambda: efficientnet_names("b0"), **MASKS},
        dead_head="b0",
    ),
    "nas_fpn_segmenter_efficientnet_b7": Graph(
        1421,
        "0a68238e94f0c7f4",
        {"backbone": lambda: efficientnet_names("b7"), **MASKS},
        dead_head="b7",
    ),
    "nas_fpn_segmenter_efficientnet_l2": Graph(
        2038,
        "81a250f83a01c7f1",
        {"backbone": lambda: efficientnet_names("l2"), **MASKS},
        dead_head="l2",
    ),
}
QUICK = {
    "retinanet_spinenet_49s",
    "retinanet_resnet50_fpn",
    "nas_fpn_segmenter_efficientnet_b0",
}


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in GRAPHS
    ],
)
def test_every_variable_of_the_authors_is_one_of_ours(name):
    graph = GRAPHS[name]
    model = models.build(name, image_size_px=(128, 128))
    found = [
        line
        for part, pairs in graph.parts.items()
        for line in lines(model.get_layer(part), pairs())
    ]
    if graph.dead_head:
        found += dead_head_lines(graph.dead_head)
    assert len(found) == graph.variables
    digest = hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()
    assert digest.startswith(graph.digest)


def lines(part, pairs):
    """Returns `name shape` of each weight of a part, with the authors' name."""
    scopes = dict(pairs)
    layers = [layer for layer in part.layers if layer.weights]
    assert {layer.name for layer in layers} == set(scopes)
    found = []
    for layer in layers:
        for weight in layer.weights:
            leaf = weight.name.split("/")[-1].removesuffix(":0")
            shape = ",".join(map(str, weight.shape))
            found.append(f"{scopes[layer.name]}/{leaf} {shape}")
    return found


def dead_head_lines(model_id):
    """Returns the same for the classification head, of 1000 classes."""
    classifier = models.classifier((32, 64), 1000, backbone=f"efficientnet_{model_id}")
    return lines(classifier.get_layer("head"), efficientnet_head_names(model_id))
