"""What `retinanet` promises, besides what tests/conformance asks of every model."""

import functools
import math

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from st_keras.models import Norm, build_backbone, retinanet
from st_keras.models.authors.box_head import box_head_names
from st_keras.models.authors.fpn import fpn_names
from st_keras.models.authors.resnet import resnet_names
from st_keras.ops.anchors import make_anchors
from tests.models import reference

LEVELS = {"min_level": 3, "max_level": 5}
# 64 x 96 px, 2 scales, 3 ratios: 6 anchors in each of 8 * 12, 4 * 6 and 2 * 3 cells.
SIZE, PER_CELL, ANCHORS = (64, 96), 6, 6 * (96 + 24 + 6)


@functools.cache
def shared():
    """A small model for tests that leave its weights alone."""
    tf.keras.utils.set_random_seed(0)
    return small()


def small(num_classes=3, **changes):
    settings = {
        **{"backbone": "tiny", "neck_filters": 8, "head_convs": 1, "head_filters": 8},
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
            part: count(model.get_layer(part).trainable_variables)
            for part in ("backbone", "neck", "head")
        }
        self.assertEqual(
            found, {"backbone": 23_508_032, "neck": 3_871_232, "head": 6_711_895}
        )
        self.assertEqual(count(model.trainable_variables), 34_091_159)

    def test_the_weights_of_the_authors_give_the_outputs_of_the_authors(self):
        model = retinanet((128, 256), 91)
        reference.set_weights(model.get_layer("backbone"), resnet_names(50))
        reference.set_weights(model.get_layer("neck"), fpn_names())
        reference.set_weights(model.get_layer("head"), box_head_names())
        reference.assert_detector_matches(
            model(reference.input_image(128, 256), training=False),
            reference.golden("retinanet_resnet50_fpn_128x256"),
        )

    def test_the_tiny_one_of_the_demo_has_the_parameters_it_had(self):
        model = retinanet(
            (64, 64),
            10,
            backbone="tiny",
            **LEVELS,
            neck_filters=48,
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
        head = model.get_layer("head")
        maps = {
            name: [head.get_layer(f"{tower}_level{level}").input for level in (3, 4, 5)]
            for name, tower in (("logits", "class"), ("offsets", "box"))
        }
        both = tf.keras.Model(head.input, [maps, head.output])
        values = np.random.default_rng(0)
        pyramid = {
            level: values.normal(size=[1, *shape[1:]]).astype("f")
            for level, shape in head.input_shape.items()
        }
        maps, outputs = both(pyramid)
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
        near = np.abs((anchors()[:, :2] + anchors()[:, 2:]) / 2 - [y, x]).max(-1) < 12
        far = np.abs((anchors()[:, :2] + anchors()[:, 2:]) / 2 - [y, x]).max(-1) > 40
        fine = np.arange(ANCHORS) < 8 * 12 * PER_CELL
        self.assertGreater(change[near & fine].mean(), 2 * change[far & fine].mean())

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
        model = small(backbone=backbone, norm=Norm(momentum=0.77, epsilon=0.5))
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
            neck_filters=8,
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
        ({"neck": "pan"}, r"`neck` must be one of fpn, nas_fpn, none, got 'pan'\."),
        ({"neck": "nas_fpn"}, r"must be 3 and 7 with neck 'nas_fpn', got 3 and 5\."),
        ({"drop_connect": 0.1}, r"`drop_connect` is not a setting of the tiny"),
    )
    def test_what_cannot_be_built_is_named(self, changes, message):
        with self.assertRaisesRegex(ValueError, message):
            small(**changes)


class NeckTest(tf.test.TestCase, parameterized.TestCase):
    def test_a_detector_on_a_resnet_needs_a_neck_and_a_spinenet_none(self):
        with self.assertRaisesRegex(ValueError, "`neck` must be fpn or nas_fpn on"):
            retinanet((128, 256), 3, backbone="resnet18", neck="none")
        with self.assertRaisesRegex(ValueError, "`neck` must be none on spinenet_49"):
            retinanet((128, 256), 3, backbone="spinenet_49", neck="fpn")


class BackboneTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters("tiny", "resnet18")
    def test_features_have_a_cell_every_4_to_32_pixels(self, name):
        backbone = build_backbone(name, (64, 96), activation="relu", norm=Norm())
        shapes = backbone.output_shape
        sides = {level: shape[1:3] for level, shape in shapes.items()}
        expected = {"2": (16, 24), "3": (8, 12), "4": (4, 6), "5": (2, 3)}
        self.assertEqual(sides, expected)

    @parameterized.parameters(
        ("tiny", {"relu"}, 0.95),
        ("resnet18", {"relu"}, 0.997),
        ("efficientnet_b0", {"swish", "sigmoid"}, 0.99),
    )
    def test_a_backbone_has_a_style_of_its_own(self, name, activations, momentum):
        layers = build_backbone(name, (64, 96)).layers
        norms = tf.keras.layers.BatchNormalization
        found = {layer.momentum for layer in layers if isinstance(layer, norms)}
        self.assertEqual(found, {momentum})
        said = [getattr(layer, "activation", None) for layer in layers]
        said = {function.__name__ for function in said if function} - {"linear"}
        self.assertEqual(said, activations)


def test_replicas_that_share_statistics_start_at_the_weights_of_one():
    built = []
    for synchronized in (False, True):
        tf.keras.utils.set_random_seed(3)
        model = retinanet(
            (128, 256), 3, backbone="tiny", norm=Norm(synchronized=synchronized)
        )
        built.append(model)
    alone, shared = built
    for ours, theirs in zip(shared.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    kinds = {
        type(layer).__name__
        for part in shared.layers
        for layer in getattr(part, "layers", [])
    }
    assert "SynchronizedBatchNorm" in kinds
    assert "BatchNormalization" not in kinds
