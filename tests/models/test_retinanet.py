"""What `retinanet` promises, besides what tests/conformance asks of every model."""

import functools
import math

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from st_keras.models import build_backbone, retinanet
from st_keras.ops.anchors import make_anchors

LEVELS = {"min_level": 3, "max_level": 5}
# 64 x 96 px, 2 scales, 3 ratios: 6 anchors in each of 8 * 12, 4 * 6 and 2 * 3 cells.
SIZE, PER_CELL, ANCHORS = (64, 96), 6, 6 * (96 + 24 + 6)


@functools.cache
def shared():
    """A small model for tests that leave its weights alone."""
    return small()


def small(num_classes=3, **changes):
    settings = {
        **{"backbone": "tiny", "fpn_filters": 8, "head_convs": 1, "head_filters": 8},
        **{"anchors_per_cell": PER_CELL, **LEVELS},
        **changes,
    }
    return retinanet(SIZE, num_classes, **settings)


def count(variables):
    return sum(math.prod(v.shape) for v in variables)


def anchors():
    return make_anchors(
        SIZE,
        **LEVELS,
        scales_per_octave=2,
        aspect_ratios=(0.3, 1.0, 2.0),
        anchor_size=3.0,
    )


class RetinaNetTest(tf.test.TestCase, parameterized.TestCase):
    def test_resnet_50_has_the_parameters_it_had(self):
        # The authors' RetinaNet: 91 logits for COCO, 9 anchors, 4 convolutions of 256.
        model = retinanet((256, 384), 91)
        found = {
            layer.name: count(layer.trainable_variables)
            for layer in model.layers
            if layer.trainable_variables
        }
        self.assertEqual(
            list(found.values()), [23_508_032, 3_871_232, 6_711_895], msg=found
        )
        self.assertEqual(count(model.trainable_variables), 34_091_159)

    def test_the_tiny_one_of_the_demo_has_the_parameters_it_had(self):
        model = retinanet(
            (64, 64),
            10,
            backbone="tiny",
            **LEVELS,
            fpn_filters=48,
            head_convs=1,
            head_filters=48,
            anchors_per_cell=3,
        )
        self.assertEqual(count(model.trainable_variables), 388_202)

    def test_there_is_a_row_for_every_anchor_and_a_logit_for_every_class(self):
        model = shared()
        self.assertLen(anchors(), ANCHORS)
        self.assertEqual(model.output_shape["logits"], (None, ANCHORS, 3))
        self.assertEqual(model.output_shape["offsets"], (None, ANCHORS, 4))

    def test_rows_are_ordered_as_make_anchors_has_them(self):
        model = shared()
        maps = {
            name: [model.get_layer(f"{name}_{level}").input for level in (3, 4, 5)]
            for name in ("logits", "offsets")
        }
        both = tf.keras.Model(model.input, [maps, model.output])
        images = np.random.default_rng(0).normal(size=[1, *SIZE, 3]).astype("f")
        maps, outputs = both(images)
        centers = (anchors()[:, :2] + anchors()[:, 2:]) / 2
        for name, width in (("logits", 3), ("offsets", 4)):
            start = 0
            for level, values in zip((3, 4, 5), maps[name], strict=True):
                _, height, columns, channels = values.shape
                self.assertEqual(channels, PER_CELL * width)
                rows = outputs[name][0, start : start + height * columns * PER_CELL]
                here = centers[start : start + len(rows)]
                start += len(rows)
                for row in (0, 7, len(rows) // 2 + 1, len(rows) - 1):
                    y, x = (here[row] // 2**level).astype(int)
                    channel = row % PER_CELL * width
                    expected = values[0, y, x, channel : channel + width]
                    self.assertAllClose(rows[row], expected)
            self.assertEqual(start, ANCHORS)

    @parameterized.parameters((12, 76), (44, 20))
    def test_anchors_near_a_changed_patch_change_most(self, y, x):
        model = shared()
        images = np.zeros([2, *SIZE, 3], np.float32)
        images[1, y - 4 : y + 4, x - 4 : x + 4] = 5.0
        logits = model(images, training=False)["logits"].numpy()
        change = np.abs(logits[1] - logits[0]).sum(axis=-1)
        fine = slice(0, 8 * 12 * PER_CELL)
        strongest = anchors()[fine][change[fine].argmax()]
        center = (strongest[:2] + strongest[2:]) / 2
        self.assertAllClose(center, [y, x], atol=12.0)

    def test_an_untrained_model_finds_almost_nothing(self):
        # The last bias starts at -log((1 - p) / p) with p = 0.01, so that a thousand
        # background anchors do not drown the first steps.
        probabilities = tf.sigmoid(shared()(tf.zeros([1, *SIZE, 3]))["logits"])
        self.assertAllClose(tf.reduce_mean(probabilities), 0.01, atol=0.003)

    def test_outputs_are_float32_where_the_model_computes_in_bfloat16(self):
        policy = tf.keras.mixed_precision.global_policy()
        tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
        try:
            model = small()
        finally:
            tf.keras.mixed_precision.set_global_policy(policy)
        self.assertEqual(model.compute_dtype, "bfloat16")
        self.assertEqual({v.dtype for v in model.variables}, {tf.float32})
        outputs = model(tf.zeros([2, *SIZE, 3], tf.bfloat16))
        self.assertEqual({v.dtype for v in outputs.values()}, {tf.float32})

    @parameterized.parameters("tiny", "resnet18")
    def test_the_settings_of_batch_norm_arrive_at_every_layer(self, backbone):
        model = small(
            backbone=backbone, batch_norm_momentum=0.77, batch_norm_epsilon=0.5
        )
        norms = [
            layer
            for layer in model.submodules
            if isinstance(layer, tf.keras.layers.BatchNormalization)
        ]
        # One per level and tower, and those of the backbone and the pyramid.
        self.assertGreater(len(norms), 2 * 3 + 3 + 10)
        self.assertEqual({n.momentum for n in norms}, {0.77})
        self.assertEqual({n.epsilon for n in norms}, {0.5})

    @parameterized.parameters(
        (2, 2, 16 * 32), (2, 6, 16 * 32 + 8 * 16 + 4 * 8 + 2 * 4 + 1 * 2)
    )
    def test_a_pyramid_may_end_before_or_after_the_backbone(self, low, high, cells):
        model = retinanet(
            (64, 128),
            2,
            backbone="tiny",
            min_level=low,
            max_level=high,
            fpn_filters=8,
            head_convs=0,
            anchors_per_cell=1,
        )
        self.assertEqual(model.output_shape["logits"], (None, cells, 2))

    @parameterized.parameters(
        ({"max_level": 7}, r"`image_size_px`.* of 128 .*got 64 x 96\."),
        ({"num_classes": 0}, r"`num_classes` must be 1 or more, got 0\."),
        ({"min_level": 1}, r"`min_level` must be from 2 to 5 .*got 1 and 5\."),
        ({"min_level": 5, "max_level": 4}, r"at most `max_level`, got 5 and 4\."),
        ({"backbone": "vgg"}, r"`backbone` must be one of tiny, .*got 'vgg'\."),
    )
    def test_what_cannot_be_built_is_named(self, changes, message):
        with self.assertRaisesRegex(ValueError, message):
            small(**changes)


class BackboneTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters("tiny", "resnet18")
    def test_features_have_a_cell_every_4_to_32_pixels(self, name):
        shapes = build_backbone(name, (64, 96)).output_shape
        sides = {level: shape[1:3] for level, shape in shapes.items()}
        expected = {"2": (16, 24), "3": (8, 12), "4": (4, 6), "5": (2, 3)}
        self.assertEqual(sides, expected)
