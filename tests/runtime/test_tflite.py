"""What a model exported for TFLite promises: the same numbers, on small computers."""

import dataclasses
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.ops import boxes, images, nms
from st_keras.runtime import export
from st_keras.tasks import build_task
from tests.runtime.predictions import assert_same

_SPINENET = {"activation": "swish", "anchor_size": 3.0}
DETECTORS = {
    "resnet50_fpn": {"backbone": "resnet50"},
    "resnet50_nas_fpn": {"backbone": "resnet50", "neck": "nas_fpn", "neck_repeats": 2},
    "efficientnet_b0_fpn": {"backbone": "efficientnet_b0", "activation": "swish"},
    "spinenet_49s": {
        **_SPINENET,
        "backbone": "spinenet_49s",
        "head": config_lib.BoxHeadConfig(num_filters=128),
    },
    "spinenet_mobile_49": {
        **_SPINENET,
        "backbone": "spinenet_mobile_49",
        "head": config_lib.BoxHeadConfig(num_filters=48, separable=True),
    },
}


@pytest.fixture(scope="module")
def lite(run, tmp_path_factory):
    """Folder and description by `float16`."""
    folders = {flag: str(tmp_path_factory.mktemp("lite")) for flag in (False, True)}
    return {
        flag: (
            folder,
            export.export_run(run, folder, file_format="tflite", float16=flag),
        )
        for flag, folder in folders.items()
    }


def interpreter_of(folder):
    """The TFLite interpreter that comes with TensorFlow, as it is."""
    content = pathlib.Path(folder, "model.tflite").read_bytes()
    assert b"Flex" not in content  # An operation of TensorFlow's, not of TFLite's.
    return tf.lite.Interpreter(model_content=content).get_signature_runner()


def raw_outputs(run, shown):
    outputs = run.model(images.normalize(shown), training=False)
    return run.task.serve_raw(outputs)


@pytest.mark.parametrize(("float16", "atol"), [(False, 1e-4), (True, 0.1)])
def test_tflite_reproduces_the_keras_model(run, lite, float16, atol):
    # Scores from 0 to 1, boxes in pixels of a 64 x 96 input.
    interpret = interpreter_of(lite[float16][0])
    rng = np.random.default_rng(5)
    for _ in range(3):
        shown = rng.integers(0, 256, [1, 64, 96, 3], np.uint8)
        found, wanted = interpret(inputs=shown), raw_outputs(run, shown)
        assert set(found) == {"decoded_boxes", "decoded_box_scores"}
        for name, values in wanted.items():
            np.testing.assert_allclose(found[name], values, 1e-4, atol, err_msg=name)


def test_tflite_and_the_suppression_left_to_do_give_the_evaluation(
    run, tiny_records, evaluated, lite
):
    folder, content = lite[False]
    interpret = interpreter_of(folder)
    for image_id in ("tiny_00", "tiny_02"):  # 60 x 100 and 84 x 52.
        record = tiny_records.by_id[image_id]
        size = (record.height_px, record.width_px)
        view = run.task.whole_view(tf.io.decode_png(record.encoded))
        found = interpret(inputs=view.image[None])
        scaled = found["decoded_boxes"] / np.tile(view.scale_yx, 2)
        labels = nms.non_max_suppression(
            boxes.clip_to_window(tf.constant(scaled), tf.constant(size)),
            tf.constant(found["decoded_box_scores"]),
            **{
                name: content["protocol"][name]
                for name in ("min_score", "nms_iou", "max_detections")
            },
        )
        seen = tf.nest.map_structure(lambda field: field[0].numpy(), labels)
        merged = run.task.merge_views([seen], [view])
        assert_same(merged, evaluated[image_id], 1e-4, 1e-4)


def test_a_run_in_bfloat16_is_converted_in_float32(run, tmp_path):
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = run.task.build_model(sync_batch_norm=False)
    tf.keras.mixed_precision.set_global_policy("float32")
    model.set_weights(run.model.get_weights())
    half = dataclasses.replace(run, model=model)
    folder = str(tmp_path / "lite")
    export.export_run(half, folder, file_format="tflite")
    shown = np.random.default_rng(5).integers(0, 256, [1, 64, 96, 3], np.uint8)
    found = interpreter_of(folder)(inputs=shown)
    for name, values in raw_outputs(run, shown).items():
        np.testing.assert_allclose(found[name], values, 1e-4, 1e-4, err_msg=name)


def test_tflite_takes_a_batch_of_one_unless_told_otherwise(run, lite, tmp_path):
    folder = str(tmp_path / "three")
    three = export.export_run(run, folder, file_format="tflite", batch_size=3)
    for content, batch_size in ((lite[False][1], 1), (three, 3)):
        (inputs,) = content["signatures"]["serving_default"]["inputs"].values()
        assert inputs == {"dtype": "uint8", "shape": [batch_size, 64, 96, 3]}
    found = interpreter_of(folder)(inputs=np.zeros([3, 64, 96, 3], np.uint8))
    assert found["decoded_boxes"].shape[0] == 3


def test_sixteen_bits_are_half_the_size(lite):
    sizes = {}
    for float16, (folder, content) in lite.items():
        sizes[float16] = os.path.getsize(f"{folder}/model.tflite")
        assert content["weights_stored_as"] == ("float16" if float16 else "float32")
    # Anchors and graph stay as they are.
    assert sizes[True] < 0.75 * sizes[False]


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_detectors_of_the_paper_convert(run, tmp_path, name):
    detection = config_lib.DetectionConfig(
        class_names=("ball", "cup"),
        image_size_px=(128, 256),
        batch_norm_momentum=0.0,  # One batch sets the statistics.
        **DETECTORS[name],
    )
    config = dataclasses.replace(run.config, detection=detection)
    task = build_task(config)
    model = task.build_model(sync_batch_norm=False)
    for variable in model.trainable_variables:
        if "gamma" in variable.name:  # Some are 0, so that nothing would be seen.
            variable.assign(tf.ones_like(variable))
    rng = np.random.default_rng(2)
    shown = rng.integers(0, 256, [8, 128, 256, 3], np.uint8)
    model(images.normalize(shown), training=True)
    untrained = dataclasses.replace(run, config=config, task=task, model=model)
    folder = str(tmp_path / "lite")
    export.export_run(untrained, folder, file_format="tflite")
    found = interpreter_of(folder)(inputs=shown[:1])
    for output, values in raw_outputs(untrained, shown[:1]).items():
        # Sides of boxes are exponentials, and these are of no trained model.
        atol = 1e-4 * np.max(np.abs(values))
        np.testing.assert_allclose(found[output], values, atol=atol, err_msg=output)


def test_a_model_that_tflite_has_no_operations_for_is_named(run, tmp_path, monkeypatch):
    def with_suppression(task, outputs):
        return {"decoded_boxes": tf.linalg.det(outputs["offsets"][:, :4, :])}

    monkeypatch.setattr(type(run.task), "serve_raw", with_suppression)
    wanted = "cannot be converted to TFLite: TFLite has no MatrixDeterminant. Export it"
    with pytest.raises(ValueError, match=wanted):
        export.export_run(run, str(tmp_path / "lite"), file_format="tflite")
    assert os.listdir(tmp_path) == []
