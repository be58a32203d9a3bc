"""What `import_file` promises: one call from a file to a file, and a report."""

import json

import numpy as np
import pytest
import tensorflow as tf

from st_keras.models import presets, weights
from st_keras.models.layers import Norm
from st_keras.models.weights import importing
from tests.models.weights import files, test_tf1

PRESET = "retinanet_resnet50_fpn"


@pytest.fixture(autouse=True)
def _small_presets(monkeypatch):
    """A preset is built as always, but small."""

    def build(name, *, image_size_px=None, num_classes=None, **changes):
        assert name == PRESET
        assert image_size_px == (128, 256)
        return test_tf1.small(num_classes or 5, **changes)

    monkeypatch.setattr(presets, "build", build)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    values = files.authors_values(test_tf1.small(), test_tf1.pairs())
    values["resnet18/conv2d/kernel/Momentum"] = values["resnet18/conv2d/kernel"]
    return files.write_tf1(tmp_path_factory.mktemp("tf1") / "model.ckpt", values)


def run(checkpoint, output, **more):
    size = {"image_size_px": (128, 256)}
    return importing.import_file(checkpoint, PRESET, str(output), **size, **more)


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5", "m"])
def test_the_output_holds_the_weights_of_the_file(checkpoint, tmp_path, name):
    report = run(checkpoint, tmp_path / "new" / name)
    ours = test_tf1.small()
    weights.load_weights(ours, str(tmp_path / "new" / name))
    test_tf1.assert_loaded(ours, test_tf1.pairs())
    written = json.loads((tmp_path / "new" / f"{name}.report.json").read_text())
    assert written["loaded"] == report.loaded
    assert written["unused"] == {
        "resnet18/conv2d/kernel/Momentum": "optimizer slot Momentum"
    }


def test_another_epsilon_is_that_of_the_output(checkpoint, tmp_path):
    """A TF1 checkpoint does not tell it."""
    run(checkpoint, tmp_path / "m.keras", batch_norm_epsilon=1e-2)
    ours = test_tf1.small(norm=Norm(epsilon=1e-2))
    weights.load_weights(ours, str(tmp_path / "m.keras"))
    test_tf1.assert_loaded(ours, test_tf1.pairs())
    with pytest.raises(weights.IncompleteError, match="layers of the backbone differ"):
        weights.load_weights(test_tf1.small(), str(tmp_path / "m.keras"))


def test_an_efficientnet_keeps_its_epsilon(checkpoint, tmp_path):
    with pytest.raises(
        ValueError,
        match="`batch_norm_epsilon` must not be set for classifier_efficientnet_b0, "
        "got 0.02: an EfficientNet keeps its own",
    ):
        importing.import_file(
            checkpoint,
            "classifier_efficientnet_b0",
            str(tmp_path / "m"),
            batch_norm_epsilon=0.02,
        )


@pytest.mark.parametrize(
    "name",
    [
        "m.keras",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("m.weights.h5", "m")),
    ],
)
def test_an_output_is_refused_by_a_model_of_another_function(
    checkpoint, tmp_path, name
):
    run(checkpoint, tmp_path / name)
    with pytest.raises(weights.IncompleteError, match="layers of the backbone differ"):
        weights.load_weights(test_tf1.small(flavor="tf_models"), str(tmp_path / name))
    if name != "m.keras":  # Nothing tells then what the layers do.
        (tmp_path / f"{name}.report.json").unlink()
        weights.load_weights(test_tf1.small(flavor="tf_models"), str(tmp_path / name))


def test_what_is_there_is_not_written_over(checkpoint, tmp_path):
    for name, there in (("m.keras", "m.keras"), ("m", "m.index")):
        (tmp_path / there).write_text("mine")
        with pytest.raises(ValueError, match="`output` must be new"):
            run(checkpoint, tmp_path / name)
        assert (tmp_path / there).read_text() == "mine"
    with pytest.raises(ValueError, match="`output` must be new"):
        run(checkpoint, checkpoint)


def test_a_keras_file_is_a_whole_model(checkpoint, tmp_path):
    run(checkpoint, tmp_path / "m.keras")
    model = tf.keras.models.load_model(tmp_path / "m.keras")
    expected = test_tf1.small()
    weights.load_weights(expected, checkpoint)
    images = files.pictures()
    files.assert_same(model(images, training=False), expected(images, training=False))


def test_a_refusal_writes_the_full_list_and_no_model(checkpoint, tmp_path):
    with pytest.raises(ValueError, match=r"got \(45,\).*Full list: .*report\.json"):
        run(checkpoint, tmp_path / "d" / "m", num_classes=3, parts=["backbone", "head"])
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["m.report.json"]
    written = json.loads((tmp_path / "d" / "m.report.json").read_text())
    assert list(written["missing"]) == [
        "head/class_predict_conv/kernel",
        "head/class_predict_conv/bias",
    ]


def test_a_damaged_file_is_told_before_a_model_is_built(
    checkpoint, tmp_path, monkeypatch
):
    monkeypatch.setattr(presets, "build", None)
    with pytest.raises(ValueError, match="not there"):
        run(str(tmp_path / "gone"), tmp_path / "m")


def test_files_of_tf_models_get_a_network_that_pads_as_theirs(tmp_path, monkeypatch):
    seen = {}

    def build(name, **settings):
        seen.update(settings)
        raise ValueError("built")

    monkeypatch.setattr(presets, "build", build)
    saved = tf.train.Checkpoint(backbone=tf.keras.Sequential())
    prefix = saved.write(str(tmp_path / "ckpt"))
    with pytest.raises(ValueError, match="built"):
        importing.import_file(prefix, "deeplab_v3_plus_resnet50", str(tmp_path / "m"))
    assert seen["flavor"] == "tf_models"


def test_the_summary_counts_and_groups(checkpoint, tmp_path):
    report = run(checkpoint, tmp_path / "m", parts=["backbone"])
    lines = report.summary().splitlines()
    assert lines[0].startswith(checkpoint)
    # A stem, 4 shortcuts and 8 blocks of 2: 21 convolutions, each with 4 of its norm.
    assert lines[1] == "loaded: 105 weights of backbone"
    assert lines[2] == "random as before: neck, head"
    assert "  1: optimizer slot Momentum, as resnet18/conv2d/kernel/Momentum" in lines
    assert np.all([len(line) < 200 for line in lines])
