"""What `make_anchors` promises."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from st_keras.ops.anchors import make_anchors

RATIOS = (0.3, 1.0, 2.0)  # Width over height.


def anchors_of(image_size_px, min_level, max_level, ratios=RATIOS, size=3.0):
    return make_anchors(
        image_size_px,
        min_level=min_level,
        max_level=max_level,
        scales_per_octave=2,
        aspect_ratios=ratios,
        anchor_size=size,
    )


class MakeAnchorsTest(tf.test.TestCase, parameterized.TestCase):
    def test_the_first_anchor_sits_in_the_middle_of_the_first_cell(self):
        # Level 3: cells of 8 px, the first centre at (4, 4). Size 3 strides = 24 px;
        # ratio 0.25: twice as high, half as wide: 48 x 12.
        first = anchors_of((16, 32), 3, 3, ratios=(0.25,))[0]
        self.assertAllClose(first, [4 - 24, 4 - 6, 4 + 24, 4 + 6])

    def test_rows_then_columns_then_scales_then_ratios(self):
        # 16 x 32 px at level 3: 2 rows of 4 columns, 2 scales, 3 ratios each.
        grid = anchors_of((16, 32), 3, 3).reshape([2, 4, 2, 3, 4])
        centers = (grid[..., :2] + grid[..., 2:]) / 2
        self.assertAllClose(centers[1, 3], np.broadcast_to([12, 28], [2, 3, 2]))
        sides = grid[..., 2:] - grid[..., :2]
        self.assertAllClose(sides[1, 3, 0, 1], [24, 24])
        # The second scale is half an octave up: 24 * sqrt(2) = 33.94.
        self.assertAllClose(sides[1, 3, 1, 1], [33.941, 33.941], atol=1e-3)
        # Ratio 2 keeps the area: 24 / sqrt(2) = 16.97 high, 33.94 wide.
        self.assertAllClose(sides[1, 3, 0, 2], [16.971, 33.941], atol=1e-3)

    def test_every_ratio_keeps_the_area_of_its_scale(self):
        y0, x0, y1, x1 = anchors_of((64, 32), 5, 5).T
        area = ((y1 - y0) * (x1 - x0)).reshape([2, 1, 2, 3])
        # 96 x 96 px, and twice that half an octave up.
        self.assertAllClose(area[..., 0, :], np.full([2, 1, 3], 9216), rtol=1e-5)
        self.assertAllClose(area[..., 1, :], np.full([2, 1, 3], 18432), rtol=1e-5)
        self.assertAllClose((x1 - x0)[:3] / (y1 - y0)[:3], RATIOS)

    def test_levels_come_from_fine_to_coarse(self):
        # 64 x 128: 8 * 16 cells, then 4 * 8; 6 anchors each.
        anchors = anchors_of((64, 128), 3, 4)
        self.assertLen(anchors, 8 * 16 * 6 + 4 * 8 * 6)
        self.assertAllClose(anchors[: 8 * 16 * 6], anchors_of((64, 128), 3, 3))
        self.assertAllClose(anchors[8 * 16 * 6 :], anchors_of((64, 128), 4, 4))

    @parameterized.parameters((640, 76725), (1024, 196416), (1280, 306900))
    def test_the_papers_inputs_have_the_papers_number_of_anchors(self, side, count):
        # 9 per cell of levels 3 to 7; 640 px: 9 * (80^2 + 40^2 + 20^2 + 10^2 + 5^2).
        anchors = make_anchors(
            (side, side),
            min_level=3,
            max_level=7,
            scales_per_octave=3,
            aspect_ratios=(1.0, 2.0, 0.5),
            anchor_size=4.0,
        )
        self.assertEqual(anchors.shape, (count, 4))
        self.assertEqual(anchors.dtype, np.float32)

    def test_they_are_those_of_tf_models_official(self):
        from official.vision.ops import anchor

        theirs = anchor.Anchor(3, 7, 2, RATIOS, 3.0, (256, 384)).boxes
        self.assertAllClose(anchors_of((256, 384), 3, 7), theirs, atol=1e-3)

    @parameterized.parameters((64, 100), (100, 64))
    def test_an_image_of_broken_cells_is_refused(self, height, width):
        with self.assertRaisesRegex(ValueError, rf"of 32 .* got {height} x {width}\."):
            anchors_of((height, width), 3, 5)
