"""Pictures whose truth is known, and a teacher whose mistakes are put in by hand."""

import collections
import dataclasses
import pathlib

import numpy as np

from st_keras.data import images, records
from tests.record_files import write_records
from tests.self_training.made_up_labels import write_labels

CLASSES = ("ball", "cup", "kite")
PICTURES = 200
SIZE_PX = (60, 100)
# By class: how often a box is dropped, found elsewhere, or found with a low score; and
# how many boxes are invented per picture. Unlike, so that a swap of classes shows.
DROPPED = (0.10, 0.30, 0.20)
ELSEWHERE = (0.25, 0.05, 0.15)
UNSURE = (0.05, 0.10, 0.30)
INVENTED = (0.10, 0.40, 0.20)


@dataclasses.dataclass
class Injected:
    """What was put in, counted while it was."""

    true: collections.Counter  # By class.
    kept: collections.Counter  # From 0.5 on.
    right: collections.Counter
    dropped: int = 0  # Under 0.5; all of them are right.

    def precision(self, *class_ids):
        kept = sum(self.kept[i] for i in class_ids)
        return sum(self.right[i] for i in class_ids) / kept

    def recall(self, *class_ids):
        true = sum(self.true[i] for i in class_ids)
        return sum(self.right[i] for i in class_ids) / true


def write(folder: pathlib.Path, pictures: int = PICTURES) -> Injected:
    """Writes `truth` and `pseudo` into a folder and returns what was put in."""
    rng = np.random.default_rng(20)
    injected = Injected(*(collections.Counter() for _ in range(3)))
    truth, pseudo = [], []
    for number in range(pictures):
        real, said = _picture(rng, injected)
        record = _record(rng, f"scene_{number:03d}", real)
        truth.append(record)
        pseudo.append(
            dataclasses.replace(
                record,
                boxes_yxyx=np.float32([box for box, _, _ in said]).reshape([-1, 4]),
                labels=np.int64([class_id + 1 for _, class_id, _ in said]),
                scores=np.float32([score for _, _, score in said]),
            )
        )
    write_records(folder / "truth", truth, num_shards=3, class_names=CLASSES)
    write_labels(
        folder / "pseudo",
        pseudo[::-1],  # In another order than the truth.
        teacher="gone/teacher/checkpoints/ckpt-8",
        teacher_sha256="0a1b2c3d4e5f",
        class_names=CLASSES,
    )
    return injected


def _picture(rng, injected: Injected) -> tuple[list, list]:
    """Returns boxes with classes, and what the teacher makes of them.

    True boxes lie in the left half, 20 px apart; all else lies in the right half.
    """
    real, said = [], []
    free = [[y, x, y + 9, x + 12] for y in (1, 21, 41) for x in (52, 68, 84)]
    rng.shuffle(free)
    for row in range(rng.integers(0, 4)):
        class_id = int(rng.integers(0, 3))
        y0, x0 = 20 * row + rng.integers(0, 3), rng.integers(0, 10)
        box = [y0, x0, y0 + rng.integers(12, 16), x0 + rng.integers(20, 35)]
        real.append((box, class_id))
        injected.true[class_id] += 1
        fate = rng.random()
        if (fate := fate - DROPPED[class_id]) < 0:
            continue
        if (fate := fate - ELSEWHERE[class_id]) < 0:
            said.append((free.pop(), class_id, rng.uniform(0.5, 1)))
            injected.kept[class_id] += 1
        elif fate < UNSURE[class_id]:
            said.append((box, class_id, rng.uniform(0.1, 0.49)))
            injected.dropped += 1
        else:
            # A pixel beside: 11 of at least 13 rows, 19 of 21 columns, over 0.7.
            said.append((np.add(box, [1, 1, 1, 1]), class_id, rng.uniform(0.5, 1)))
            injected.kept[class_id] += 1
            injected.right[class_id] += 1
    for class_id, rate in enumerate(INVENTED):
        if rng.random() < rate:
            said.append((free.pop(), class_id, rng.uniform(0.5, 1)))
            injected.kept[class_id] += 1
    return real, said


def _record(rng, image_id, real) -> records.Record:
    pixels = rng.integers(0, 60, [*SIZE_PX, 3]).astype(np.uint8)
    for (y0, x0, y1, x1), class_id in real:
        pixels[y0:y1, x0:x1, class_id] = 220
    return records.Record(
        image_id=image_id,
        encoded=images.encode_png(pixels),
        format="png",
        filename="",
        height_px=SIZE_PX[0],
        width_px=SIZE_PX[1],
        boxes_yxyx=np.float32([box for box, _ in real]).reshape([-1, 4]),
        labels=np.int64([class_id + 1 for _, class_id in real]),
    )
