"""What a run warns of, with numbers that are known."""

import dataclasses

import numpy as np
import pytest

from st_keras.experiments import self_train
from st_keras.metrics.box_quality import BoxQuality
from st_keras.metrics.pixel_quality import PixelQuality
from st_keras.runtime import warnings_of_run
from st_keras.training import loop
from st_keras.types import Boxes, LabelMap


@pytest.mark.parametrize(
    ("images", "replicas", "is_synchronized", "seen"),
    [
        (4, 1, False, None),
        (3, 1, False, 3),
        (16, 4, False, None),
        (15, 5, False, 3),
        (16, 8, True, None),
        (16, 8, False, 2),
        (2, 2, True, 2),
    ],
)
def test_statistics_of_few_images_are_warned_of(
    images, replicas, is_synchronized, seen
):
    text = warnings_of_run.batch_norm_warning(
        images, replicas, is_synchronized=is_synchronized
    )
    assert bool(text) == (seen is not None)
    if text:
        assert text.startswith(f"BatchNorm takes its statistics from {seen} images")


def test_the_cure_is_the_one_that_helps():
    apart = warnings_of_run.batch_norm_warning(16, 8, is_synchronized=False)
    assert "Set `runtime.sync_batch_norm`, or raise `images_per_step` to 32" in apart
    alone = warnings_of_run.batch_norm_warning(3, 1, is_synchronized=True)
    assert "sync_batch_norm" not in alone
    assert "Raise `images_per_step` to 4 or more" in alone
    # Replicas that share their statistics need four pictures together: 3 x 2 is the
    # next number that all three can share.
    for replicas, images in ((2, 4), (3, 6)):
        told = warnings_of_run.batch_norm_warning(3, replicas, is_synchronized=True)
        assert f"Raise `images_per_step` to {images} or more" in told


def test_slices_of_a_step_are_seen_one_by_one():
    """8 pictures in 4 slices: 2 for each pass, whose statistics are its own."""
    told = warnings_of_run.batch_norm_warning(8, 1, is_synchronized=True, slices=4)
    assert told.startswith("BatchNorm takes its statistics from 2 images")
    assert "Lower `training.accumulation_steps`, or raise `images_per_step` to 16" in (
        told
    )
    enough = {"is_synchronized": True, "slices": 2}
    assert warnings_of_run.batch_norm_warning(8, 1, **enough) == ""
    apart = warnings_of_run.batch_norm_warning(16, 4, is_synchronized=False, slices=2)
    assert "Set `runtime.sync_batch_norm`, or lower `training.acc" in apart


def rows(*losses, human=1.0):
    """One row for every 50 steps."""
    return [
        {"step": 50 * number, "human/loss": human, "pseudo/loss": loss}
        for number, loss in enumerate(losses, start=1)
    ]


def warned_at(logged, normalize=True, before=()):
    watch = warnings_of_run.PseudoLossWatch(normalize=normalize, rows=before)
    texts = {row["step"]: watch.add(row["step"], row) for row in logged}
    return {step: text for step, text in texts.items() if text}


def test_pseudo_labels_that_stay_too_hard_are_warned_of_once():
    # 11 times the human loss from step 50 on; 200 steps later is step 250.
    assert list(warned_at(rows(1, 11, 11, 11, 11, 11, 11))) == [250]
    assert not warned_at(rows(11, 11, 11, 10, 11, 11, 11))  # Once it was 10 times.
    assert not warned_at(rows(*[11] * 9, human=2.0))


def test_rows_without_losses_neither_end_nor_begin_a_hard_time():
    logged = rows(11, 11, 11, 11)
    logged.insert(2, {"step": 100, "evaluation/AP": 3.0})
    assert list(warned_at(logged)) == [200]


def test_a_run_that_was_killed_warns_when_it_would_have():
    logged = rows(1, 11, 11, 11, 11, 11)
    for killed in range(len(logged)):
        later = warned_at(logged[killed:], before=logged[:killed])
        assert list(later) == ([250] if killed < 5 else [])


def test_the_cure_of_a_hard_pseudo_loss_is_the_one_that_helps():
    (text,) = warned_at(rows(*[30] * 4), normalize=False).values()
    assert "(30 and 1) for 200 steps, up to step 200" in text
    assert "Set `pseudo.normalize`, or lower `pseudo.weight`; raise" in text
    (text,) = warned_at(rows(*[30] * 4)).values()
    assert "Set `pseudo.normalize`" not in text


def boxes(scores):
    count = len(scores)
    return Boxes(
        boxes_yxyx=np.tile(np.float32([1, 2, 9, 8]), [count, 1]),
        class_ids=np.zeros(count, np.int32),
        scores=np.float32(scores),
        weights=np.ones(count, np.float32),
        is_crowd=np.zeros(count, bool),
    )


def quality(pseudo_scores, human_counts=(2, 3)):
    found = BoxQuality()
    for count in human_counts:
        found.add_human(boxes([1.0] * count))
    for scores in pseudo_scores:
        found.add(boxes(scores), None)
    return found


def test_as_many_as_people_have_are_no_warning():
    # People have 2.5 a picture; a fifth of that is 0.5, five times is 12.5.
    assert not warnings_of_run.density_warning(quality([[0.6], []]), 0.5)
    assert not warnings_of_run.density_warning(quality([[0.6] * 12, [0.6] * 13]), 0.5)


def test_too_few_name_the_threshold_that_keeps_as_many_as_people_have():
    pseudo = [[0.72, 0.38, 0.37, 0.12], [0.38, 0.37, 0.11], [0.1] * 9]
    text = warnings_of_run.density_warning(quality(pseudo), 0.7)
    # One box on three pictures. From 0.15 on there are 5, from 0.1 on 16.
    assert "`pseudo.min_score` 0.7 keeps 0.333 boxes per image, where" in text
    assert "people have 2.5" in text
    assert "`pseudo.min_score=0.15` would keep 1.67" in text


def test_a_threshold_under_what_is_stored_is_not_proposed():
    pseudo = [[0.72, 0.38, 0.37, 0.31], [0.38, 0.37, 0.31]]
    text = warnings_of_run.density_warning(quality(pseudo), 0.75, floor=0.35)
    # 0.3 would keep seven on two pictures, where people have five.
    assert "`pseudo.min_score=0.35` would keep 2.5" in text


def test_too_many_are_warned_of_alike():
    text = warnings_of_run.density_warning(quality([[0.52] * 12 + [0.91, 0.92]]), 0.3)
    assert "`pseudo.min_score` 0.3 keeps 14 boxes per image" in text
    assert "`pseudo.min_score=0.55` would keep 2" in text


def test_a_teacher_that_says_nothing_at_any_score_needs_more_than_a_threshold():
    text = warnings_of_run.density_warning(quality([[], []]), 0.5)
    assert "keeps 0 boxes per image" in text
    assert "train the teacher longer" in text


def test_without_human_labels_there_is_nothing_to_compare_with():
    assert not warnings_of_run.density_warning(quality([[]], human_counts=()), 0.5)
    assert not warnings_of_run.density_warning(quality([[]], human_counts=(0, 0)), 0.5)


def test_pixels_are_compared_by_the_share_that_is_known():
    found = PixelQuality(("road", "car"))
    known = LabelMap(np.zeros([4, 5], np.uint8), np.full([4, 5], 255, np.uint8))
    found.add_human(known)
    confidences = np.full([4, 5], 60, np.uint8)  # 0.235
    confidences[0, :3] = 200  # 0.784
    found.add(known._replace(confidences=confidences), None)
    text = warnings_of_run.density_warning(found, 0.7)
    assert "`pseudo.min_score` 0.7 keeps 0.15 coverage, where people have 1" in text
    assert "`pseudo.min_score=0.05` would keep 1" in text
    assert not warnings_of_run.density_warning(found, 0.2)


@pytest.mark.slow
def test_training_says_it_before_the_first_step(teacher_config, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(loop.logging, "warning", said.append)
    human = dataclasses.replace(teacher_config.human, images_per_step=2)
    training = dataclasses.replace(teacher_config.training, steps=1)
    config = dataclasses.replace(teacher_config, human=human, training=training)
    loop.train(config, str(tmp_path))
    assert [text.split(",")[0] for text in said] == [
        "BatchNorm takes its statistics from 2 images (`images_per_step` is 2 in all"
    ]


@pytest.mark.slow
def test_self_training_says_it_before_the_student(
    student_config, tmp_path, monkeypatch
):
    said = []
    monkeypatch.setattr(self_train.logging, "warning", said.append)
    # After two steps no box reaches 0.9.
    pseudo = dataclasses.replace(student_config.pseudo, min_score=0.9)
    training = dataclasses.replace(student_config.training, steps=2)
    config = dataclasses.replace(student_config, pseudo=pseudo, training=training)
    self_train.self_train(config, str(tmp_path))
    (text,) = said
    assert "`pseudo.min_score` 0.9 keeps 0 boxes per image, where people have" in text
    self_train.self_train(config, str(tmp_path))
    assert len(said) == 1  # The student is there, so it is too late.
