"""What `match_anchors` promises."""

import functools

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from st_keras.ops.anchors import make_anchors
from st_keras.ops.matching import match_anchors

# Five anchors of 20 x 40 px in a row, 20 px from one to the next.
ANCHORS = np.array([[10, x, 30, x + 40] for x in (0, 20, 40, 60, 80)], np.float32)


def match(boxes, weights=None, positive_iou=0.5, negative_iou=0.5):
    """Matches the boxes of one picture and returns its row of each field."""
    boxes = np.asarray(boxes, np.float32).reshape([1, -1, 4])
    if weights is None:
        weights = np.ones(boxes.shape[1])
    matches = match_anchors(
        ANCHORS,
        boxes,
        np.asarray(weights, np.float32)[None],
        positive_iou=positive_iou,
        negative_iou=negative_iou,
    )
    return type(matches)(*(field[0].numpy() for field in matches))


class MatchAnchorsTest(tf.test.TestCase, parameterized.TestCase):
    def test_an_anchor_learns_the_box_it_overlaps_most(self):
        # Box 0 lies on anchor 3; box 1 on anchor 1, moved by 4 px of 40: IoU
        # 36/44 = 0.82. Anchor 2 overlaps box 1 by 24/56 = 0.43, more than box 0 by 1/3.
        matches = match([[10, 60, 30, 100], [10, 24, 30, 64]])
        self.assertAllEqual(matches.is_positive, [False, True, False, True, False])
        self.assertAllEqual(matches.box_index[[1, 2, 3]], [1, 1, 0])
        self.assertAllEqual(matches.is_counted, [True] * 5)

    def test_the_thresholds_belong_to_positive_and_to_ignored(self):
        # Anchor 1 moved right by 8 of 40 px: IoU 32/48 = 2/3 with anchor 1, and
        # 28/52 = 0.538 with anchor 2.
        box = [[10, 28, 30, 68]]
        band = match(box, positive_iou=0.6, negative_iou=0.5)
        self.assertAllEqual(band.is_positive, [False, True, False, False, False])
        self.assertAllEqual(band.is_counted, [True, True, False, True, True])
        under = match(box, positive_iou=0.6, negative_iou=0.55)
        self.assertAllEqual(under.is_counted, [True] * 5)

    def test_an_overlap_at_a_threshold_is_on_its_upper_side(self):
        # 80 px wide: anchors 1, 2 and 3 overlap it by 40/80 = 1/2; it owns the first.
        wide = [[10, 20, 30, 100]]
        at_positive = match(wide, positive_iou=0.5, negative_iou=0.5)
        self.assertAllEqual(at_positive.is_positive, [False, True, True, True, False])
        at_negative = match(wide, positive_iou=0.6, negative_iou=0.5)
        self.assertAllEqual(at_negative.is_positive, [False, True, False, False, False])
        self.assertAllEqual(at_negative.is_counted, [True, True, False, False, True])

    def test_every_box_owns_its_best_anchor_however_little_they_overlap(self):
        # 4 x 4 px in anchor 4 alone: 16/800 = 0.02.
        matches = match([[12, 110, 16, 114]])
        self.assertAllEqual(matches.is_positive, [False] * 4 + [True])
        self.assertEqual(matches.box_index[4], 0)

    def test_an_owned_anchor_is_counted_though_its_overlap_is_in_the_ignored_band(self):
        # 28 px of the 40 of anchor 0: IoU 0.7, and 8/60 with anchor 1.
        matches = match([[10, 0, 30, 28]], positive_iou=0.9, negative_iou=0.1)
        self.assertAllEqual(matches.is_positive, [True] + [False] * 4)
        self.assertAllEqual(matches.is_counted, [True, False, True, True, True])

    def test_of_two_boxes_that_want_one_anchor_the_lower_row_gets_it(self):
        # Box 1 overlaps anchor 4 by 36/40; box 2, inside it, by 16/800. Both have no
        # better anchor, so the lower row gets it.
        matches = match([[10, 20, 30, 60], [10, 84, 30, 120], [12, 110, 16, 114]])
        self.assertEqual(matches.box_index[4], 1)
        # The other way round, the small one gets it, though it overlaps less.
        matches = match([[10, 20, 30, 60], [12, 110, 16, 114], [10, 84, 30, 120]])
        self.assertEqual(matches.box_index[4], 1)
        self.assertAllEqual(matches.is_positive, [False, True, False, False, True])

    def test_rows_of_weight_0_match_nothing_and_make_nothing(self):
        # Without the mask, the first two would make anchor 0 a positive.
        padding = [[0, 0, 0, 0], [0, 0, 0, 0]]
        box = [10, 60, 30, 100]
        nothing = match([*padding, box], weights=[0, 0, 0])
        self.assertAllEqual(nothing.is_positive, [False] * 5)
        self.assertAllEqual(nothing.is_counted, [True] * 5)
        one = match([*padding, box], weights=[0, 0, 0.3])
        self.assertAllEqual(one.is_positive, [False, False, False, True, False])
        self.assertEqual(one.box_index[3], 2)

    def test_padding_that_counts_by_mistake_still_owns_no_anchor(self):
        matches = match([[0, 0, 0, 0]], weights=[1])
        self.assertAllEqual(matches.is_positive, [False] * 5)

    def test_a_picture_without_rows_is_background(self):
        matches = match([])
        self.assertAllEqual(matches.is_positive, [False] * 5)
        self.assertAllEqual(matches.is_counted, [True] * 5)
        self.assertAllEqual(matches.box_index, [0] * 5)

    def test_pictures_of_a_batch_do_not_mix(self):
        boxes = np.array([[[10, 60, 30, 100]] * 2, [[10, 20, 30, 60]] * 2], np.float32)
        matches = match_anchors(
            ANCHORS,
            boxes,
            tf.constant([[0.0, 1.0], [1.0, 0.0]]),
            positive_iou=0.5,
            negative_iou=0.5,
        )
        self.assertAllEqual(np.argwhere(matches.is_positive), [[0, 3], [1, 1]])
        self.assertEqual(matches.box_index[0, 3], 1)
        self.assertEqual(matches.box_index[1, 1], 0)

    @parameterized.parameters(
        *((seed, *ious) for seed in range(3) for ious in [(0.5, 0.5), (0.5, 0.4)])
    )
    def test_without_padding_it_is_the_labeler_of_tf_models_official(
        self, seed, positive_iou, negative_iou
    ):
        from official.vision.ops import anchor

        rng = np.random.default_rng(seed)
        anchors = make_anchors(
            (64, 128),
            min_level=3,
            max_level=4,
            scales_per_octave=2,
            aspect_ratios=(0.3, 1.0, 2.0),
            anchor_size=3.0,
        )
        count = 4 + 3 * seed
        low = rng.uniform(0, [50, 100], [count, 2])
        boxes = np.concatenate([low, low + rng.uniform(3, [30, 60], [count, 2])], -1)
        boxes = boxes.astype(np.float32)
        matches = match_anchors(
            anchors,
            boxes[None],
            tf.ones([1, count]),
            positive_iou=positive_iou,
            negative_iou=negative_iou,
        )
        labeler = anchor.AnchorLabeler(positive_iou, negative_iou)
        rows = tf.range(count)[:, None]
        # One "level" of as many rows as there are anchors, one anchor in each.
        as_level = {"3": tf.constant(anchors)[:, None]}
        labels, _, _, class_weights, box_weights = labeler.label_anchors(
            as_level, boxes, rows
        )
        positive = matches.is_positive[0]
        self.assertAllEqual(positive, box_weights > 0)
        self.assertAllEqual(matches.is_counted[0], class_weights > 0)
        self.assertAllEqual(
            tf.where(positive, matches.box_index[0], -1), tf.reshape(labels["3"], [-1])
        )
        self.assertGreater(np.sum(positive), count)


def all_at_once(anchors, boxes, weights, positive_iou, negative_iou):
    """The same in NumPy, with the overlap of every anchor with every box."""
    low = np.maximum(anchors[:, None, :2], boxes[None, :, :2])
    high = np.minimum(anchors[:, None, 2:], boxes[None, :, 2:])
    overlap = np.maximum(high - low, 0).prod(-1)
    areas = [(b[:, 2:] - b[:, :2]).prod(-1) for b in (anchors, boxes)]
    union = areas[0][:, None] + areas[1][None] - overlap
    iou = np.where(weights > 0, overlap / np.maximum(union, 1e-9), -1.0)
    index, best = iou.argmax(1), iou.max(1)
    owner = np.full(len(anchors), -1)
    for row in reversed(range(len(boxes))):  # The lower row has the last word.
        if iou[:, row].max() > 0:
            owner[iou[:, row].argmax()] = row
    is_owned = owner >= 0
    positive = (best >= positive_iou) | is_owned
    counted = positive | (best < negative_iou)
    return np.where(is_owned, owner, index), positive, counted


class ManyBoxesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(1, 7, 8, 9, 30)
    def test_rows_that_are_gone_through_in_parts_give_what_all_at_once_give(self, rows):
        random = np.random.default_rng(rows)
        anchors = make_anchors(
            (128, 256),
            min_level=3,
            max_level=7,
            scales_per_octave=2,
            aspect_ratios=(1.0, 0.3),
            anchor_size=3.0,
        )
        corners = random.integers(0, 100, [2, rows, 2])
        sides = random.integers(5, 90, [2, rows, 2])
        boxes = np.concatenate([corners, corners + sides], -1).astype(np.float32)
        boxes[:, rows // 2] = boxes[:, 0]  # Two want the same anchors.
        weights = (random.random([2, rows]) < 0.7).astype(np.float32)
        weights[:, [0, rows // 2]] = 1
        weights[0, rows - 1] = 0  # Of one picture, the last part may be padding.
        weights[1, rows - 1] = 1
        matches = match_anchors(
            anchors, boxes, weights, positive_iou=0.5, negative_iou=0.4
        )
        for image in range(2):
            index, positive, counted = all_at_once(
                np.asarray(anchors), boxes[image], weights[image], 0.5, 0.4
            )
            self.assertAllEqual(matches.is_positive[image], positive)
            self.assertAllEqual(matches.is_counted[image], counted)
            self.assertAllEqual(
                tf.boolean_mask(matches.box_index[image], positive), index[positive]
            )

    def test_a_number_of_rows_that_is_not_known_before_makes_no_difference(self):
        boxes = np.tile(np.float32([[10, 24, 30, 64], [10, 60, 30, 100]]), [1, 5, 1])
        match = functools.partial(match_anchors, positive_iou=0.5, negative_iou=0.5)
        shapes = ([5, 4], [1, None, 4], [1, None])
        dynamic = tf.function(match, input_signature=[*map(tf.TensorSpec, shapes)])
        known = match(ANCHORS, boxes, np.ones([1, 10], np.float32))
        self.assertTrue(known.is_positive.numpy().any())
        for field, other in zip(
            dynamic(ANCHORS, boxes, np.ones([1, 10], np.float32)), known, strict=True
        ):
            self.assertAllEqual(field, other)
