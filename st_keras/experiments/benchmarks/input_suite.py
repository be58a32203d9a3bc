"""Images per second on one core: our input pipelines and tf-models-official's."""

import contextlib
import pathlib
import tempfile
import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf
from tqdm import tqdm

from st_keras.data import records as record_format
from st_keras.experiments.benchmarks import (
    input_operations,
    input_ours,
    input_peer,
    one_core,
    rows,
    scenes,
)
from st_keras.runtime import run_log

OPERATIONS = "input/operations"
DETECTION_PX, SEGMENTATION_PX = (640, 640), (512, 512)
_BATCH = 8
_SCENES = 64
_MOST_RECORDS = 256  # Of the given ones; enough for a sample.
_SHARE_FOR_AN_OPERATION = 0.25  # Of the seconds spent on a pipeline.
_WEAK, _STRONG = (0.8, 1.2), (0.5, 2.0)  # Jitter of S2, and of S3 and S4.

_BYTES = (
    "Ours yields uint8 images and padded boxes: normalisation and anchor targets are "
    "in our training step, on the device. The peer's does both on the host, and yields "
    "bfloat16 images."
)
_TARGETS = (
    "Ours with normalisation to bfloat16, anchor matching and box coding on the host "
    "as well, picture by picture, without padding; the peer's is the same as in "
    "input/detection_s4_640."
)
_MAPS = (
    "Ours yields uint8, the peer's normalised float32 images and float32 maps. Both "
    "decode the map's PNG."
)
_MAPS_POLICY = (
    "The peer's parser has no policy for label maps. Here its RandAugment changes the "
    "image before its parser goes on, and the map does not follow; ours moves both. "
)


class Case(NamedTuple):
    """One row: what each side makes of a record."""

    ours: Callable[[], Callable]  # Makes a function of a record and a seed.
    peer: Callable[[], Callable]  # Makes a function of a record.
    note: str
    feature: str  # What the records must have.


CASES = {
    "input/detection_s4_640": Case(
        lambda: input_ours.detection("S4", DETECTION_PX),
        lambda: input_peer.detection("randaugment", _STRONG, DETECTION_PX),
        _BYTES,
        record_format.YMIN,
    ),
    "input/detection_s4_640_with_targets": Case(
        lambda: input_ours.detection_with_targets("S4", DETECTION_PX),
        lambda: input_peer.detection("randaugment", _STRONG, DETECTION_PX),
        _TARGETS,
        record_format.YMIN,
    ),
    "input/detection_s2_640": Case(
        lambda: input_ours.detection("S2", DETECTION_PX),
        lambda: input_peer.detection("autoaugment", _WEAK, DETECTION_PX),
        _BYTES,
        record_format.YMIN,
    ),
    "input/segmentation_s4_512": Case(
        lambda: input_ours.segmentation("S4", SEGMENTATION_PX),
        lambda: input_peer.segmentation("randaugment", _STRONG, SEGMENTATION_PX),
        _MAPS_POLICY + _MAPS,
        record_format.LABEL_MAP,
    ),
    "input/segmentation_jitter_512": Case(
        lambda: input_ours.segmentation("S4", SEGMENTATION_PX, "none"),
        lambda: input_peer.segmentation("none", _STRONG, SEGMENTATION_PX),
        "Flip and jitter alone, which is all that the peer has. " + _MAPS,
        record_format.LABEL_MAP,
    ),
}
NAMES = (*CASES, OPERATIONS)


def run(
    output: str,
    *,
    command: str,
    records: str = "",
    only: Sequence[str] = (),
    seconds: float = 4.0,
    pairs: int = 5,
) -> dict:
    """Runs the measurements and writes the results as JSON.

    Must run before TensorFlow starts in the process, since it limits its threads.

    Args:
      output: JSON file.
      command: Repeats the measurement; it is stored with the results.
      records: Glob of TFRecords; empty makes scenes.
      only: Of `NAMES`; empty is all.
      seconds: Of processor time, for each side of a pair.
      pairs: How often both sides are measured.

    Returns:
      What is in the file.

    Raises:
      ValueError: A name is unknown, or the records lack what it needs.
      RuntimeError: TensorFlow has started with more than one thread.
    """
    unknown = [name for name in only if name not in NAMES]
    if unknown:
        raise ValueError(
            f"`--only` must be from {', '.join(NAMES)}; got {', '.join(unknown)}."
        )
    one_core.limit_tensorflow()
    chosen = [name for name in NAMES if not only or name in only]
    with contextlib.ExitStack() as stack:
        if not records:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            glob, made = scenes.write_scenes(folder, _SCENES), "made: see scenes.py"
        else:
            glob, made = records, ""
        content = _measure(glob, chosen, seconds, pairs)
    content["records"] = {"source": made or records} | content["records"]
    content = {"suite": "input", "command": command} | content
    run_log.write_json(output, content)
    return content


def format_content(content: dict) -> str:
    """Returns what `run` found as text."""
    limits = [
        f"{limit['name']}: {limit['value']:.0f} {limit['unit']}"
        for limit in content["limits"]
    ]
    parts = ["\n".join(limits)]
    if content["operations"]:
        table = input_operations.format_operations(content["operations"])
        parts = [table, textwrap.fill(content["operations_note"], 79), *parts]
    if content["rows"]:
        parts.append(rows.format_rows(content["rows"]))
    return "\n\n".join(parts)


def _measure(glob: str, chosen: list[str], seconds: float, pairs: int) -> dict:
    serialized, about = _open(glob, chosen)
    cases = [name for name in chosen if name in CASES]
    with_operations = OPERATIONS in chosen
    total = 1 + len(cases) * pairs + with_operations * input_operations.count()
    found, operations = [], []
    with tqdm(total=total, unit="measurement") as bar:
        bar.set_description("JPEG decode")
        decoded = input_operations.jpeg_decode(serialized, seconds)
        bar.update()
        for name in cases:
            bar.set_description(name)
            found.append(_compare(name, serialized, seconds, pairs, bar))
        if with_operations:
            bar.set_description(OPERATIONS)
            share = seconds * _SHARE_FOR_AN_OPERATION
            operations = input_operations.measure(serialized, share, bar.update)
    return {
        "rows": found,
        "limits": [
            {
                "name": "JPEG decode alone",
                "value": decoded,
                "unit": rows.PER_CORE_SECOND,
            }
        ],
        "operations": operations,
        "operations_note": input_operations.NOTE if operations else "",
        "records": about,
        "machine": rows.machine(),
        "versions": rows.versions(),
        "one_core": one_core.HOW,
    }


def _compare(name: str, serialized, seconds: float, pairs: int, bar) -> dict:
    case = CASES[name]
    prepare, parse = case.ours(), case.peer()
    base = tf.constant([0, 0], tf.int32)

    def prepare_with_seed(index, record):
        # As `pipeline.training_stream` seeds them.
        return prepare(record, tf.random.experimental.stateless_fold_in(base, index))

    endless = serialized.repeat()
    ours = endless.enumerate().map(prepare_with_seed)
    peer = endless.map(parse)
    mine, other = (
        one_core.Pipeline(
            side.batch(_BATCH, drop_remainder=True), images_per_element=_BATCH
        )
        for side in (ours, peer)
    )
    return rows.compare(
        name,
        lambda: mine.measure(seconds),
        lambda: other.measure(seconds),
        pairs=pairs,
        note=case.note,
        after_pair=bar.update,
    )


def _open(glob: str, chosen: list[str]) -> tuple[tf.data.Dataset, dict]:
    """Returns the serialised records, with their count and mean JPEG size."""
    paths = sorted(tf.io.gfile.glob(str(pathlib.Path(glob).expanduser())))
    if not paths:
        raise ValueError(f"`--records` must match TFRecords, got none: {glob}")
    serialized = tf.data.TFRecordDataset(paths).take(_MOST_RECORDS)
    sizes = []
    for record in serialized.as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        for name in chosen:
            if name in CASES and CASES[name].feature not in features:
                raise ValueError(
                    f"`{glob}`: a record has no `{CASES[name].feature}`, which {name} "
                    "needs; choose other rows with --only."
                )
        sizes.append(len(features[record_format.ENCODED].bytes_list.value[0]))
    if not sizes:
        raise ValueError(f"`--records` must hold pictures, got none: {glob}")
    mean_bytes = round(sum(sizes) / len(sizes))
    return serialized, {"count": len(sizes), "mean_jpeg_bytes": mean_bytes}
