"""What the index of a TensorFlow checkpoint says of its data files.

TensorFlow reads an index but does not expose where a tensor lies, so a short data file
would show only when it reads past the end.

Source: the format of LevelDB's sorted tables, and tensor_bundle.proto.
"""

import dataclasses
import struct

from google.protobuf import message
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import tensor_bundle_pb2

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # Key of the objects of TF2.

_FOOTER_BYTES = 48
_TRAILER_BYTES = 5  # A byte for the compression, and a checksum.
_MOST_SHARDS = 100_000  # As many as five digits in a name can number.
_VARINT_BITS = 64
_MAGIC = 0xDB4775248B80FB57


@dataclasses.dataclass(frozen=True)
class Index:
    """The weights of a checkpoint, and how long its data files must be."""

    shapes: dict[str, tuple[int, ...]]
    has_objects: bool  # As in TF2 checkpoints.
    shard_bytes: tuple[int, ...]


def read_index(path: str) -> Index:
    """Reads `PREFIX.index`.

    Raises:
      ValueError: The file is empty, cut off, or something else.
    """
    with open(path, "rb") as file:
        content = file.read()
    if not content:
        raise ValueError(f"{path}: is empty (0 bytes); fetch it again.")
    try:
        return _parse(content)
    except (ValueError, IndexError, struct.error, message.DecodeError) as error:
        raise ValueError(
            f"{path}: is no index of a checkpoint, or is damaged ({error}); its "
            f"{len(content)} bytes cannot be read. Fetch it again."
        ) from None


def _parse(content: bytes) -> Index:
    rows = _rows(content)
    header = tensor_bundle_pb2.BundleHeaderProto.FromString(rows.pop(b""))
    if not 0 < header.num_shards <= _MOST_SHARDS:
        raise ValueError(f"it tells of {header.num_shards} data files")
    sizes = [0] * header.num_shards
    shapes = {}
    for key, value in rows.items():
        entry = tensor_bundle_pb2.BundleEntryProto.FromString(value)
        sizes[entry.shard_id] = max(sizes[entry.shard_id], entry.offset + entry.size)
        # Strings have no shape; a key starting with a 0 byte is a slice of a variable.
        if entry.dtype != types_pb2.DT_STRING and not key.startswith(b"\0"):
            shapes[key.decode()] = tuple(axis.size for axis in entry.shape.dim)
    return Index(shapes, OBJECT_GRAPH.encode() in rows, tuple(sizes))


def _rows(content: bytes) -> dict[bytes, bytes]:
    """Returns the rows of all blocks of a sorted table."""
    (magic,) = struct.unpack("<Q", content[-8:])
    if magic != _MAGIC or len(content) < _FOOTER_BYTES:
        raise ValueError("the mark at its end is missing")
    footer, at = content[-_FOOTER_BYTES:], 0
    for _ in range(2):  # Of the table of other tables, which is empty.
        _, at = _varint(footer, at)
    start, at = _varint(footer, at)
    size, _ = _varint(footer, at)
    rows = {}
    for handle in _block(content, start, size).values():
        start, at = _varint(handle, 0)
        size, _ = _varint(handle, at)
        rows.update(_block(content, start, size))
    if b"" not in rows:
        raise ValueError("its first row is missing")
    return rows


def _block(content: bytes, start: int, size: int) -> dict[bytes, bytes]:
    block = content[start : start + size]
    if start + size + _TRAILER_BYTES > len(content) or content[start + size]:
        raise ValueError("a block is cut off or compressed")
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (restarts + 1)
    rows, key, at = {}, b"", 0
    while at < end:
        shared, at = _varint(block, at)
        added, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + added]
        at += added
        rows[key] = block[at : at + length]
        at += length
    return rows


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Returns a number of seven bits per byte, and where the next one starts."""
    value = shift = 0
    while data[at] & 0x80:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        if shift > _VARINT_BITS:
            raise ValueError("a number in it never ends")
        at += 1
    return value | data[at] << shift, at + 1
