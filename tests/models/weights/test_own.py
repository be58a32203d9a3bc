"""What `load_weights` promises of files of the same model, and `save` of its own."""

import json

import h5py
import numpy as np
import pytest
import tensorflow as tf

from st_keras import models
from st_keras.models import weights
from st_keras.models.classifier import classifier
from st_keras.models.layers import Norm
from st_keras.models.retinanet import retinanet
from st_keras.models.weights import saving
from tests.models.weights import files

SIZE = (64, 128)


def small(backbone="tiny", num_classes=5, **more):
    settings = {"neck_filters": 16, "head_filters": 16, "head_convs": 1, "max_level": 5}
    return retinanet(SIZE, num_classes, backbone=backbone, **{**settings, **more})


@pytest.fixture(scope="module")
def saved():
    model = small()
    files.randomize(model)
    return model


def assert_same_weights(ours, theirs):
    expected = weights.named_weights(theirs)
    for address, variable in weights.named_weights(ours).items():
        np.testing.assert_array_equal(variable, expected[address], err_msg=address)


def read_back(model, path):
    """Writes a model and returns another that has read all of it."""
    if path.endswith("/m.h5"):  # The older layout, which Keras still writes.
        model.save_weights(path)
    else:
        saving.save(model, path)
    ours = small()
    report = weights.load_weights(ours, path)
    assert len(report.loaded) == len(model.weights)
    assert_same_weights(ours, model)
    return ours


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5", "m", "m.h5"])
def test_what_was_saved_comes_back(saved, tmp_path, name):
    ours = read_back(saved, str(tmp_path / name))
    files.assert_same(
        ours(files.pictures(*SIZE), training=False),
        saved(files.pictures(*SIZE), training=False),
    )


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5", "m", "m.h5"])
def test_files_of_before_outputs_had_layers_of_their_own_are_read(
    saved, tmp_path, name
):
    path = str(tmp_path / name)
    heads = {key: saved.get_layer(key).input for key in saved.output}
    before = tf.keras.Model(saved.input, heads, name=saved.name)
    assert before.output_names == ["head", "head_1"]
    assert_same_weights(read_back(before, path), saved)
    if name == "m":  # As a resumed run reads it.
        ours = small()
        tf.train.Checkpoint(model=ours).read(path).assert_consumed()
        assert_same_weights(ours, saved)


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5", "m"])
def test_parts_come_from_a_model_with_other_classes(saved, tmp_path, name):
    path = str(tmp_path / name)
    saving.save(saved, path)
    ours = small(num_classes=2)
    with pytest.raises(weights.IncompleteError, match="Complete are: backbone, neck"):
        weights.load_weights(ours, path)
    report = weights.load_weights(ours, path, parts=["backbone", "neck"])
    assert report.left == ("head",)
    for part in ("backbone", "neck"):
        assert_same_weights(ours.get_layer(part), saved.get_layer(part))


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5", "m"])
def test_a_part_alone_says_how_it_gets_the_weights_of_a_whole_model(
    saved, tmp_path, name
):
    path = str(tmp_path / name)
    saving.save(saved, path)
    backbone = models.build_backbone(
        "tiny", SIZE, activation="relu", norm=models.Norm()
    )
    said = r"model is 'backbone' alone.*`parts=\['backbone'\]`.*`get_layer\('backbone'"
    with pytest.raises(weights.IncompleteError, match=said):
        weights.load_weights(backbone, path, parts=["backbone"])
    # What it says works.
    whole = small(num_classes=2)
    weights.load_weights(whole, path, parts=["backbone"])
    assert_same_weights(whole.get_layer("backbone"), saved.get_layer("backbone"))


def test_parts_are_a_list(saved, tmp_path):
    saving.save(saved, str(tmp_path / "m.keras"))
    with pytest.raises(ValueError, match=r"must be a list, as \['neck'\], got 'neck'"):
        weights.load_weights(small(), str(tmp_path / "m.keras"), parts="neck")


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5", "m"])
def test_a_detector_takes_the_backbone_of_a_classifier(tmp_path, name):
    path = str(tmp_path / name)
    pretrained = classifier(SIZE, 4, backbone="tiny")
    files.randomize(pretrained)
    saving.save(pretrained, path)
    ours = small()
    weights.load_weights(ours, path, parts=["backbone"])
    assert_same_weights(ours.get_layer("backbone"), pretrained.get_layer("backbone"))


def test_of_a_run_the_averaged_weights_are_taken(saved, tmp_path):
    trained = small()
    optimizer = tf.keras.optimizers.legacy.SGD(0.1, momentum=0.9)
    optimizer.apply_gradients(
        [(tf.zeros_like(v), v) for v in trained.trainable_variables]
    )
    checkpoint = tf.train.Checkpoint(optimizer=optimizer, model=trained, averaged=saved)
    folder = tmp_path / "run" / "checkpoints"
    manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1)
    manager.save(checkpoint_number=5)
    ours = small()
    report = weights.load_weights(ours, str(tmp_path / "run"))
    assert_same_weights(ours, saved)
    assert set(report.unused.values()) == {
        "optimizer slot",
        "state of the training",
        "the averaged weights are used instead",
    }


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5", "m"])
def test_another_model_is_refused(saved, tmp_path, name):
    path = str(tmp_path / name)
    saving.save(saved, path)
    with pytest.raises(weights.IncompleteError, match="lacks"):
        weights.load_weights(small("resnet18"), path)


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5", "m"])
def test_a_deeper_network_is_refused(tmp_path, name):
    def with_cells(count):
        settings = {"neck_filters": 8, "head_filters": 8, "head_convs": 1}
        neck = {"neck": "nas_fpn", "neck_repeats": count}
        return retinanet((128, 256), 5, backbone="tiny", **neck, **settings)

    path = str(tmp_path / name)
    saving.save(with_cells(2), path)
    ours = with_cells(1)
    before = ours.get_weights()
    with pytest.raises(weights.IncompleteError, match="weights more.*not in this neck"):
        weights.load_weights(ours, path)
    for mine, old in zip(ours.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)


def test_a_written_checkpoint_is_one_of_tensorflow(saved, tmp_path):
    saving.save(saved, str(tmp_path / "a" / "m"))
    ours = small()
    checkpoint = tf.train.Checkpoint(model=ours)
    checkpoint.read(str(tmp_path / "a" / "m")).assert_consumed()
    assert_same_weights(ours, saved)


def test_a_file_that_was_cut_off_is_named(saved, tmp_path):
    for name in ("m.keras", "m.weights.h5"):
        path = tmp_path / name
        saving.save(saved, str(path))
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 2 // 3])
        with pytest.raises(ValueError, match=f"{name}: damaged"):
            weights.load_weights(small(), str(path))


def test_a_file_never_runs_code_of_its_own(tmp_path):
    # A layer of code is in the file; only the arrays beside it are read.
    images = tf.keras.layers.Input([4], name="images")
    x = tf.keras.layers.Lambda(lambda x: x + 1)(images)
    model = tf.keras.Model(images, tf.keras.layers.Dense(2)(x), name="backbone")
    model.save(tmp_path / "m.keras")
    other = tf.keras.layers.Activation("relu")(images)
    other = tf.keras.Model(images, tf.keras.layers.Dense(2)(other), name="backbone")
    weights.load_weights(other, str(tmp_path / "m.keras"))
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])


def test_a_sequential_model_of_an_old_keras_is_another_model(tmp_path):
    path = str(tmp_path / "m.h5")
    tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=[4])]).save_weights(path)
    layers = [{"class_name": "Dense", "config": {"name": "dense", "strides": 2}}]
    with h5py.File(path, "r+") as file:
        config = {"class_name": "Sequential", "config": layers}
        file.attrs["model_config"] = json.dumps(config)
    ours = models.classifier((32, 64), 3, backbone="tiny")
    with pytest.raises(weights.IncompleteError, match="m.h5 .*: lacks .* weights"):
        weights.load_weights(ours, path)


def test_a_failed_write_leaves_the_old_file(saved, tmp_path, monkeypatch):
    path = tmp_path / "m.keras"
    path.write_text("old")
    monkeypatch.setattr(type(saved), "save", _fail)
    with pytest.raises(OSError, match="disk"):
        saving.save(saved, str(path))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _fail(*args, **kwargs):
    raise OSError("disk full")


@pytest.mark.parametrize("path", ["m.h5", "m.ckpt.index", "saved_model.pb"])
def test_an_output_of_another_kind_is_refused(path):
    with pytest.raises(ValueError, match="`output` must end in .keras or .weights.h5"):
        saving.check_output(path)


def test_a_keras_file_of_another_function_is_refused(tmp_path):
    def tiny(**settings):
        return models.classifier((32, 64), 3, backbone="tiny", **settings)

    path = str(tmp_path / "m.keras")
    tiny().save(path)
    weights.load_weights(tiny(), path)
    with pytest.raises(
        ValueError, match="activation relu in the file and swish in the model"
    ):
        weights.load_weights(tiny(activation="swish"), path)
    with pytest.raises(
        ValueError, match="epsilon 0.0001 in the file and 0.01 in the model"
    ):
        weights.load_weights(tiny(norm=models.Norm(epsilon=1e-2)), path)


def resnet(flavor, **more):
    return models.deeplab_v3_plus(
        (64, 128),
        3,
        backbone="resnet18",
        flavor=flavor,
        **{"aspp_filters": 8, "decoder_filters": 8, "low_level_filters": 8, **more},
    )


def test_another_padding_is_refused_and_another_image_size_is_not(tmp_path):
    path = str(tmp_path / "m.keras")
    saving.save(resnet("tf_models"), path)
    with pytest.raises(weights.IncompleteError, match="`stem_conv_pad` is only in the"):
        weights.load_weights(resnet("authors"), path)
    larger = models.deeplab_v3_plus(
        (128, 128),
        3,
        backbone="resnet18",
        flavor="tf_models",
        aspp_filters=8,
        decoder_filters=8,
        low_level_filters=8,
    )
    weights.load_weights(larger, path)


def test_a_segmenter_may_dilate_what_a_classifier_strides(tmp_path):
    path = str(tmp_path / "m.keras")
    norm = models.Norm(epsilon=1e-3)
    saving.save(models.classifier(SIZE, 4, backbone="resnet18", norm=norm), path)
    ours = resnet("authors", activation="relu", output_stride=16)
    weights.load_weights(ours, path, parts=["backbone"])
    other = resnet("tf_models", activation="relu", output_stride=16)
    with pytest.raises(weights.IncompleteError, match="`stem_conv` has padding valid"):
        weights.load_weights(other, path, parts=["backbone"])


def test_a_segmenter_may_dilate_more_than_the_one_before(tmp_path):
    """DeepLab's usual way: train at an output stride of 16, go on at 8."""
    path = str(tmp_path / "m.keras")
    theirs = resnet("authors", activation="relu", output_stride=16)
    files.randomize(theirs)
    saving.save(theirs, path)
    ours = resnet("authors", activation="relu", output_stride=8)
    weights.load_weights(ours, path, parts=["backbone"])
    backbones = [model.get_layer("backbone").get_weights() for model in (ours, theirs)]
    for mine, other in zip(*backbones, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize(
    ("name", "is_shared"), [("m.keras", True), ("m.weights.h5", False)]
)
def test_replicas_may_have_shared_their_statistics(tmp_path, name, is_shared):
    path = str(tmp_path / name)
    theirs = small(norm=Norm(synchronized=is_shared))
    files.randomize(theirs)
    saving.save(theirs, path)
    ours = small(norm=Norm(synchronized=not is_shared))
    weights.load_weights(ours, path)
    assert_same_weights(ours, theirs)
