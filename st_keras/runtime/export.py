"""A run's model as a folder that others can serve."""

import contextlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import tensorflow as tf
from absl import logging

from st_keras.runtime import tflite
from st_keras.runtime.restored import RestoredRun
from st_keras.runtime.run_log import write_json
from st_keras.runtime.serving import Serving
from st_keras.tasks import Task, build_task

FORMATS = ("saved_model", "tflite")
SERVING_FILE = "serving.json"
TFLITE_FILE = "model.tflite"
_ANYWHERE = ("checkpoint",)  # A run that was moved gives the same export.


def export_run(
    run: RestoredRun,
    output: str,
    *,
    file_format: str = "saved_model",
    batch_size: int | None = None,
    float16: bool = False,
) -> dict:
    """Writes a run's model and its description to a folder that appears when complete.

    Args:
      run: The model.
      output: Folder to make: a SavedModel, or model.tflite; and serving.json. A
        SavedModel takes `inputs` as [B, H, W, 3] uint8 (signature `serving_default`),
        as [B] JPEG or PNG files (`image_bytes`) or as [B] records (`tf_example`);
        TFLite takes [B, H, W, 3] uint8 of the network's size.
      file_format: `saved_model` or `tflite`.
      batch_size: The only number of pictures a call accepts. None: any for a
        SavedModel, 1 for TFLite.
      float16: Whether a TFLite file stores its weights in 16 bits, at half the size.

    Returns:
      The content of serving.json: signatures, names of the labels, the protocol of the
      evaluation, and which checkpoint it is.

    Raises:
      ValueError: An argument cannot be used, the folder holds something else, or the
        model cannot be converted to TFLite.
    """
    _check_arguments(file_format, batch_size, float16)
    folder = pathlib.Path(os.path.abspath(output))
    there = _read_export(folder)
    # Served on CPUs and GPUs, whatever it was trained on.
    task = build_task(run.config)
    if file_format == "tflite":
        model = tflite.in_float32(task, run.model)
        batch_size = batch_size or 1
        serving = tflite.RawServing(task, model, batch_size=batch_size)
    else:
        serving = Serving(task, run.model, batch_size=batch_size)
    content = {
        "format": file_format,
        "weights_stored_as": "float16" if float16 else "float32",
        "batch_size": "any" if batch_size is None else batch_size,
        "signatures": _describe(serving.functions, task.serving_notes),
        **_origin(run, task),
    }
    content = json.loads(json.dumps(content))  # So that it equals what is read back.
    if there is not None:
        _check_same(output, there, content)
        logging.info("%s: exported before, nothing to do", output)
    else:
        with _folder_when_complete(folder) as temporary:
            if file_format == "tflite":
                converted = tflite.convert(serving, float16=float16)
                (temporary / TFLITE_FILE).write_bytes(converted)
            else:
                tf.saved_model.save(serving, str(temporary), dict(serving.functions))
            write_json(temporary / SERVING_FILE, content)
    return content


def format_summary(content: dict, output: str) -> str:
    """Returns lines that say what `export_run` has written."""
    files = [path for path in pathlib.Path(output).rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 2**20
    lines = [
        f"{content['format']} of {content['model']}, checkpoint "
        f"{content['checkpoint_sha256']}, {len(content['labels'])} classes, "
        f"{megabytes:.1f} MB: {output}"
    ]
    for name, signature in content["signatures"].items():
        takes, gives = (
            ", ".join(
                f"{tensor} {spec['dtype']} {_format_shape(spec['shape'])}"
                for tensor, spec in signature[side].items()
            )
            for side in ("inputs", "outputs")
        )
        lines.append(f"  {name}: {takes} -> {gives}")
    return "\n".join(lines)


def _check_arguments(file_format: str, batch_size: int | None, float16: bool) -> None:
    if file_format not in FORMATS:
        raise ValueError(
            f"`format` must be one of {', '.join(FORMATS)}, got {file_format!r}."
        )
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"`batch_size` must be 1 or more, got {batch_size}.")
    if float16 and file_format != "tflite":
        raise ValueError(f"`float16` must come with format tflite, got {file_format}.")


def _read_export(folder: pathlib.Path) -> dict | None:
    """Returns the description of an existing export; None if nothing is there."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    path = folder / SERVING_FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        raise ValueError(
            f"`output` must be a new folder or one with an export, got {folder}, "
            f"which has no readable {SERVING_FILE}."
        ) from None


def _check_same(output: str, there: dict, content: dict) -> None:
    changed = [
        f"`{name}` is {_shorten(there.get(name))} there and {_shorten(value)} now"
        for name, value in content.items()
        if there.get(name) != value and name not in _ANYWHERE
    ]
    if changed:
        raise ValueError(
            f"{output}: holds another export: {'; '.join(changed)}. Choose another "
            "folder, or delete this one."
        )


def _shorten(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _origin(run: RestoredRun, task: Task) -> dict:
    return {
        "labels": {
            task.label_of(class_id): name
            for class_id, name in enumerate(task.class_names)
        },
        "model": run.model.name,
        "checkpoint": run.file.prefix,
        "checkpoint_sha256": run.file.digest,
        "role": run.config.role,
        "weights": "moving average" if run.file.averaged else "last step",
        "protocol": task.protocol,
        "tensorflow": tf.__version__,
    }


@contextlib.contextmanager
def _folder_when_complete(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary folder that gets its name if the block raises no error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    name = f".{folder.name}-"  # Beside the target: a rename is atomic only there.
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=name, dir=folder.parent))
    temporary.chmod(0o755)
    try:
        yield temporary
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _describe(functions: dict, notes: dict[str, str]) -> dict:
    described = {}
    for name, function in functions.items():
        inputs, _ = function.structured_input_signature
        outputs = function.structured_outputs
        described[name] = {
            "inputs": {spec.name: _spec(spec) for spec in inputs},
            "outputs": {
                key: _spec(spec) | {"holds": notes[key]}
                for key, spec in outputs.items()
            },
        }
    return described


def _spec(spec) -> dict:
    return {"dtype": spec.dtype.name, "shape": list(spec.shape)}


def _format_shape(shape: list) -> str:
    return f"[{', '.join('any' if side is None else str(side) for side in shape)}]"
