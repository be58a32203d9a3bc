"""What `load_weights` promises of TF1 checkpoints, and of incomplete ones."""

import numpy as np
import pytest

from st_keras.models import weights
from st_keras.models.authors.box_head import box_head_names
from st_keras.models.authors.fpn import fpn_names
from st_keras.models.authors.resnet import resnet_names
from st_keras.models.backbones import build_backbone
from st_keras.models.layers import Norm
from st_keras.models.retinanet import retinanet
from st_keras.models.weights.scopes import find_scope
from tests.models import reference
from tests.models.weights import files

SMALL = {"backbone": "resnet18", "neck_filters": 16, "head_filters": 16}


def small(num_classes=5, **more):
    return retinanet((128, 256), num_classes, **{**SMALL, "head_convs": 2, **more})


def pairs(**scopes):
    return {
        "backbone": list(resnet_names(18, scopes.get("backbone", "resnet18"))),
        "neck": list(fpn_names(scope=scopes.get("neck", "fpn"))),
        "head": list(box_head_names(2, scope=scopes.get("head", "retinanet"))),
    }


@pytest.fixture(scope="module")
def model():
    return small()


@pytest.fixture(scope="module")
def values(model):
    return files.authors_values(model, pairs())


def assert_loaded(model, names, part=""):
    """Compares every weight of some parts with the value of its authors' name."""
    for address, variable in weights.named_weights(model).items():
        owner, layer, leaf = address.split("/")
        if owner not in names:
            continue
        scope = dict(names[owner])[layer]
        expected = reference.variable_value(f"{scope}/{leaf}", tuple(variable.shape))
        np.testing.assert_array_equal(variable, expected, err_msg=address)


def test_addresses_are_part_layer_and_weight(model):
    named = weights.named_weights(model)
    assert len(named) == len(model.weights)
    assert named["backbone/stem_conv/kernel"].shape == (7, 7, 3, 64)
    assert named["head/class1_level4_norm/moving_mean"].shape == (16,)
    backbone = model.get_layer("backbone")
    assert "backbone/stem_conv/kernel" in weights.named_weights(backbone)


def test_every_weight_has_the_value_of_its_authors_name(values, tmp_path):
    model = small()
    report = weights.load_weights(model, files.write_tf1(tmp_path / "m", values))
    assert len(report.loaded) == len(model.weights) == len(values)
    assert not report.missing
    assert not report.unused
    assert_loaded(model, pairs())


def test_the_names_may_begin_anywhere(values, tmp_path):
    moved = {}
    for name, value in values.items():
        moved["a/b/" + name.replace("resnet18/", "resnet_model/")] = value
    model = small()
    weights.load_weights(model, files.write_tf1(tmp_path / "m", moved))
    assert_loaded(model, pairs())


def test_slots_and_counters_are_left_with_the_reason(values, tmp_path):
    more = {f"{name}/Momentum": value * 0 for name, value in values.items()}
    more |= {"global_step": np.int64(5)}
    report = weights.load_weights(
        small(), files.write_tf1(tmp_path / "m", {**values, **more})
    )
    assert report.unused["global_step"] == "counter of steps"
    assert report.unused["fpn/l3/kernel/Momentum"] == "optimizer slot Momentum"
    assert report.unused.keys() == more.keys()


def test_moving_averages_are_preferred_and_told(values, tmp_path):
    plain = {name: value + 1 for name, value in values.items()}
    averages = {f"{name}/ExponentialMovingAverage": v for name, v in values.items()}
    model = small()
    report = weights.load_weights(
        model, files.write_tf1(tmp_path / "m", plain | averages)
    )
    assert_loaded(model, pairs())
    assert set(report.unused.values()) == {"its moving average is used instead"}
    assert any("moving average is taken" in note for note in report.notes)


def test_what_the_file_does_not_tell_is_told_of_the_model(values, tmp_path):
    file = files.write_tf1(tmp_path / "m", values)
    notes = weights.load_weights(small(activation="swish"), file).notes
    assert "head: activation swish and epsilon 0.0001" in notes[-1]


AVERAGE = "ExponentialMovingAverage"


def test_a_file_may_have_the_averages_alone(values, tmp_path):
    averages = {f"{name}/{AVERAGE}": value for name, value in values.items()}
    model = small()
    weights.load_weights(model, files.write_tf1(tmp_path / "m", averages))
    assert_loaded(model, pairs())
    with pytest.raises(weights.IncompleteError, match="weights more.*deeper"):
        weights.load_weights(small(head_convs=1), str(tmp_path / "m"))
    prefix = files.write_tf1(tmp_path / "both", values | averages)
    with pytest.raises(weights.IncompleteError, match="weights more.*deeper"):
        weights.load_weights(small(head_convs=1), prefix)


def test_averages_of_some_weights_are_refused(values, tmp_path):
    def mixed(has_average):
        some = {f"{n}/{AVERAGE}": v for n, v in values.items() if has_average(n)}
        return files.write_tf1(tmp_path / "m", values | some)

    # 21 convolutions, each with 4 weights of its norm: 105 in the backbone.
    with pytest.raises(
        weights.IncompleteError,
        match=r"no moving average of `resnet18/conv2d/kernel` in the file, though 104 "
        "of 105 have one",
    ):
        weights.load_weights(
            small(), mixed(lambda name: name != "resnet18/conv2d/kernel")
        )
    with pytest.raises(weights.IncompleteError, match="no moving average of"):
        weights.load_weights(small(), mixed(lambda name: "mean" not in name))
    # Statistics are averages themselves.
    weights.load_weights(small(), mixed(lambda name: "moving_" not in name))


@pytest.mark.parametrize("flavor", ["tf_models", "keras"])
def test_a_network_that_pads_as_others_do_is_refused(values, tmp_path, flavor):
    model = small(flavor=flavor)
    prefix = files.write_tf1(tmp_path / "m", values)
    with pytest.raises(weights.IncompleteError, match='it with flavor="authors"'):
        weights.load_weights(model, prefix)
    # The other parts neither pad nor stride.
    weights.load_weights(model, prefix, parts=["neck", "head"])


def test_a_missing_weight_is_refused_and_nothing_is_changed(values, tmp_path):
    model = small()
    before = [weight.numpy() for weight in model.weights]
    left = {k: v for k, v in values.items() if k != "fpn/post_hoc_d4/bias"}
    with pytest.raises(
        weights.IncompleteError,
        match=r"lacks 1 of \d+ weights: neck/post_hoc_4/bias: no `fpn/post_hoc_d4/bias`"
        r" in the file. Complete are: backbone, head",
    ) as caught:
        weights.load_weights(model, files.write_tf1(tmp_path / "m", left))
    assert list(caught.value.report.missing) == ["neck/post_hoc_4/bias"]
    for old, weight in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, weight)


def test_named_parts_must_be_complete_and_others_stay(values, tmp_path):
    model = small()
    left = {k: v for k, v in values.items() if k != "fpn/post_hoc_d4/bias"}
    prefix = files.write_tf1(tmp_path / "m", left)
    old = model.get_layer("neck").weights[0].numpy()
    report = weights.load_weights(model, prefix, parts=["backbone", "head"])
    assert_loaded(model, {k: v for k, v in pairs().items() if k != "neck"})
    np.testing.assert_array_equal(old, model.get_layer("neck").weights[0])
    assert report.left == ("neck",)
    assert report.unused["fpn/l3/kernel"] == "of part neck, which is not loaded"
    with pytest.raises(weights.IncompleteError, match="post_hoc_4"):
        weights.load_weights(model, prefix, parts=["neck"])
    with pytest.raises(ValueError, match="`parts` must be of backbone, neck, head"):
        weights.load_weights(model, prefix, parts=["decoder"])


def test_another_number_of_classes_names_both_shapes(values, tmp_path):
    with pytest.raises(
        weights.IncompleteError,
        match=r"head/class_predict_conv/kernel: must have shape \(3, 3, 16, 27\), got "
        r"\(3, 3, 16, 45\) of `retinanet/class_net/class-predict/kernel`",
    ):
        weights.load_weights(small(3), files.write_tf1(tmp_path / "m", values))


def test_a_deeper_network_in_the_file_is_refused(values, tmp_path):
    # All weights of a head with one convolution are there, in their shapes.
    with pytest.raises(weights.IncompleteError, match="weights more.*deeper"):
        weights.load_weights(
            small(head_convs=1), files.write_tf1(tmp_path / "m", values)
        )


def test_a_number_that_is_none_is_refused(values, tmp_path):
    bad = values | {"fpn/l4/bias": values["fpn/l4/bias"] * np.nan}
    model = small()
    before = model.get_weights()
    with pytest.raises(ValueError, match="`fpn/l4/bias` must be finite"):
        weights.load_weights(model, files.write_tf1(tmp_path / "m", bad))
    for old, weight in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, weight)


def test_a_format_that_the_file_cannot_have_is_refused(values, tmp_path):
    prefix = files.write_tf1(tmp_path / "m", values)
    with pytest.raises(ValueError, match="`format` must .* got own; it looks like tf1"):
        weights.load_weights(small(), prefix, format="own")
    with pytest.raises(ValueError, match="`format` must be one of auto, tf1"):
        weights.load_weights(small(), prefix, format="torch")


def test_simclr_gives_a_backbone(tmp_path):
    model = build_backbone("resnet50", (128, 256), activation="relu", norm=Norm())
    names = {"backbone": list(resnet_names(50, "base_model"))}
    wrapped = retinanet_like(model)
    values = files.authors_values(wrapped, names)
    heads = {
        "head_contrastive/nl_0/dense/kernel": np.ones([2048, 8], np.float32),
        "head_supervised/linear_layer/dense/kernel": np.ones([2048, 9], np.float32),
    }
    prefix = files.write_tf1(tmp_path / "m", values | heads)
    report = weights.load_weights(model, prefix)
    assert_loaded(model, names)
    assert report.origin == "SimCLR checkpoint of TF1"
    assert report.unused["head_contrastive/nl_0/dense/kernel"].startswith("head that")
    assert report.unused["head_supervised/linear_layer/dense/kernel"] == "classifier"


def retinanet_like(backbone):
    """A model with the backbone as one of its layers."""
    import tensorflow as tf

    images = tf.keras.layers.Input(backbone.input_shape[1:])
    return tf.keras.Model(images, backbone(images))


def test_weights_that_are_there_twice_are_refused():
    scopes = ["stem/conv2d", "head/dense"]
    names = [
        f"{who}/{scope}/kernel" for who in ("student", "teacher") for scope in scopes
    ]
    with pytest.raises(ValueError, match="got them under student/ and teacher/"):
        find_scope(scopes, names)


def test_the_head_that_simclr_learns_with_is_no_classifier():
    names = ["head_contrastive/nl_0/dense/kernel", "head_supervised/a/dense/kernel"]
    assert find_scope(["dense"], names) == "head_supervised/a/"
