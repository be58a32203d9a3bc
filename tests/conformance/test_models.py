"""What every model promises: one table of models, one test per promise.

A new backbone, neck or kind of model gets a row in `MODELS`; the presets of the paper,
at a small image size, are rows by themselves, left to `make test-all`.
"""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from st_keras import models
from st_keras.config import task
from st_keras.models import randomness
from st_keras.models.backbones.efficientnet import SCALINGS
from st_keras.models.layers import Dropout

SIZE_PX = (128, 256)  # Height and width differ, so that a swap shows.
CLASSES = 3
_SMALL_BOXES = {"head_convs": 1, "head_filters": 16, "neck_filters": 16}
_SMALL_DECODER = {"aspp_filters": 16, "decoder_filters": 16}


def _row(function, **settings):
    """Returns a function of whether replicas share their statistics."""

    def build(synchronized=False):
        norm = models.Norm(synchronized=synchronized)
        return function(SIZE_PX, CLASSES, norm=norm, **settings)

    return build


def _retinanet(backbone, **settings):
    settings = {"backbone": backbone, **_SMALL_BOXES, **settings}
    return _row(models.retinanet, **settings)


def _classifier(backbone):
    return _row(models.classifier, backbone=backbone)


def _deeplab(backbone, **settings):
    settings = {"backbone": backbone, **_SMALL_DECODER, **settings}
    return _row(models.deeplab_v3_plus, **settings)


def _segmenter(backbone):
    return _row(models.nas_fpn_segmenter, backbone=backbone, filters=16, repeats=2)


def _preset(name):
    def build(synchronized=False):
        norm = models.PRESETS[name].settings.get("norm", models.Norm())
        norm = dataclasses.replace(norm, synchronized=synchronized)
        return models.build(name, image_size_px=SIZE_PX, norm=norm)

    return build


# One of each family runs with `make test`.
MODELS = {
    "retinanet_tiny": _retinanet("tiny"),
    "retinanet_spinenet_49s": _retinanet("spinenet_49s"),
    "deeplab_v3_plus_tiny": _deeplab("tiny", output_stride=32),
    "nas_fpn_segmenter_efficientnet_b0": _segmenter("efficientnet_b0"),
    "classifier_resnet18": _classifier("resnet18"),
}
SLOW = {
    "retinanet_resnet18": _retinanet("resnet18"),
    "retinanet_resnet18_nas_fpn": _retinanet(
        "resnet18", neck="nas_fpn", neck_repeats=2
    ),
    "retinanet_spinenet_mobile_49": _retinanet(
        "spinenet_mobile_49", separable=True, activation="swish"
    ),
    "retinanet_efficientnet_b0": _retinanet("efficientnet_b0"),
    "deeplab_v3_plus_resnet18": _deeplab("resnet18"),
    "deeplab_v3_plus_efficientnet_b0": _deeplab("efficientnet_b0"),
    "classifier_tiny": _classifier("tiny"),
    "classifier_spinenet_49s": _classifier("spinenet_49s"),
    "classifier_efficientnet_b0": _classifier("efficientnet_b0"),
} | {f"preset_{name}": _preset(name) for name in models.PRESETS}
# Tracing two replicas that share statistics takes minutes where there are many.
SYNCHRONIZED = {"retinanet_tiny", "deeplab_v3_plus_tiny"}
# Eight copies of 480 million numbers (weights, gradients, replicas) take over 24 GB in
# float64. Here an L2 has its own width, and as many blocks as B0: a fifth.
TOO_LARGE = {
    "preset_classifier_efficientnet_l2",
    "preset_nas_fpn_segmenter_efficientnet_l2",
}
ROWS = [*MODELS, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


@pytest.fixture(scope="module", params=ROWS)
def build(request):
    return (MODELS | SLOW)[request.param]


@pytest.fixture(scope="module")
def model(build):
    """One for all promises, which leave it as it was. No weight is at its start."""
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(0)
    built = build()
    randomize(built)
    return built


def randomize(model):
    draw = np.random.default_rng(2)
    for variable in model.variables:
        if variable.name.endswith(("gamma:0", "moving_variance:0")):
            variable.assign(draw.uniform(0.5, 1.5, variable.shape))
            if variable.name.endswith("project_norm/gamma:0"):
                # Added to what goes around the block. At full size, numbers grow by
                # the block, and 50 gated ones make 1e-7 of rounding another answer.
                variable.assign(0.3 * variable)
        elif variable.name.endswith(("beta:0", "moving_mean:0")):
            variable.assign(draw.normal(0.0, 0.1, variable.shape))


@pytest.fixture
def nothing_is_dropped(monkeypatch):
    @tf.autograph.experimental.do_not_convert
    def call(self, x, training=None):
        return x

    monkeypatch.setattr(Dropout, "call", call)


@pytest.fixture
def in_float64():
    """For gradients of deep models: in float32 one replica is off by 1 % itself."""
    tf.keras.backend.set_floatx("float64")
    tf.keras.mixed_precision.set_global_policy("float64")
    yield
    tf.keras.mixed_precision.set_global_policy("float32")
    tf.keras.backend.set_floatx("float32")


def pictures(count=2):
    noise = np.random.default_rng(0).normal(size=[count, *SIZE_PX, 3])
    return tf.constant(noise, tf.float32)


def loss_of(outputs):
    """Returns a number in which every output has a weight of its own."""
    terms = []
    for name in sorted(outputs):
        weights = tf.random.stateless_normal(outputs[name].shape[1:], (len(name), 1))
        terms.append(tf.reduce_sum(weights * outputs[name]))
    return tf.add_n(terms)


def value_and_gradients(model, images):
    with tf.GradientTape() as tape:
        loss = loss_of(model(images, training=True))
    return loss, tape.gradient(loss, model.trainable_variables)


def assert_same(ours, theirs, tolerance=1e-4):
    """Compares outputs, relative to the largest number of each."""
    assert ours.keys() == theirs.keys()
    for name in ours:
        largest = np.abs(ours[name]).max()
        error = np.abs(np.asarray(ours[name]) - theirs[name]).max() / largest
        assert error < tolerance, f"{name} is off by {error:.1e}"


def test_every_backbone_is_in_the_table():
    presets = {preset.backbone for preset in models.PRESETS.values()}
    named = {name for name in models.BACKBONES if any(name in row for row in SLOW)}
    # Depths of a ResNet that no preset has differ in a number only.
    assert set(models.BACKBONES) - presets - named <= {
        *("tiny", "resnet18", "resnet34", "resnet200")
    }
    assert set(models.BACKBONES) == set(task.BACKBONES)


def test_eager_and_graph_agree(model):
    graph = tf.function(lambda x: model(x, training=False))
    assert_same(model(pictures(), training=False), graph(pictures()))


def test_shapes_are_static_and_outputs_float32(model):
    for output in tf.nest.flatten(model.output):
        assert None not in output.shape[1:]
        assert output.dtype == tf.float32


def test_keras_calls_outputs_by_their_keys(model):
    assert model.output_names == list(model.output)


def test_a_step_lowers_to_xla(model):
    def step(images):
        with randomness.seeded(tf.constant([1, 2])):
            return value_and_gradients(model, images)

    compiled = tf.function(step, jit_compile=True)
    text = compiled.experimental_get_compiler_ir(pictures())(stage="hlo")
    assert "ENTRY" in text
    assert "convolution" in text


@pytest.mark.slow  # For a model of each family, `LOADED` below is quick.
def test_a_keras_file_gives_the_same(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras")
    assert_same(model(pictures()), loaded(pictures()))


@pytest.mark.slow  # Saving all functions of a large model takes a minute.
def test_a_saved_model_gives_the_same(model, tmp_path):
    # Saving puts functions into the layers of what is saved: a copy's, here.
    copy = tf.keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    tf.saved_model.save(copy, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    assert_same(model(pictures()), loaded(pictures(), training=False))


def test_weights_come_back_from_a_file(model, build, tmp_path):
    model.save_weights(tmp_path / "all.weights.h5")
    other = build()
    other.load_weights(tmp_path / "all.weights.h5")
    assert_same(model(pictures()), other(pictures()))


def test_a_clone_and_a_copy_from_the_config_give_the_same(model):
    copies = (
        tf.keras.models.clone_model(model),
        tf.keras.Model.from_config(model.get_config()),
    )
    for copy in copies:
        copy.set_weights(model.get_weights())
        assert_same(model(pictures()), copy(pictures()))


def test_a_gradient_reaches_every_trainable_variable(model, nothing_is_dropped):
    before = model.get_weights()
    _, gradients = value_and_gradients(model, pictures())
    model.set_weights(before)  # BatchNorm has moved its statistics.
    without = [
        variable.name
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
        if gradient is None or not np.any(gradient)
    ]
    assert not without


def test_it_computes_in_bfloat16_and_gives_float32(build):
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = build()
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    outputs = model(tf.cast(pictures(), tf.bfloat16), training=False)
    assert model.compute_dtype == "bfloat16"
    assert {variable.dtype for variable in model.variables} == {tf.float32}
    for output in outputs.values():
        assert output.dtype == tf.float32
        assert np.isfinite(output).all()


LOADED = {
    "retinanet_tiny": ("model.keras", "model.h5"),
    "deeplab_v3_plus_tiny": ("model.keras", "model.h5", "saved"),
    "classifier_resnet18": ("model.keras", "model.h5"),
    # Others saved as functions: the slow test above.
    "nas_fpn_segmenter_efficientnet_b0": ("model.keras",),
}


@pytest.mark.parametrize(
    "imports",
    [
        "st_keras, tensorflow",
        pytest.param("tensorflow, st_keras", marks=pytest.mark.slow),
    ],
)
def test_files_open_in_a_process_that_has_only_imported_st_keras(files, imports):
    code = (
        f"import {imports}, numpy as np, tensorflow as tf\n"
        "pictures = np.load('pictures.npy')\n"
        f"for name, files in {LOADED}.items():\n"
        "    for file in files:\n"
        "        model = tf.keras.models.load_model(f'{name}/{file}')\n"
        "        logits = np.load(f'{name}/logits.npy')\n"
        "        error = np.abs(model(pictures)['logits'] - logits).max()\n"
        "        assert error < 1e-4 * np.abs(logits).max(), (name, file, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=files, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with models of each family in the three formats of Keras."""
    folder = tmp_path_factory.mktemp("files")
    np.save(folder / "pictures.npy", pictures())
    for name, formats in LOADED.items():
        model = MODELS[name]()
        randomize(model)
        (folder / name).mkdir()
        np.save(folder / name / "logits.npy", model(pictures())["logits"])
        for file in formats:
            model.save(folder / name / file)
    return folder


@pytest.mark.parametrize(
    "name",
    [
        name if name in SYNCHRONIZED else pytest.param(name, marks=pytest.mark.slow)
        for name in MODELS | SLOW
    ],
)
def test_two_replicas_give_the_gradients_of_one(
    name, nothing_is_dropped, in_float64, monkeypatch
):
    if name in TOO_LARGE:
        shallow = dataclasses.replace(SCALINGS["l2"], depth=1.0)
        monkeypatch.setitem(SCALINGS, "l2", shallow)
    build = (MODELS | SLOW)[name]
    model = build()
    randomize(model)
    before = model.get_weights()
    expected_loss, expected = value_and_gradients(model, pictures(4))
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    with strategy.scope():
        twin = build(synchronized=True)
        twin.set_weights(before)
    expected_statistics = [v.numpy() for v in model.non_trainable_variables]

    @tf.function
    def step():
        def on_replica(part):
            # Or TensorFlow looks for what to differentiate, through both replicas.
            found = tf.nest.map_structure(
                tf.stop_gradient, value_and_gradients(twin, part)
            )
            replica = tf.distribute.get_replica_context()
            return [replica.all_reduce("sum", value) for value in found]

        parts = strategy.experimental_distribute_values_from_function(
            lambda context: tf.split(pictures(4), 2)[context.replica_id_in_sync_group]
        )
        return strategy.run(on_replica, [parts])

    loss, gradients = tf.nest.map_structure(
        lambda value: strategy.experimental_local_results(value)[0], step()
    )
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-3)
    scale = tf.linalg.global_norm(expected)
    for ours, theirs, variable in zip(
        gradients, expected, model.trainable_variables, strict=True
    ):
        error = tf.norm(ours - theirs) / scale
        assert error < 1e-3, f"{variable.name} is off by {error:.1e}"
    for ours, theirs in zip(
        twin.non_trainable_variables, expected_statistics, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
