"""What `load_weights` promises of files of tf.keras.applications."""

import copy

import pytest
import tensorflow as tf

from st_keras.models import weights
from st_keras.models.backbones import build_backbone
from st_keras.models.layers import Norm
from tests.models.weights import files

SIZE = (128, 256)
NORM = Norm(epsilon=1e-4)  # Theirs is 1.001e-5.


@pytest.fixture(scope="module")
def their_resnet(tmp_path_factory):
    model = tf.keras.applications.ResNet50(
        weights=None, input_shape=(*SIZE, 3), classes=4
    )
    files.randomize(model)
    path = str(tmp_path_factory.mktemp("resnet") / "resnet50_weights.h5")
    model.save_weights(path)
    return model, path


def our_resnet():
    return build_backbone("resnet50", SIZE, activation="relu", norm=NORM)


def with_their_strides(model):
    """Returns the model with the strides and the first pooling where theirs are."""
    config = copy.deepcopy(model.get_config())
    layers = {layer["name"]: layer for layer in config["layers"]}
    for level in (3, 4, 5):
        layers[f"level{level}_0_a_conv"]["config"]["strides"] = (2, 2)
        layers[f"level{level}_0_b_conv"]["config"] |= {
            "strides": (1, 1),
            "padding": "same",
        }
        layers[f"level{level}_0_b_conv_pad"]["config"]["padding"] = ((0, 0), (0, 0))
    pool, pad = layers["stem_pool"], copy.deepcopy(layers["stem_conv_pad"])
    pool["config"]["padding"] = "valid"
    pad["name"] = pad["config"]["name"] = "stem_pool_pad"
    pad["config"]["padding"] = ((1, 1), (1, 1))
    pad["inbound_nodes"] = pool["inbound_nodes"]
    pool["inbound_nodes"] = [[["stem_pool_pad", 0, 0, {}]]]
    config["layers"].insert(config["layers"].index(pool), pad)
    return tf.keras.Model.from_config(config)


def test_a_resnet_is_refused_as_its_strides_are_elsewhere(their_resnet):
    with pytest.raises(weights.IncompleteError, match="stride of a stage in its first"):
        weights.load_weights(our_resnet(), their_resnet[1])


def test_biases_and_epsilon_go_into_the_statistics(their_resnet):
    theirs, path = their_resnet
    ours = with_their_strides(our_resnet())
    report = weights.load_weights(ours, path)
    inner = tf.keras.Model(
        theirs.input,
        {
            str(level): theirs.get_layer(f"conv{level}_block{last}_out").output
            for level, last in ((2, 3), (3, 4), (4, 6), (5, 3))
        },
    )
    images = files.pictures(*SIZE)
    files.assert_same(ours(images, training=False), inner(images), 1e-4)
    assert report.unused["predictions/predictions/kernel:0"] == "ImageNet classifier"
    mean = report.loaded["backbone/stem_norm/moving_mean"]
    assert mean.endswith("(minus the convolution's bias)")
