"""Boxes are where their pixels are, whatever moves them."""

import functools
import itertools

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from st_keras.data.augment import changes, geometry, operations, warp
from st_keras.data.augment.moved_boxes import move_boxes

SIZE = (60, 100)  # Height and width of the original.
TARGET = (64, 96)
BOX = (12, 55, 31, 93)  # 19 high, 38 wide, right of the middle.
# One inside, one in a corner, one along two edges, one that is the whole picture.
BOXES = (BOX, (0, 0, 25, 40), (37, 70, 60, 100), (0, 0, 60, 100))
KINDS = ("Flip", "Jitter", *operations.MOVES, "Three")
MAGNITUDES = (2.0, 5.0, 10.0)
DRAWS = 8


def matrix(y_scale, x_scale, y_move, x_move):
    return tf.constant([[y_scale, 0, y_move], [0, x_scale, x_move]], tf.float32)


def straight(*scale_and_move, target=SIZE):
    return geometry.straight(matrix(*scale_and_move), tf.constant(SIZE), target)


def iou(first, second):
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    both = np.prod(np.maximum(high - low, 0))
    areas = [np.prod(box[2:] - box[:2]) for box in (first, second)]
    return both / (sum(areas) - both)


@tf.function
def _look(pixels, boxes, seed, ids, arguments, scale_min, scale_max, flips):
    """Returns the picture, its label map, the boxes and their shares after moves."""
    jitter = geometry.jitter_map(
        tf.constant(SIZE),
        TARGET,
        seed,
        scale_min=scale_min,
        scale_max=scale_max,
        flip_probability=flips,
    )
    moves = tf.constant([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    for k in range(3):
        size = tf.constant(SIZE, tf.float32)
        one = geometry.move_of(operations.NAMES, ids[k], arguments[k], size)
        moves = geometry.compose(one, moves)
    shown = geometry.after(jitter, moves, tf.constant(SIZE), TARGET)
    image = warp.warp_image(pixels, shown, TARGET)
    label_map = warp.warp_label_map(pixels[..., :1] // 255, shown, TARGET)[..., 0]
    return (image, label_map, shown.matrix, *move_boxes(boxes, shown.matrix, TARGET))


@functools.cache
def looks(kind, magnitude, boxes=BOXES):
    """Returns (box, image, label map, map, moved box, share) of several draws."""
    found = []
    rng = np.random.default_rng(round(10 * KINDS.index(kind) + magnitude))
    unit = max(SIZE) / changes.REFERENCE_SIDE_PX
    for number, box in itertools.product(range(DRAWS), boxes):
        names = ["Nothing"] * 3
        if kind == "Three":
            names = list(rng.choice(operations.MOVES, 3))
        elif kind in operations.MOVES:
            names[number % 3] = kind
        arguments = []
        for name in names:
            step = operations.Step(name, 1.0, magnitude)
            value = operations.argument(step, operations.Menu(), authors_quirks=False)
            value *= unit if name in changes.LENGTHS else 1.0
            arguments.append(value * rng.choice([-1, 1]))
        jitters = kind in ("Jitter", "Three")
        pixels = np.zeros([*SIZE, 3], np.uint8)
        pixels[box[0] : box[2], box[1] : box[3]] = 255
        look = _look(
            tf.constant(pixels),
            tf.constant([box], tf.float32),
            tf.constant([number, round(magnitude)]),
            tf.constant([operations.NAMES.index(name) for name in names]),
            tf.constant(arguments, tf.float32),
            tf.constant(0.5 if jitters else 1.0),
            tf.constant(2.0 if jitters else 1.0),
            tf.constant({"Flip": 1.0, "Three": 0.5}.get(kind, 0.0)),
        )
        image, label_map, how, moved, share = (field.numpy() for field in look)
        found.append((box, image[..., 0], label_map, how, moved[0], share[0]))
    return found


every_move = parameterized.named_parameters(
    (f"{kind}_{magnitude:g}", kind, magnitude)
    for kind, magnitude in itertools.product(KINDS, MAGNITUDES)
)


class FollowTest(tf.test.TestCase, parameterized.TestCase):
    @every_move
    def test_a_box_is_where_its_pixels_are(self, kind, magnitude):
        compared = []
        for _, image, label_map, _, box, share in looks(kind, magnitude):
            # In the picture only the box is brighter than the grey around it.
            for is_seen in (image > 191, label_map == 1):
                points = np.argwhere(is_seen)
                if np.min(box[2:] - box[:2]) < 6 or share < 0.02 or not len(points):
                    continue
                in_pixels = np.concatenate([points.min(0), points.max(0) + 1])
                # Of a tip that is sharper than a pixel, no pixel need be seen.
                self.assertAllClose(box, in_pixels, rtol=0, atol=2.5)
                compared.append(iou(box, in_pixels))
        self.assertGreater(len(compared), 20)
        self.assertGreater(min(compared), 0.75)
        self.assertGreater(np.mean(compared), 0.94)

    @every_move
    def test_there_is_no_phantom_and_no_ghost(self, kind, magnitude):
        for _, image, label_map, _, box, share in looks(kind, magnitude):
            for is_seen in (image > 191, label_map == 1):
                points = np.argwhere(is_seen)
                if not len(points):
                    # Nothing is seen, unless it is thinner than a pixel.
                    self.assertLess(np.min(box[2:] - box[:2]), 1.5)
                    self.assertLess(share, 0.01)
                    continue
                # The centre of every pixel of the object is in the box.
                self.assertAllGreaterEqual(points + 0.5 - box[:2], -0.02)
                self.assertAllGreaterEqual(box[2:] - (points + 0.5), -0.02)

    @every_move
    def test_a_share_is_the_share_of_the_pixels(self, kind, magnitude):
        for original, _, label_map, how, box, share in looks(kind, magnitude):
            sides = np.subtract(original[2:], original[:2])
            whole = sides.prod() * abs(np.linalg.det(how[:, :2]))
            # Of each pixel of the outline, a half may be counted or not.
            outline = 2 * np.sum(box[2:] - box[:2])
            pixels = np.sum(label_map == 1)
            self.assertAllClose(share * whole, pixels, rtol=0, atol=0.5 * outline + 2)

    def test_some_of_these_leave_the_picture_partly_and_some_wholly(self):
        for kind in ("TranslateX", "TranslateY", "Three"):
            shares = np.array([share for *_, share in looks(kind, 10.0)])
            self.assertGreater(np.mean((shares > 0) & (shares < 0.9)), 0.2, msg=kind)
            self.assertGreater(np.mean(shares == 0), 0.03, msg=kind)

    @every_move
    def test_a_box_of_one_pixel_stays_about_a_pixel(self, kind, magnitude):
        places = ((0, 0), (59, 99), (30, 17))
        boxes = tuple((y, x, y + 1, x + 1) for y, x in places)
        seen = 0
        for _, _, label_map, how, box, share in looks(kind, magnitude, boxes):
            self.assertAllInRange(box, 0.0, 96.0)
            self.assertAllLessEqual(box[[0, 2]], 64.0)
            limit = np.abs(how[:, :2]).sum(1)
            self.assertAllLessEqual(box[2:] - box[:2] - limit, 1e-3)
            self.assertEqual(share > 0, np.all(box[2:] > box[:2]))
            points = np.argwhere(label_map == 1) + 0.5
            if len(points):
                self.assertAllGreaterEqual(points - box[:2], -0.02)
                self.assertAllGreaterEqual(box[2:] - points, -0.02)
                seen += 1
        self.assertGreater(seen, 0)
