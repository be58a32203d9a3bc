"""What `anchor_targets` promises."""

import numpy as np
import tensorflow as tf

from st_keras.ops.matching import match_anchors
from st_keras.ops.targets import anchor_targets
from st_keras.types import Boxes

# 20 high and 40 wide; the third is far from every box.
ANCHORS = np.array([[0, 0, 20, 40], [40, 50, 60, 90], [200, 200, 220, 240]], np.float32)


def labels(boxes_yxyx, class_ids, weights):
    count = len(class_ids)
    return Boxes(
        boxes_yxyx=tf.reshape(tf.constant(boxes_yxyx, tf.float32), [1, count, 4]),
        class_ids=tf.reshape(tf.constant(class_ids, tf.int32), [1, count]),
        scores=tf.ones([1, count]),
        weights=tf.reshape(tf.constant(weights, tf.float32), [1, count]),
        is_crowd=tf.zeros([1, count], tf.bool),
    )


def targets_of(rows):
    matches = match_anchors(
        ANCHORS, rows.boxes_yxyx, rows.weights, positive_iou=0.5, negative_iou=0.5
    )
    return anchor_targets(rows, matches, ANCHORS, num_classes=3)


class AnchorTargetsTest(tf.test.TestCase):
    def test_an_anchor_learns_class_offset_and_weight_of_its_box(self):
        # The first box is 2 px lower than anchor 1, 2/20 of its height; the second is
        # anchor 0; the last row is padding.
        found = targets_of(
            labels(
                [[42, 50, 62, 90], [0, 0, 20, 40], [0, 0, 0, 0]],
                class_ids=[2, 0, 0],
                weights=[0.25, 1.0, 0.0],
            )
        )
        self.assertAllEqual(
            found.class_targets[0],
            [[True, False, False], [False, False, True], [False, False, False]],
        )
        self.assertAllClose(
            found.offset_targets[0, :2], [[0, 0, 0, 0], [0.1, 0, 0, 0]], atol=1e-6
        )
        # Background weighs 1, whatever box is nearest.
        self.assertAllClose(found.weights, [[1.0, 0.25, 1.0]])
        self.assertAllEqual(found.num_positives, 2.0)

    def test_without_a_row_all_is_background(self):
        found = targets_of(labels(np.zeros([0, 4]), class_ids=[], weights=[]))
        self.assertAllEqual(found.class_targets, np.zeros([1, 3, 3], bool))
        self.assertAllEqual(found.offset_targets, np.zeros([1, 3, 4]))
        self.assertIsNone(found.weights)
        self.assertAllEqual(found.num_positives, 0.0)
