"""Measures whether a teacher labels a picture the same when it looks at it again.

Pictures without known truth have no other evidence. The teacher is shown each one
mirrored and at another scale, and other checkpoints of its run are shown it too.
"""

import dataclasses
import math
import pathlib
import statistics
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from st_keras.data import decode, images, pipeline
from st_keras.data.augment.warp import FILL_GREY
from st_keras.data.records import Record
from st_keras.data.skipping import SkipLog
from st_keras.data.unlabeled import RecordPictures
from st_keras.experiments import pictures
from st_keras.runtime.checkpoints import ModelFile
from st_keras.runtime.inference import Predictor
from st_keras.runtime.restored import RestoredRun, restore_run
from st_keras.runtime.stored_labels import paired, read_labels
from st_keras.self_training import shards
from st_keras.types import Labels

_SCALE = 0.75  # Of the picture in the second look.

NAMES = ("mirror_agreement", "scale_agreement", "checkpoint_agreement")


def find_teacher(manifest: dict, checkpoint: str) -> tuple[ModelFile | None, str]:
    """Returns the teacher of pseudo labels, or why there is none.

    Args:
      manifest: Of the pseudo labels.
      checkpoint: Where the teacher is now; empty: where it was when it labelled.

    Raises:
      ValueError: `checkpoint` is no model or another one.
    """
    try:
        return shards.find_teacher(manifest, checkpoint, flag="--checkpoint"), ""
    except ValueError as error:
        if checkpoint:
            raise
        return None, str(error)


def measure(
    teacher: ModelFile,
    records: str,
    ids: list[str],
    *,
    score_floor: float,
    min_score: float,
    checkpoints: int,
    strategy: str = "one_device",
    tpu: str = "",
) -> dict:
    """Returns how far a teacher agrees with the labels it has written.

    Args:
      teacher: The model that wrote them.
      records: Glob of the pseudo labels.
      ids: Pictures to look at again.
      score_floor: Of the labels.
      min_score: Score from which a label counts.
      checkpoints: How many others of its run are tried too: the last ones kept.
      strategy: On which devices, as `runtime.strategy`.
      tpu: As `runtime.tpu`.

    Returns:
      In [0, 1], means over the pictures: `mirror_agreement`, `scale_agreement`, and
      `checkpoint_agreement` (None: no other is kept); `checkpoints`, that of each;
      `pictures`, their number; `by_picture`, the mean of mirror and scale by image id.
    """
    devices = {"strategy": strategy, "tpu": tpu}
    watch = _Watch(records, ids, score_floor, min_score, devices)
    run = watch.open(teacher.prefix)
    mirror = watch.agreement(run, _mirror, _unmirror)
    scale = watch.agreement(run, _shrink, _unshrink)
    earlier = {}
    for prefix in _others(teacher, checkpoints):
        name = pathlib.Path(prefix).name
        seen = watch.agreement(
            watch.open(prefix), lambda p: p, lambda _, found, __: found
        )
        earlier[name] = statistics.fmean(seen.values())
    return {
        "pictures": len(ids),
        "mirror_agreement": statistics.fmean(mirror.values()),
        "scale_agreement": statistics.fmean(scale.values()),
        "checkpoint_agreement": statistics.fmean(earlier.values()) if earlier else None,
        "checkpoints": earlier,
        "by_picture": {i: (mirror[i] + scale[i]) / 2.0 for i in mirror},
    }


class _Watch:
    """Some pictures with their labels, looked at again and again."""

    def __init__(self, records, ids, score_floor, min_score, devices):
        self._records = records
        self._ids = ids
        self._score_floor = score_floor
        self._min_score = min_score
        self._devices = devices

    def open(self, prefix: str) -> RestoredRun:
        tf.keras.backend.clear_session()
        floor = self._score_floor
        return restore_run(prefix, purpose="labeling", min_score=floor, **self._devices)

    def agreement(
        self,
        run: RestoredRun,
        change: Callable[[Record], Record],
        undo: Callable[[object, Labels, tuple[int, int]], Labels],
    ) -> dict[str, float]:
        """Returns how far new labels agree with the written ones, by image id."""
        quality, sizes_px = run.task.new_quality(), {}

        def changed() -> Iterator[Record]:
            chosen = RecordPictures(self._records, self._ids)
            for picture in chosen.read(0, chosen.positions, SkipLog()):
                sizes_px[picture.image_id] = (picture.height_px, picture.width_px)
                yield change(picture)

        def seen() -> Iterator[tuple[str, Labels]]:
            found = Predictor(run.task, run.model).over_pictures(
                changed(), batch_size=run.config.evaluation.images_per_step
            )
            for picture, labels in found:
                size_px = sizes_px.pop(picture.image_id)
                labels = undo(quality, labels, size_px)
                yield picture.image_id, run.task.without_padding(labels)

        source = pipeline.open_source(self._records, self._ids, 0)
        # Paired by id: one side interleaves files, the other reads them in sequence.
        return {
            image_id: quality.agreement(labels, written, min_score=self._min_score)
            for image_id, labels, written in paired(
                seen(), read_labels(run.task, source)
            )
        }


def spread_ids(records: str, count: int) -> list[str]:
    """Returns at most `count` ids of records, at even distances."""
    return pictures.spread(pictures.all_ids(records), count)


def _others(teacher: ModelFile, count: int) -> list[str]:
    """Returns prefixes of a run's last checkpoints other than the teacher."""
    own = pathlib.Path(teacher.prefix)
    found = {path.with_suffix("") for path in own.parent.glob("ckpt-*.index")} - {own}
    found = sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))
    return [str(path) for path in found[max(len(found) - count, 0) :]]


def _mirror(picture: Record) -> Record:
    return _showing(picture, _pixels(picture)[:, ::-1])


def _unmirror(quality, labels: Labels, size_px: tuple[int, int]) -> Labels:
    return quality.mirrored(labels, size_px[1])


def _shrink(picture: Record) -> Record:
    """Returns the picture in a corner of a larger one.

    A network scales any picture to its input, so it is made a part of a larger one.
    """
    pixels = _pixels(picture)
    height, width = (math.ceil(side / _SCALE) for side in pixels.shape[:2])
    canvas = np.full([height, width, 3], FILL_GREY, np.uint8)
    canvas[: pixels.shape[0], : pixels.shape[1]] = pixels
    return _showing(picture, canvas)


def _unshrink(quality, labels: Labels, size_px: tuple[int, int]) -> Labels:
    return quality.cropped(labels, size_px)


def _pixels(picture: Record) -> np.ndarray:
    return decode.decode_image(tf.constant(picture.encoded)).numpy()


def _showing(picture: Record, pixels: np.ndarray) -> Record:
    return dataclasses.replace(
        picture,
        encoded=images.encode_png(np.ascontiguousarray(pixels)),
        format="png",
        height_px=pixels.shape[0],
        width_px=pixels.shape[1],
    )
