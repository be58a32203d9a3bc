"""What `encode_boxes` and `decode_boxes` promise."""

import math

import numpy as np
import tensorflow as tf

from st_keras.ops.box_coding import decode_boxes, encode_boxes

ANCHOR = np.array([[10, 10, 30, 50]], np.float32)  # 20 high, 40 wide.


class EncodeBoxesTest(tf.test.TestCase):
    def test_a_box_on_its_anchor_has_no_offset(self):
        self.assertAllClose(encode_boxes(ANCHOR[None], ANCHOR), [[[0, 0, 0, 0]]])

    def test_moves_are_counted_in_anchor_sides(self):
        # 5 px down is 5/20 of the height; 10 px right is 10/40 of the width.
        moved = ANCHOR + np.array([5, 10, 5, 10], np.float32)
        self.assertAllClose(encode_boxes(moved[None], ANCHOR), [[[0.25, 0.25, 0, 0]]])

    def test_doubling_the_width_costs_log_two(self):
        # Same centre (20, 30), 80 wide instead of 40.
        wide = np.array([[[10, -10, 30, 70]]], np.float32)
        self.assertAllClose(encode_boxes(wide, ANCHOR), [[[0, 0, 0, math.log(2)]]])

    def test_padding_rows_stay_finite(self):
        offsets = encode_boxes(np.zeros([1, 1, 4], np.float32), ANCHOR)
        self.assertAllInRange(offsets, -1e3, 1e3)

    def test_the_number_of_pictures_may_be_unknown_to_the_graph(self):
        encode = tf.function(
            lambda boxes: encode_boxes(boxes, ANCHOR),
            input_signature=[tf.TensorSpec([None, 1, 4])],
        )
        self.assertAllClose(encode(np.stack([ANCHOR] * 3)), np.zeros([3, 1, 4]))

    def test_a_wrong_shape_is_named(self):
        with self.assertRaisesRegex(ValueError, r"`boxes_yxyx`.*\(1, 1, 5\)"):
            encode_boxes(np.zeros([1, 1, 5], np.float32), ANCHOR)
        with self.assertRaisesRegex(ValueError, r"`anchors_yxyx`.*\(1, 3\)"):
            encode_boxes(ANCHOR[None], ANCHOR[:, :3])


class DecodeBoxesTest(tf.test.TestCase):
    def test_no_offset_gives_the_anchor(self):
        self.assertAllClose(decode_boxes(np.zeros([1, 1, 4], "f"), ANCHOR), [ANCHOR])

    def test_it_undoes_encoding(self):
        rng = np.random.default_rng(3)
        low = rng.uniform(-20, 60, [2, 7, 2])
        boxes = np.concatenate([low, low + rng.uniform(1, [40, 90], [2, 7, 2])], -1)
        anchors = np.tile(ANCHOR, [7, 1]) + rng.uniform(0, 5, [7, 4]).astype("f")
        offsets = encode_boxes(boxes.astype("f"), anchors)
        self.assertAllClose(decode_boxes(offsets, anchors), boxes, atol=1e-3)

    def test_a_side_grows_at_most_62_5_times(self):
        # From the centre (20, 30): 20 * 62.5 / 2 = 625 up; 40 * 62.5 / 2 = 1250 left.
        grown = decode_boxes(tf.constant([[[0.0, 0.0, 50.0, 1e30]]]), ANCHOR)
        self.assertAllClose(grown, [[[20 - 625, 30 - 1250, 20 + 625, 30 + 1250]]])

    def test_a_wrong_shape_is_named(self):
        with self.assertRaisesRegex(ValueError, r"`offsets`.*\(1, 1, 3\)"):
            decode_boxes(np.zeros([1, 1, 3], np.float32), ANCHOR)
