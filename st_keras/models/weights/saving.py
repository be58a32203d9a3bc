"""Writes a model; a file gets its name only when it is complete."""

import os
import pathlib
import shutil
import tempfile

import tensorflow as tf

SUFFIXES = (".keras", ".weights.h5")


def check_output(path: str) -> None:
    """Refuses an output that must be a mistake.

    Raises:
      ValueError: It is a folder, or has the suffix of another kind of file.
    """
    name = pathlib.Path(path).name
    if not name or os.path.isdir(path):
        raise ValueError(f"`output` must be a file or a prefix, got the folder {path}.")
    if name.endswith((".h5", ".hdf5", ".index", ".pb")) and not name.endswith(SUFFIXES):
        raise ValueError(
            f"`output` must end in {' or '.join(SUFFIXES)}, or be a checkpoint's "
            f"prefix, got {path}."
        )


def check_new(path: str) -> None:
    """Refuses to write over something, such as the checkpoint that is read.

    Raises:
      ValueError: There is a file or a checkpoint of this name.
    """
    if os.path.exists(path) or os.path.exists(f"{path}.index"):
        raise ValueError(f"`output` must be new, got {path}, which exists; delete it.")


def save(model: tf.keras.Model, path: str) -> None:
    """Writes a `.keras` file, a `.weights.h5` file or a TF2 checkpoint.

    Args:
      model: To write.
      path: Its suffix decides what is written. With any other, it is the prefix of a
        checkpoint that `tf.train.Checkpoint(model=model)` reads.
    """
    check_output(path)
    folder, name = os.path.split(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    # Beside the target: a rename is atomic only within a file system.
    temporary = tempfile.mkdtemp(prefix=".import-", dir=folder)
    try:
        written = os.path.join(temporary, name)
        if name.endswith(".keras"):
            model.save(written)
        elif name.endswith(".weights.h5"):
            model.save_weights(written)
        else:
            tf.train.Checkpoint(model=model).write(written)
        # The index last: without it there is no checkpoint.
        for file in sorted(os.listdir(temporary), key=lambda n: n.endswith(".index")):
            os.replace(os.path.join(temporary, file), os.path.join(folder, file))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
