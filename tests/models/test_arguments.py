"""What models refuse, before a layer is built."""

import pytest
import tensorflow as tf

from st_keras import models

SIZE = (128, 256)
DETECTOR = {"backbone": "tiny"}
CASES = [
    (models.retinanet, DETECTOR | {"activation": "swsih"}, "`activation` .*'swsih'"),
    (models.retinanet, DETECTOR | {"head_convs": -1}, "`head_convs` must be 0 or more"),
    (models.retinanet, DETECTOR | {"head_filters": 0}, "`head_filters` must be 1 or"),
    (models.retinanet, DETECTOR | {"anchors_per_cell": 0}, "`anchors_per_cell` must"),
    (models.retinanet, DETECTOR | {"flavor": "jax"}, "`flavor` must be one of .*'jax'"),
    (
        models.retinanet,
        {"backbone": "resnet18", "drop_connect": 1.5},
        r"`drop_connect` must be in \[0, 1\), got 1.5",
    ),
    (
        models.retinanet,
        {"backbone": "spinenet_49", "drop_connect": -0.1},
        r"`drop_connect` must be in \[0, 1\), got -0.1",
    ),
    (models.nas_fpn_segmenter, {"repeats": 0}, "`repeats` must be 1 or more, got 0"),
    (models.nas_fpn_segmenter, {"activation": "x"}, "`activation` must be one that"),
    (models.deeplab_v3_plus, {"aspp_filters": 0}, "`aspp_filters` must be 1 or more"),
    (models.deeplab_v3_plus, {"flavor": "x"}, "`flavor` must be one of authors"),
    (models.classifier, {"activation": "x"}, "`activation` must be one that Keras"),
]


@pytest.fixture
def no_layers(monkeypatch):
    """Makes building any layer a failure."""

    def build(self, *args, **kwargs):
        raise AssertionError(f"{type(self).__name__} was built")

    monkeypatch.setattr(tf.keras.layers.Layer, "__init__", build)


@pytest.mark.parametrize(("function", "settings", "message"), CASES)
def test_a_setting_that_none_has_is_named(function, settings, message, no_layers):
    with pytest.raises(ValueError, match=message):
        function(SIZE, 3, **settings)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (128, "`image_size_px` must be height and width, got 128"),
        ((-128, 256), r"`image_size_px` must be .*got -128 x 256"),
        ((None, 256), r"`image_size_px` must be .*got None x 256"),
        ((128, 200), r"`image_size_px` must be multiples of .*got 128 x 200"),
    ],
)
@pytest.mark.parametrize(
    "function", [models.retinanet, models.nas_fpn_segmenter, models.deeplab_v3_plus]
)
def test_a_size_that_does_not_fit_is_named(function, size, message, no_layers):
    with pytest.raises(ValueError, match=message):
        function(size, 3)


@pytest.mark.parametrize("function", [models.nas_fpn_segmenter, models.classifier])
def test_one_class_is_none_to_choose_from(function, no_layers):
    with pytest.raises(ValueError, match="`num_classes` must be 2 or more, got 1"):
        function(SIZE, 1)
