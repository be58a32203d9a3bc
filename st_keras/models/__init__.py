"""Keras models built from plain arguments."""

from st_keras.models.retinanet import build_backbone, retinanet

__all__ = ["build_backbone", "retinanet"]
