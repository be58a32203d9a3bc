"""Labelling, from records to shards, next to the forward pass and to the peer's."""

import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import tensorflow as tf
from tqdm import tqdm

from st_keras.data import decode
from st_keras.data.unlabeled import RecordPictures
from st_keras.experiments.benchmarks import (
    all_cores,
    label_peer,
    predictions,
    rows,
    suite_parts,
    twins,
)
from st_keras.experiments.benchmarks.twins import Sizes, Twins
from st_keras.ops import images
from st_keras.runtime import preflight
from st_keras.runtime.restored import restore_run
from st_keras.self_training.labeling import Labeler
from st_keras.self_training.shards import LabelFolder

_SCORE_FLOOR = 0.05
_FOREVER = 10**6  # Shards planned for a folder; each measurement writes one.

_FORWARD = (
    "Ours from records to a finished shard: read, decode, resize, look, suppress or "
    "merge, write, sync, checksum. The limit is the compiled forward pass of the same "
    "model on one batch that is in memory, and nothing else."
)
_PEER = (
    "The peer reads the same records with its decoder and parser for evaluation, which "
    "matches anchors too, and its model ends with its detection generator, {}. Its "
    "detections reach the host and are not written. "
    f"{twins.CANDIDATES} pairs of anchor and class a picture are above the score."
)
_PEER_MAPS = (
    "The peer reads the same records with its decoder and parser for evaluation, "
    "enlarges the logits to the network's input as its served model does, and takes "
    "the best class, which reaches the host and is not written. Ours enlarges to the "
    "picture's own pixels, keeps each one's confidence, and writes both."
)


class Case(NamedTuple):
    """A model, and what labelling with it is compared with."""

    build: Callable[[Sizes], Twins]
    sizes: Sizes
    peers: dict[str, str]  # End of a row's name to version of suppression.


CASES = {
    "label/detection_resnet50_fpn_256": Case(
        twins.detectors,
        Sizes("resnet50", (256, 256), 4, 91),
        {"peer_batched_nms": "batched", "peer": "v2"},
    ),
    "label/segmentation_deeplab_resnet50_256": Case(
        twins.segmenters, Sizes("resnet50", (256, 256), 4, 21), {"peer": ""}
    ),
    # At the size of the configs: decoding and writing cost the same, and the network
    # has six times the work.
    "label/detection_resnet50_fpn_640": Case(
        twins.detectors,
        Sizes("resnet50", (640, 640), 2, 91),
        {"peer_batched_nms": "batched"},
    ),
    "label/segmentation_deeplab_resnet50_512": Case(
        twins.segmenters, Sizes("resnet50", (512, 512), 2, 21), {"peer": ""}
    ),
}


def names(cases: dict[str, Case]) -> tuple[str, ...]:
    """Returns the names of all rows."""
    return tuple(
        f"{name}/{end}"
        for name, case in cases.items()
        for end in ("forward", *case.peers)
    )


def run(
    output: str,
    *,
    command: str,
    records: str = "",
    only: Sequence[str] = (),
    pairs: int = 5,
    cases: dict[str, Case] = CASES,
    pictures: int = 64,
) -> dict:
    """Runs the measurements and writes the results as JSON.

    Args:
      output: JSON file.
      command: Repeats the measurement; it is stored with the results.
      records: Glob of TFRecords with a dataset.json; empty makes scenes.
      only: Of `names`; empty is all but those that take hours.
      pairs: How often both sides are measured.
      cases: By the names of rows.
      pictures: Scenes to make, a multiple of the batch.

    Returns:
      What is in the file.

    Raises:
      ValueError: A name is unknown, or there are no such records.
    """
    slow = {
        f"{name}/{end}"
        for name, case in cases.items()
        for end, version in case.peers.items()
        if version == predictions.SLOW
    }
    chosen = suite_parts.chosen(names(cases), only, slow)
    content = {
        "rows": [],
        "records": records or f"{pictures} made: see scenes.py",
        "batch": {name: case.sizes.batch_size for name, case in cases.items()},
        "how": all_cores.HOW,
    }
    with (
        suite_parts.given_or_made(records, pictures) as glob,
        tqdm(total=len(chosen) * pairs, unit="pair") as bar,
    ):
        for name, case in cases.items():
            ends = [row for row in chosen if row.startswith(f"{name}/")]
            if ends:
                pair = case.build(dataclasses.replace(case.sizes, records=glob))
                for row in _measure(pair, case, ends, pairs, bar):
                    content["rows"].append(row)
                    suite_parts.write(output, "label", command, content)
    return content


format_content = rows.format_content


def _measure(
    pair: Twins, case: Case, chosen: list[str], pairs: int, bar: tqdm
) -> Iterator[dict]:
    if case.build is twins.detectors:
        twins.give_candidates(pair, _some_pictures(pair))
    with tempfile.TemporaryDirectory() as folder:
        ours = _Ours(pair, pathlib.Path(folder))
        ours.measure()  # Traces.
        for name in chosen:
            bar.set_description(name)
            end = name.rsplit("/", 1)[-1]
            if end == "forward":
                other, note = _forward(pair, ours.pictures), _FORWARD
            else:
                other, note = _peer(pair, case.peers[end], ours.pictures)
            other()
            yield rows.compare(
                name,
                ours.measure,
                other,
                pairs=pairs,
                unit=rows.PER_SECOND,
                note=note,
                after_pair=bar.update,
            )


class _Ours:
    """The labeller of a run, which labels all the pictures again and again."""

    def __init__(self, pair: Twins, folder: pathlib.Path):
        workdir = folder / "teacher"
        preflight.save_config(pair.config, str(workdir))
        checkpoint = tf.train.Checkpoint(model=pair.model)
        prefix = checkpoint.write(str(workdir / "checkpoints" / "ckpt-0"))
        teacher = restore_run(
            prefix, purpose="labeling", min_score=_SCORE_FLOOR, deterministic=True
        )
        pictures = RecordPictures(pair.config.human.records)
        self.pictures = pictures.positions
        self._labeler = Labeler(teacher, pictures)
        self._folder = LabelFolder(str(folder / "labels"), {}, _FOREVER)
        self._shards = 0

    def measure(self) -> rows.Measurement:
        return all_cores.measure(self.pictures, self._write)

    def _write(self) -> None:
        with tqdm(disable=True) as bar:
            self._labeler.write_shard(
                self._folder, self._shards, (0, self.pictures), bar
            )
        self._shards += 1


def _forward(pair: Twins, pictures: int) -> Callable[[], rows.Measurement]:
    features = images.normalize(_some_pictures(pair), pair.model.compute_dtype)
    forward = tf.function(lambda x: pair.model(x, training=False))
    batch_size = pair.config.evaluation.images_per_step
    calls = max(1, pictures // batch_size)
    return lambda: all_cores.measure(
        calls * batch_size, lambda: [forward(features) for _ in range(calls)]
    )


def _peer(pair: Twins, nms: str, pictures: int):
    if nms:
        infer, how = label_peer.detection(pair, nms), f"version {nms}"
        note = _PEER.format(f"{how}, its default" if nms == "v2" else how)
    else:
        infer, note = label_peer.segmentation(pair), _PEER_MAPS
    return lambda: all_cores.measure(pictures, infer), note


def _some_pictures(pair: Twins) -> tf.Tensor:
    """Returns a batch of the records' pictures, [B, H, W, 3] uint8."""
    batch_size = pair.config.evaluation.images_per_step
    paths = sorted(tf.io.gfile.glob(pair.config.human.records))
    serialized = tf.data.TFRecordDataset(paths).repeat().take(batch_size)

    def look(record):
        image = decode.decode_image(decode.decode_encoded(record))
        return pair.task.views(image).image[0]

    return next(iter(serialized.map(look).batch(batch_size)))
