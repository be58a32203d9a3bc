"""Turns a published checkpoint into a model's own file."""

import dataclasses
from collections.abc import Sequence

from st_keras.models import presets
from st_keras.models.classifier import classifier
from st_keras.models.layers import Norm
from st_keras.models.weights import function, saving
from st_keras.models.weights.formats import detect, open_source
from st_keras.models.weights.loading import load_weights
from st_keras.models.weights.report import IncompleteError, Report


def import_file(
    path: str,
    preset: str,
    output: str,
    *,
    parts: Sequence[str] | None = None,
    format: str = "auto",
    image_size_px: tuple[int, int] | None = None,
    num_classes: int | None = None,
    batch_norm_epsilon: float | None = None,
) -> Report:
    """Builds a preset, loads a file into it and writes it, with a report beside it.

    Args:
      path: As `load_weights` takes it.
      preset: A key of `models.PRESETS`.
      output: A `.keras` or `.weights.h5` file or, with any other suffix, the prefix of
        a TF2 checkpoint. OUTPUT.report.json lists every weight, even after a refusal,
        and the settings that a model must share to load the output.
      parts: As `load_weights` takes them.
      format: As `load_weights` takes it.
      image_size_px: Height and width of the model's input; None: the preset's.
      num_classes: Of the model; None: the preset's.
      batch_norm_epsilon: Of the model; None: the preset's. A TF1 checkpoint does not
        tell it. An EfficientNet keeps its own.

    Raises:
      ValueError: The file does not hold these parts of this model, or an EfficientNet
        is given an epsilon.
    """
    saving.check_output(output)
    saving.check_new(output)
    # Before building the model, which takes a minute if it is large.
    found = detect(open_source(path)) if format == "auto" else format
    changes = _changes(preset, found)
    if batch_norm_epsilon is not None and preset in presets.PRESETS:
        _check_epsilon(preset, batch_norm_epsilon)
        norm = presets.PRESETS[preset].settings.get("norm", Norm())
        changes["norm"] = dataclasses.replace(norm, epsilon=batch_norm_epsilon)
    sizes = {"image_size_px": image_size_px, "num_classes": num_classes}
    model = presets.build(preset, **sizes, **changes)
    try:
        report = load_weights(model, path, parts=parts, format=found)
    except IncompleteError as error:
        listing = function.side_file(output)
        error.report.write(listing)
        raise ValueError(f"{error} Full list: {listing}") from None
    for name, value in changes.items():
        report.notes += (
            f"built with {name}={value!r}; so must be what loads the output",
        )
    saving.save(model, output)
    report.write(function.side_file(output), functions=function.of_model(model))
    return report


def _check_epsilon(preset: str, epsilon: float) -> None:
    known = presets.PRESETS[preset]
    is_classifier = known.function is classifier
    if is_classifier and known.backbone.startswith("efficientnet"):
        raise ValueError(
            f"`batch_norm_epsilon` must not be set for {preset}, got {epsilon}: an "
            "EfficientNet keeps its own."
        )


def _changes(preset: str, file_format: str) -> dict[str, object]:
    """Returns the settings with which a preset computes what the file's model did."""
    known = presets.PRESETS.get(preset)
    if known is None:
        return {}
    if file_format == "tf_models":
        return {"flavor": "tf_models"}
    if file_format == "keras_applications" and known.backbone.startswith("resnet"):
        return {"flavor": "keras", "activation": "relu"}
    return {}
