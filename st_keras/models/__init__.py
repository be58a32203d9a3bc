"""Keras models built from plain arguments."""

from st_keras import submodules
from st_keras.models import randomness
from st_keras.models.backbones import BACKBONES, build_backbone
from st_keras.models.classifier import classifier, classifier_on
from st_keras.models.deeplab import deeplab_v3_plus
from st_keras.models.layers import Norm
from st_keras.models.nas_fpn_segmenter import nas_fpn_segmenter
from st_keras.models.presets import PRESETS, Preset, anchors_of, build
from st_keras.models.retinanet import retinanet
from st_keras.models.simclr import simclr

__all__ = [
    "BACKBONES",
    "PRESETS",
    "Norm",
    "Preset",
    "anchors_of",
    "build",
    "build_backbone",
    "classifier",
    "classifier_on",
    "deeplab_v3_plus",
    "nas_fpn_segmenter",
    "randomness",
    "retinanet",
    "simclr",
]

__getattr__, __dir__ = submodules.when_asked_for(__name__, "weights")
