"""Reads TensorFlow checkpoints, of TF1 and of TF2."""

import os
import pathlib
import re

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from st_keras.models.weights import table
from st_keras.models.weights.source import Source

_VALUE = "VARIABLE_VALUE"
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip", ".gz")
_RUN_FOLDER = "checkpoints"  # Where a run of st_keras keeps its own.
_NUMBERED = re.compile(r"ckpt-(\d+)")  # As TensorFlow's manager names them.


class Bundle(Source):
    """A TensorFlow checkpoint whose files were checked to be complete."""

    def __init__(self, prefix: str):
        """Reads the index and compares the sizes of the data files with it.

        Raises:
          ValueError: A file is missing, too short, or no checkpoint.
        """
        index = table.read_index(f"{prefix}.index")
        _check_shards(prefix, index.shard_bytes)
        super().__init__(prefix, index.shapes)
        self._reader = tf.train.load_checkpoint(prefix)
        graph = self._read(table.OBJECT_GRAPH) if index.has_objects else None
        self.graph = ObjectGraph(graph) if graph else None

    def value(self, name: str) -> np.ndarray:
        return self._read(name)

    def _read(self, name: str):
        try:
            return self._reader.get_tensor(name)
        except (tf.errors.OpError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"{self.path}: damaged at `{name}` ({reason}); fetch the files again."
            ) from None


class ObjectGraph:
    """The objects of a TF2 checkpoint, through which its weights are found by name."""

    def __init__(self, content: bytes):
        graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(content)
        self._children = [
            {child.local_name: child.node_id for child in node.children}
            for node in graph.nodes
        ]
        self._keys = [
            {item.name: item.checkpoint_key for item in node.attributes}
            for node in graph.nodes
        ]

    def child(self, *names: str, start: int = 0) -> int | None:
        """Returns the number of an object, walking down from the root or `start`."""
        node = start
        for name in names:
            node = self._children[node].get(name)
            if node is None:
                return None
        return node

    def names(self, node: int = 0) -> list[str]:
        """Returns the names of an object's children."""
        return list(self._children[node])

    def key(self, *names: str, start: int = 0) -> str | None:
        """Returns the name in the file of the weight at the end of a path."""
        node = self.child(*names, start=start)
        return None if node is None else self._keys[node].get(_VALUE)


def find_prefix(path: str) -> str:
    """Returns the prefix of the checkpoint that a path means.

    Args:
      path: A prefix, one of the files, or a folder with one checkpoint; of a run's
        folder, or of several `ckpt-N`, the newest.

    Raises:
      ValueError: There is no checkpoint, or more than one.
    """
    if os.path.isdir(path):
        return _prefix_in(path)
    prefix = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", path)
    if os.path.exists(f"{prefix}.index"):
        return prefix
    if path.endswith(_ARCHIVES) and os.path.exists(path):
        raise ValueError(f"`{path}` is an archive; unpack it and name what is inside.")
    if found := sorted(pathlib.Path(prefix).parent.glob(f"{_name(prefix)}.data-*")):
        raise ValueError(f"{prefix}.index: missing, though {found[0].name} is there.")
    state = "of an unknown kind" if os.path.exists(path) else "not there"
    raise ValueError(
        f"`{path}` is {state}; name a checkpoint (a prefix such as d/model.ckpt-500, "
        "or a folder), a `.keras` file or an `.h5` file."
    )


def read_list(folder: str):
    """Returns TensorFlow's list of a folder; None if there is none or a torn one."""
    try:
        return tf.train.get_checkpoint_state(folder)
    except ValueError:  # Empty; of other contents, TensorFlow itself returns None.
        return None


def numbered(folder: str) -> list[str]:
    """Returns the prefixes `ckpt-N` in a folder, the oldest first.

    They count if the list is lost, as after a copy of some files or on a full disk.
    """
    steps = [_NUMBERED.fullmatch(p.stem) for p in pathlib.Path(folder).glob("*.index")]
    found = sorted(int(step[1]) for step in steps if step)
    return [os.path.join(folder, f"ckpt-{step}") for step in found]


def _prefix_in(folder: str) -> str:
    inner = os.path.join(folder, _RUN_FOLDER)
    if os.path.isdir(inner):
        folder = inner
    listed = read_list(folder)
    # It may name a path of the machine it was written on.
    if listed and os.path.exists(f"{listed.model_checkpoint_path}.index"):
        return listed.model_checkpoint_path
    if prefixes := numbered(folder):
        return prefixes[-1]
    found = sorted(pathlib.Path(folder).glob("*.index"))
    if len(found) == 1:
        return str(found[0]).removesuffix(".index")
    if os.path.exists(os.path.join(folder, "saved_model.pb")):
        raise ValueError(f"`{folder}` is a SavedModel; name the checkpoint it is from.")
    names = ", ".join(file.stem for file in found[:5]) or "none"
    raise ValueError(f"`{folder}` must hold one checkpoint, got {names}.")


def _check_shards(prefix: str, shard_bytes: tuple[int, ...]) -> None:
    count = len(shard_bytes)
    for number, expected in enumerate(shard_bytes):
        path = f"{prefix}.data-{number:05d}-of-{count:05d}"
        if not os.path.exists(path):
            raise ValueError(
                f"{path}: missing; the index tells of {count} data files, this one of "
                f"{expected} bytes."
            )
        actual = os.path.getsize(path)
        if actual < expected:
            raise ValueError(
                f"{path}: cut off, must have {expected} bytes, got {actual}. Fetch it "
                "again and compare the size."
            )


def _name(prefix: str) -> str:
    return pathlib.Path(prefix).name
