"""What `non_max_suppression` promises."""

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from st_keras.ops.boxes import pairwise_iou
from st_keras.ops.nms import (
    SOFT_NMS_FORMS,
    anchors_with_candidates,
    non_max_suppression,
)

# Box 1 overlaps box 0 by 36/44 = 0.82; box 2 is elsewhere; 20 x 40 px each.
BOXES = np.array([[10, 10, 30, 50], [10, 14, 30, 54], [40, 60, 60, 100]], np.float32)


def suppress(probabilities, *, xla=False, boxes=BOXES[None], **settings):
    settings = {"min_score": 0.1, "nms_iou": 0.5, "max_detections": 4} | settings
    return non_max_suppression(
        tf.convert_to_tensor(boxes),
        tf.convert_to_tensor(probabilities, tf.float32),
        xla=xla,
        **settings,
    )


def random_boxes(seed, classes):
    """50 boxes in each of two pictures; no two scores are equal."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, [60, 100], [2, 50, 2])
    sides = rng.uniform(5, [30, 60], [2, 50, 2])
    boxes = np.concatenate([low, low + sides], -1)
    scores = rng.uniform(0, 1, [2, 50, classes])
    return boxes.astype(np.float32), scores.astype(np.float32)


def by_loops(boxes, probabilities, min_score, nms_iou, max_detections):
    """The oracle: one picture, class by class, box by box."""
    overlaps = pairwise_iou(boxes, boxes).numpy()
    kept = []
    for class_id, scores in enumerate(probabilities.T):
        chosen = []
        for i in np.argsort(-scores):
            apart = all(overlaps[i, other] <= nms_iou for other in chosen)
            if scores[i] > min_score and apart and len(chosen) < max_detections:
                chosen.append(i)
                kept.append((scores[i], class_id, i))
    return sorted(kept, reverse=True)[:max_detections]


class NonMaxSuppressionTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(False, True)
    def test_of_two_boxes_of_a_class_that_overlap_the_better_stays(self, xla):
        found = suppress([[[0.6], [0.7], [0.5]]], xla=xla)
        self.assertAllClose(found.scores, [[0.7, 0.5, 0, 0]])
        self.assertAllClose(found.boxes_yxyx[0, :2], BOXES[[1, 2]])

    @parameterized.parameters(False, True)
    def test_boxes_of_different_classes_do_not_compete(self, xla):
        found = suppress([[[0.6, 0.0], [0.0, 0.7], [0.2, 0.3]]], xla=xla)
        self.assertAllClose(found.scores, [[0.7, 0.6, 0.3, 0.2]])
        self.assertAllEqual(found.class_ids, [[1, 0, 1, 0]])
        self.assertAllClose(found.boxes_yxyx[0], BOXES[[1, 0, 2, 2]])

    @parameterized.parameters(False, True)
    def test_only_more_overlap_than_the_bound_suppresses(self, xla):
        scores = [[[0.6], [0.7], [0.5]]]
        # 36/44 = 0.818.
        self.assertAllClose(
            suppress(scores, nms_iou=0.81, xla=xla).weights, [[1, 1, 0, 0]]
        )
        self.assertAllClose(
            suppress(scores, nms_iou=0.82, xla=xla).weights, [[1, 1, 1, 0]]
        )

    @parameterized.parameters(False, True)
    def test_a_box_at_the_least_score_is_not_returned(self, xla):
        found = suppress([[[0.25], [0.0], [0.26]]], min_score=0.25, xla=xla)
        self.assertAllClose(found.scores, [[0.26, 0, 0, 0]])
        self.assertAllClose(found.weights, [[1, 0, 0, 0]])

    @parameterized.parameters(False, True)
    def test_padding_rows_are_zeros(self, xla):
        found = suppress([[[0.05, 0.0], [0.0, 0.01], [0.02, 0.9]]], xla=xla)
        for field in found:
            self.assertAllEqual(field[0, 1:], tf.zeros_like(field[0, 1:]))
        self.assertEqual(found.class_ids[0, 0], 1)
        self.assertDTypeEqual(found.class_ids, np.int32)
        self.assertDTypeEqual(found.is_crowd, bool)

    @parameterized.parameters(False, True)
    def test_the_best_of_all_classes_remain_when_there_are_too_many(self, xla):
        scores = [[[0.6, 0.3], [0.1, 0.2], [0.5, 0.9]]]
        found = suppress(scores, max_detections=2, xla=xla)
        self.assertAllClose(found.scores, [[0.9, 0.6]])
        self.assertAllEqual(found.class_ids, [[1, 0]])

    @parameterized.parameters(False, True)
    def test_boxes_outside_the_unit_square_are_not_clipped(self, xla):
        far = np.array([[[-30, -80, 70, 900]]], np.float32)
        found = suppress([[[0.9]]], boxes=far, max_detections=1, xla=xla)
        self.assertAllClose(found.boxes_yxyx, far)

    @parameterized.parameters(0, 1, 2)
    def test_both_forms_are_the_loop_that_everybody_means(self, seed):
        boxes, scores = random_boxes(seed, classes=3)
        settings = {"min_score": 0.3, "nms_iou": 0.4, "max_detections": 20 + 15 * seed}
        for xla in (False, True):
            found = suppress(scores, boxes=boxes, xla=xla, **settings)
            for b in range(2):
                kept = by_loops(boxes[b], scores[b], **settings)
                count = len(kept)
                self.assertAllClose(found.weights[b], np.arange(20 + 15 * seed) < count)
                self.assertAllClose(found.scores[b, :count], [k[0] for k in kept])
                self.assertAllEqual(found.class_ids[b, :count], [k[1] for k in kept])
                kept_boxes = boxes[b][[k[2] for k in kept]]
                self.assertAllClose(found.boxes_yxyx[b, :count], kept_boxes)

    def test_the_form_for_xla_compiles_to_the_same(self):
        boxes, scores = random_boxes(3, classes=2)
        compiled = tf.function(
            lambda b, s: suppress(s, boxes=b, xla=True, max_detections=12),
            jit_compile=True,
        )
        found = compiled(tf.constant(boxes), tf.constant(scores))
        expected = suppress(scores, boxes=boxes, max_detections=12)
        for one, other in zip(found, expected, strict=True):
            self.assertAllClose(one, other)


class SoftSuppressionTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        # Overlap 36/44 = 0.8182, squared 0.6694; exp(-0.6694 / 0.5) = 0.2621,
        # exp(-0.6694 / (2 * 0.5)) = 0.5120.
        ("bodla", 0.6 * 0.2621),
        ("tensorflow", 0.6 * 0.5120),
    )
    def test_an_overlapping_box_is_weakened_as_the_form_says(self, form, weaker):
        found = suppress([[[0.6], [0.7], [0.5]]], soft_sigma=0.5, soft_form=form)
        self.assertAllClose(found.scores, [[0.7, 0.5, weaker, 0]], atol=1e-4)
        self.assertAllClose(found.boxes_yxyx[0, :3], BOXES[[1, 2, 0]])
        self.assertAllClose(found.weights, [[1, 1, 1, 0]])

    def test_twice_the_sigma_of_the_one_is_the_other(self):
        iou = tf.constant([0.0, 0.3, 1.0])
        self.assertAllClose(
            SOFT_NMS_FORMS["bodla"](iou, 0.5), SOFT_NMS_FORMS["tensorflow"](iou, 0.25)
        )

    def test_classes_do_not_weaken_each_other(self):
        found = suppress([[[0.6, 0.0], [0.0, 0.7], [0.0, 0.0]]], soft_sigma=0.3)
        self.assertAllClose(found.scores, [[0.7, 0.6, 0, 0]])

    def test_a_box_without_area_is_taken_once(self):
        flat = np.array([[[10, 10, 10, 50], [40, 60, 60, 100]]], np.float32)
        found = suppress([[[0.9], [0.4]]], boxes=flat, soft_sigma=0.3)
        self.assertAllClose(found.scores, [[0.9, 0.4, 0, 0]])

    @parameterized.product(seed=(0, 1), jit_compile=(False, True))
    def test_it_is_the_kernel_of_tensorflow_class_by_class(self, seed, jit_compile):
        boxes, scores = random_boxes(seed, classes=3)
        run = tf.function(
            lambda b, s: suppress(
                s, boxes=b, soft_sigma=0.3, min_score=0.2, max_detections=60
            ),
            jit_compile=jit_compile,
        )
        found = run(tf.constant(boxes), tf.constant(scores))
        for b in range(2):
            rows = []
            for class_id in range(3):
                index, kept = tf.image.non_max_suppression_with_scores(
                    boxes[b],
                    scores[b, :, class_id],
                    max_output_size=60,
                    iou_threshold=1.0,
                    score_threshold=0.2,
                    soft_nms_sigma=0.3,
                )
                rows += [
                    (score, class_id, i)
                    for score, i in zip(kept.numpy(), index.numpy(), strict=True)
                ]
            rows = sorted(rows, reverse=True)[:60]
            count = len(rows)
            self.assertBetween(count, 20, 60)
            self.assertAllClose(found.scores[b, :count], [r[0] for r in rows])
            self.assertAllEqual(found.class_ids[b, :count], [r[1] for r in rows])
            expected = boxes[b][[r[2] for r in rows]]
            self.assertAllClose(found.boxes_yxyx[b, :count], expected)
            self.assertAllEqual(found.weights[b, count:], np.zeros(60 - count))


class CandidatesTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(5)
        self.logits = rng.normal(-9.0, 1.0, [2, 900, 3]).astype(np.float32)
        self.places = [rng.permutation(900)[:n] for n in (300, 7)]
        for picture, places in enumerate(self.places):
            rows = rng.normal(0.0, 1.0, len(places))
            self.logits[picture, places, rng.integers(0, 3, len(places))] = rows
        low = rng.uniform(0, 80, [2, 900, 2])
        sides = rng.uniform(5, 30, [2, 900, 2])
        self.boxes = np.concatenate([low, low + sides], -1).astype(np.float32)

    def test_as_many_anchors_as_the_fullest_picture_needs_are_chosen_in_order(self):
        # Logit -5 is p = 0.0067; 300 anchors are above it, which is 2 times 256.
        chosen = anchors_with_candidates(tf.constant(self.logits), 0.0067).numpy()
        self.assertEqual(chosen.shape, (2, 512))
        for picture, places in enumerate(self.places):
            wanted = np.sort(places)
            self.assertAllEqual(chosen[picture, : len(wanted)], wanted)

    def test_they_give_what_all_anchors_give(self):
        # Nearly all of the 300, and so more than 256, are above 0.05.
        settings = {"min_score": 0.05, "nms_iou": 0.5, "max_detections": 40}
        chosen = anchors_with_candidates(tf.constant(self.logits), 0.05)
        found = non_max_suppression(
            tf.gather(self.boxes, chosen, batch_dims=1),
            tf.sigmoid(tf.gather(self.logits, chosen, batch_dims=1)),
            **settings,
        )
        of_all = non_max_suppression(
            tf.constant(self.boxes), tf.sigmoid(self.logits), **settings
        )
        self.assertGreater(np.sum(found.weights), 20)
        for field, other in zip(found, of_all, strict=True):
            self.assertAllEqual(field, other)

    def test_of_no_pictures_none_is_chosen(self):
        for anchors in (3, 300):
            chosen = anchors_with_candidates(tf.zeros([0, anchors, 2]), 0.1)
            self.assertEqual(chosen.shape[0], 0)

    def test_without_a_least_score_every_anchor_is_chosen(self):
        chosen = anchors_with_candidates(tf.constant(self.logits), 0.0)
        self.assertAllEqual(chosen, [np.arange(900)] * 2)


def test_a_form_that_there_is_not_is_named():
    with pytest.raises(ValueError, match="`soft_form` must be one of .*, got 'bodlla'"):
        non_max_suppression(
            tf.zeros([1, 2, 4]),
            tf.zeros([1, 2, 3]),
            min_score=0.1,
            nms_iou=0.5,
            max_detections=2,
            soft_form="bodlla",
        )
