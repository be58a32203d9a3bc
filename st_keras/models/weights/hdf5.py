"""Reads the HDF5 files of Keras, and those inside of `.keras` files."""

import io
import json
import zipfile

import h5py
import numpy as np

from st_keras.models.weights.source import Source

_INNER = "model.weights.h5"  # In a `.keras` file.
_CONFIG = "config.json"  # Beside it.
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK"


class Hdf5(Source):
    """The weights of an HDF5 file.

    In the older layout, that of `tf.keras.applications`, a weight's name is LAYER/
    and Keras' name of the variable; in the newer one it is the path of its data.
    Only arrays are read: a model stored beside them is never built. Its configuration
    is kept as `config`, empty if the file has none.
    """

    def __init__(self, path: str):
        """Lists the file.

        Raises:
          ValueError: It is damaged or of another kind.
        """
        try:
            self._file = h5py.File(_open(path), "r")
            self._data, self.layers = _listing(self._file)
            self.config = _config(path, self._file)
        except (
            *(OSError, KeyError, ValueError, RuntimeError),
            zipfile.BadZipFile,
        ) as error:
            raise _damaged(path, error) from None
        super().__init__(
            path, {name: tuple(item.shape) for name, item in self._data.items()}
        )

    def value(self, name: str) -> np.ndarray:
        try:
            return self._data[name][()]
        except (OSError, zipfile.BadZipFile, RuntimeError) as error:
            raise _damaged(f"{self.path}: {name}", error) from None


def is_hdf5(path: str) -> bool:
    """Tells from its name or its first bytes whether a file is meant to be HDF5."""
    if path.endswith((".h5", ".hdf5", ".keras")):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(len(_HDF5)) == _HDF5
    except OSError:
        return False


def _open(path: str):
    with open(path, "rb") as file:
        is_zip = file.read(len(_ZIP)) == _ZIP
    if not is_zip:
        return path
    with zipfile.ZipFile(path) as archive:
        return io.BytesIO(archive.read(_INNER))


def _config(path: str, file: h5py.File) -> dict:
    with open(path, "rb") as opened:
        is_zip = opened.read(len(_ZIP)) == _ZIP
    if not is_zip:
        return json.loads(file.attrs.get("model_config", "{}"))
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(_CONFIG))


def _listing(file: h5py.File) -> tuple[dict[str, h5py.Dataset], tuple[str, ...] | None]:
    """Returns the data by name, and in the older layout the names of the layers."""
    root = file.get("model_weights", file)
    data, layers = {}, _attribute(root, "layer_names")
    if layers is None:
        root.visititems(lambda name, item: data.update({name: item}))
    for layer in layers or ():
        for name in _attribute(root[layer], "weight_names") or ():
            data[f"{layer}/{name}"] = root[layer][name]
    found = {
        name: item for name, item in data.items() if isinstance(item, h5py.Dataset)
    }
    for name, item in found.items():
        if item.external or item.file.id != file.id:
            raise OSError(f"{name} lies in another file, which is not opened")
    return found, layers


def _attribute(group: h5py.Group, name: str) -> tuple[str, ...] | None:
    """Returns a list of names, which Keras splits into pieces if it is long."""
    pieces = [name] if name in group.attrs else []
    while f"{name}{len(pieces)}" in group.attrs:
        pieces.append(f"{name}{len(pieces)}")
    if not pieces:
        return None
    texts = [text for piece in pieces for text in group.attrs[piece]]
    return tuple(t.decode() if isinstance(t, bytes) else str(t) for t in texts)


def _damaged(what: str, error: Exception) -> ValueError:
    reason = str(error).splitlines()[0]
    return ValueError(f"{what}: damaged or no file of Keras weights ({reason}).")
