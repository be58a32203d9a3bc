"""What cropping and painting over promise together: what is hidden counts once."""

import math

import pytest
import tensorflow as tf

from st_keras.data.augment import geometry, moved_boxes
from st_keras.types import Boxes

SIZE = (60, 100)  # Height and width of the original and of the target.


def stays(box, how, min_visible_share, cuts):
    labels = Boxes(
        tf.constant([box], tf.float32),
        *(tf.zeros([1], dtype) for dtype in (tf.int32, tf.float32, tf.float32, bool)),
    )
    moved = moved_boxes.move_labels(
        labels,
        how,
        SIZE,
        min_visible_share=min_visible_share,
        cuts_yxyx=tf.constant(cuts, tf.float32),
    )
    return len(moved.boxes_yxyx) == 1


@pytest.mark.parametrize("x_scale, x_move", [(0.7, -7.0), (-0.7, 107.0)])
@pytest.mark.parametrize(
    "cuts, share",
    [
        # Of 20 x 30 at the top left, 10 rows and 20 columns stay in view, a third.
        # Paint above and left of the view, and beside the box, hides nothing more.
        ([[0, 0, 10, 100], [10, 0, 60, 10], [10, 30, 60, 100]], 1 / 3),
        # 4 of the 10 rows in view, and 6 that are not: a fifth is left.
        ([[4, 0, 14, 30]], 0.2),
        # All that is in view, and nothing else.
        ([[10, 10, 20, 30]], 0.0),
    ],
)
def test_paint_hides_only_what_would_be_in_view(cuts, share, x_scale, x_move):
    matrix = tf.constant([[1.5, 0.0, -15.0], [0.0, x_scale, x_move]])
    how = geometry.straight(matrix, tf.constant(SIZE), SIZE)
    for wanted in (0.0, max(share - 0.01, 0.0), share + 0.01):
        assert stays((0, 0, 20, 30), how, wanted, cuts) == (share > wanted)


@pytest.mark.parametrize("degrees", [45, 45 + 180])
def test_so_it_is_on_a_turned_picture(degrees):
    # The middle (30, 50) of 20 x 40 comes to the left edge. After 45 degrees, points
    # with x - 50 > y - 30 are in view, half of 800. The paint hides 200 + 10 * 10 / 2
    # in the upper half, and nothing in the lower left quarter: 150 of 800 are left.
    # Half a turn more shows the other 400, of which 150 + 200 are painted over.
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    y_move, x_move = 25 - 30 * cos - 50 * sin, 30 * sin - 50 * cos
    matrix = tf.constant([[cos, sin, y_move], [-sin, cos, x_move]], tf.float32)
    how = geometry.Geometry(matrix, False, None, None, None)
    box, cuts = (20, 30, 40, 70), [[20, 30, 30, 70], [30, 30, 40, 50]]
    share = {45: 150 / 800, 225: 50 / 800}[degrees]
    for wanted in (0.0, share - 0.001, share + 0.001):
        assert stays(box, how, wanted, cuts) == (share > wanted)
