"""What `load_weights` promises of files of tf.keras.applications."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.models import weights
from st_keras.models.backbones import build_backbone
from st_keras.models.layers import Norm
from st_keras.ops import images
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


def our_resnet(flavor="keras"):
    return build_backbone("resnet50", SIZE, activation="relu", norm=NORM, flavor=flavor)


def test_a_resnet_is_refused_as_its_strides_are_elsewhere(their_resnet):
    with pytest.raises(weights.IncompleteError, match='build it with flavor="keras"'):
        weights.load_weights(our_resnet("authors"), their_resnet[1])


def test_a_resnet_is_refused_if_its_activation_is_another(their_resnet):
    ours = build_backbone(
        "resnet50", SIZE, activation="swish", norm=NORM, flavor="keras"
    )
    with pytest.raises(weights.IncompleteError, match='build it with activation="relu'):
        weights.load_weights(ours, their_resnet[1])


def pixels():
    """Returns pictures as Keras' ResNets and as ours want them."""
    raw = np.random.default_rng(3).uniform(0, 255, [2, *SIZE, 3]).astype(np.float32)
    normalized = (raw / 255 - images.MEAN_RGB) / np.float32(images.STDDEV_RGB)
    theirs = tf.keras.applications.resnet.preprocess_input(raw.copy())
    return theirs, normalized.astype(np.float32)


def test_a_resnet_gives_what_keras_gives_for_the_same_pictures(their_resnet):
    theirs, path = their_resnet
    ours = our_resnet()
    report = weights.load_weights(ours, path)
    names = {
        str(level): f"conv{level}_block{last}_out"
        for level, last in ((2, 3), (3, 4), (4, 6), (5, 3))
    }
    their_input, our_input = pixels()
    stems = [
        tf.keras.Model(model.input, model.get_layer(name).output)(pictures)
        for model, name, pictures in (
            (theirs, "conv1_bn", their_input),
            (ours, "stem_norm", our_input),
        )
    ]
    # Biases, the other epsilon, and what is done to the input, away from the border.
    inside = [stem[:, 4:-4, 4:-4] for stem in stems]
    files.assert_same({"stem": inside[1]}, {"stem": inside[0]}, 1e-5)
    inner = tf.keras.Model(
        theirs.input, {level: theirs.get_layer(names[level]).output for level in names}
    )
    # At the border both pad with their own zero, half a grey level apart.
    files.assert_same(ours(our_input), inner(their_input), 1e-2)
    assert report.unused["predictions/predictions/kernel:0"] == "ImageNet classifier"
    mean = report.loaded["backbone/stem_norm/moving_mean"]
    assert "minus the convolution's bias and the difference" in mean
