"""What `load_weights` promises of EfficientNets, of the authors and of Keras."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.models import weights
from st_keras.models.authors.efficientnet import (
    efficientnet_head_names,
    efficientnet_names,
)
from st_keras.models.classifier import classifier
from st_keras.models.nas_fpn_segmenter import nas_fpn_segmenter
from tests.models.weights import files, test_tf1

SIZE = (128, 256)
NAMES = {
    "backbone": list(efficientnet_names("b0")),
    "head": list(efficientnet_head_names("b0")),
}
AVERAGE = "ExponentialMovingAverage"


def our_classifier(size="b0"):
    return classifier(SIZE, 4, backbone=f"efficientnet_{size}")


@pytest.fixture(scope="module")
def values():
    return files.authors_values(our_classifier(), NAMES)


def test_a_classifier_takes_its_moving_averages(values, tmp_path):
    averages = {f"{name}/{AVERAGE}": value for name, value in values.items()}
    slots = {f"{name}/RMSProp_1": value + 2 for name, value in values.items()}
    plain = {name: value + 1 for name, value in values.items()}
    more = {"global_step": np.int64(218_949)}
    prefix = files.write_tf1(tmp_path / "model.ckpt", plain | averages | slots | more)
    model = our_classifier()
    report = weights.load_weights(model, prefix)
    test_tf1.assert_loaded(model, NAMES)
    assert set(report.unused.values()) == {
        "its moving average is used instead",
        "optimizer slot RMSProp_1",
        "counter of steps",
    }


def test_a_segmenter_takes_the_backbone_only_if_told_so(values, tmp_path):
    prefix = files.write_tf1(tmp_path / "model.ckpt", values)
    model = nas_fpn_segmenter(SIZE, 3, backbone="efficientnet_b0", repeats=1)
    with pytest.raises(weights.IncompleteError, match="are: backbone; `parts`"):
        weights.load_weights(model, prefix)
    report = weights.load_weights(model, prefix, parts=["backbone"])
    test_tf1.assert_loaded(model, {"backbone": NAMES["backbone"]})
    assert report.left == ("neck", "head")
    why = report.unused["efficientnet-b0/head/dense/kernel"]
    assert why.startswith("ImageNet classifier")


def test_another_size_is_refused(values, tmp_path):
    prefix = files.write_tf1(tmp_path / "model.ckpt", values)
    with pytest.raises(weights.IncompleteError, match="must have shape") as caught:
        weights.load_weights(our_classifier("b1"), prefix, parts=["backbone"])
    # 16 blocks, from 0 on.
    missing = caught.value.report.missing["backbone/block16_project_conv/kernel"]
    assert missing == "no `efficientnet-b0/blocks_16/conv2d_1/kernel` in the file"


def test_a_file_of_keras_gives_what_keras_gives(tmp_path):
    theirs = tf.keras.applications.EfficientNetB0(
        weights=None, input_shape=(*SIZE, 3), classes=4, classifier_activation=None
    )
    files.randomize(theirs)
    mean, variance = [0.485, 0.456, 0.406], [0.229**2, 0.224**2, 0.225**2]
    normalization = theirs.get_layer("normalization")
    normalization.set_weights([np.array(mean), np.array(variance), np.array(0)])
    normalization.finalize_state()
    path = str(tmp_path / "efficientnetb0.h5")
    theirs.save_weights(path)
    ours = our_classifier()
    report = weights.load_weights(ours, path)
    images = files.pictures(*SIZE)  # Normalised, as ours want them.
    pixels = 255 * (images * np.sqrt(variance) + mean)
    expected = theirs(pixels.astype(np.float32), training=False)
    files.assert_same(ours(images, training=False), {"logits": expected}, 1e-4)
    assert all(report.unused.values())
    assert report.notes == (
        "the network's own input normalisation has the mean 0.485, 0.456, 0.406",
    )
