"""What an exported model promises: the same answers, anywhere."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as process

from st_keras import config as config_lib
from st_keras.data import pipeline, records
from st_keras.runtime import export
from st_keras.runtime.restored import restore_run
from st_keras.tasks.detection import DetectionTask
from st_keras.training.evaluate import evaluate_run, read_labels
from st_keras.types import Boxes
from tests.runtime.predictions import assert_same

# By name: (dtype, shape) for 12 pictures, as clients of tf-models-official know them.
OUTPUTS = {
    "detection_boxes": (np.float32, (12, 100, 4)),
    "detection_scores": (np.float32, (12, 100)),
    "detection_classes": (np.int32, (12, 100)),
    "num_detections": (np.int32, (12,)),
    "image_info": (np.float32, (12, 4, 2)),
}
WITHOUT_ST_KERAS = """
import sys
sys.modules["st_keras"] = sys.modules["official"] = None  # Importing them fails.
import numpy as np
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
encoded = [open(path, "rb").read() for path in sys.argv[3:]]
found = model.signatures["image_bytes"](inputs=tf.constant(encoded))
np.savez(sys.argv[2], **{name: value.numpy() for name, value in found.items()})
"""


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """Folder of the SavedModel and what `export_run` said of it."""
    folder = tmp_path_factory.mktemp("served") / "1"
    return str(folder), export.export_run(run, str(folder))


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(exported[0]).signatures


def ask(signature, inputs):
    found = signature(inputs=tf.constant(inputs))
    return {name: value.numpy() for name, value in found.items()}


def served(signature, by_id, batch_size):
    """Image id to Labels, of as many pictures at a time."""
    found = {}
    ids = list(by_id)
    for start in range(0, len(ids), batch_size):
        some = ids[start : start + batch_size]
        outputs = ask(signature, [by_id[image_id].encoded for image_id in some])
        for row, image_id in enumerate(some):
            count = outputs["num_detections"][row]
            found[image_id] = Boxes(
                boxes_yxyx=outputs["detection_boxes"][row, :count],
                class_ids=outputs["detection_classes"][row, :count] - 1,
                scores=outputs["detection_scores"][row, :count],
                weights=np.ones(count, np.float32),
                is_crowd=np.zeros(count, bool),
            )
    return found


def average_precision(run, tiny_records, predicted):
    source = pipeline.open_source(tiny_records.glob, None, 0)
    metric = run.task.new_metric()
    for image_id, truth in read_labels(run.task, source):
        metric.add(image_id, truth, predicted[image_id])
    return metric.result()["AP"]


@pytest.mark.parametrize("batch_size", [1, 5])  # 5 pictures are of two sizes.
def test_a_served_model_reproduces_the_evaluation(
    run, tiny_records, signatures, evaluated, batch_size
):
    found = served(signatures["image_bytes"], tiny_records.by_id, batch_size)
    for image_id, wanted in evaluated.items():
        assert_same(found[image_id], wanted)
    number = evaluate_run(run, tiny_records.glob)["metrics"]["AP"]
    assert 20 < number < 99  # A model that sees nothing would reproduce anything.
    again = average_precision(run, tiny_records, found)
    np.testing.assert_allclose(again, number, atol=1e-6)


def test_names_types_and_shapes_are_those_of_tf_models_official(
    tiny_records, signatures
):
    assert set(signatures) == {
        *("serving_default", "image_tensor", "image_bytes", "tf_example")
    }
    encoded = [record.encoded for record in tiny_records.by_id.values()]
    found = ask(signatures["image_bytes"], encoded)
    described = {name: (v.dtype, v.shape) for name, v in found.items()}
    assert described == OUTPUTS
    sizes = [(r.height_px, r.width_px) for r in tiny_records.by_id.values()]
    np.testing.assert_array_equal(found["image_info"][:, 0], sizes)
    # A client that divides the boxes by the scale still has original pixels.
    np.testing.assert_array_equal(found["image_info"][:, 2], np.ones([12, 2]))


@pytest.mark.parametrize(
    ("label_of_class_0", "names", "labels"),
    [(1, ("ball", "cup"), [2, 1, 0]), (0, ("background", "ball"), [1, 0, 0])],
)
def test_classes_are_numbered_as_in_the_records(
    monkeypatch, label_of_class_0, names, labels
):
    task = DetectionTask(
        config_lib.DetectionConfig(
            class_names=names, label_of_class_0=label_of_class_0, backbone="tiny"
        )
    )
    seen = Boxes(
        boxes_yxyx=tf.zeros([1, 3, 4]),
        class_ids=tf.constant([[1, 0, 0]]),  # The last row is padding.
        scores=tf.constant([[0.9, 0.4, 0.0]]),
        weights=tf.constant([[1.0, 1.0, 0.0]]),
        is_crowd=tf.zeros([1, 3], tf.bool),
    )
    monkeypatch.setattr(task, "read_outputs", lambda outputs, views: seen)
    found = task.serve({}, task.views(tf.zeros([60, 100, 3], tf.uint8)))
    assert found["detection_classes"].numpy().tolist() == [labels]
    assert found["num_detections"].numpy().tolist() == [2]


def test_rows_after_the_last_detection_are_zeros(tiny_records, signatures):
    record = tiny_records.by_id["tiny_00"]
    found = ask(signatures["image_bytes"], [record.encoded])
    (count,) = found["num_detections"]
    assert 0 < count < 100
    for name in ("detection_boxes", "detection_scores", "detection_classes"):
        assert not found[name][0, count:].any()
        assert found[name][0, :count].any()


@pytest.mark.parametrize("name", ["serving_default", "image_tensor"])
def test_pixels_give_what_their_files_give(tiny_records, signatures, name):
    encoded = [tiny_records.by_id[f"tiny_{i:02d}"].encoded for i in (0, 1, 3)]
    pixels = np.stack([tf.io.decode_png(content) for content in encoded])
    found, wanted = (
        ask(signatures[name], pixels),
        ask(signatures["image_bytes"], encoded),
    )
    for output in OUTPUTS:
        np.testing.assert_allclose(found[output], wanted[output], 1e-5, 1e-5)


def test_records_give_what_their_files_give(tiny_records, signatures):
    some = list(tiny_records.by_id.values())[:4]
    found = ask(
        signatures["tf_example"],
        [records.to_example(record).SerializeToString() for record in some],
    )
    wanted = ask(signatures["image_bytes"], [record.encoded for record in some])
    for output in OUTPUTS:
        np.testing.assert_array_equal(found[output], wanted[output])


def test_no_pictures_have_no_detections(signatures):
    for name, inputs in (
        ("serving_default", tf.zeros([0, 30, 40, 3], tf.uint8)),
        ("image_bytes", tf.zeros([0], tf.string)),
    ):
        found = ask(signatures[name], inputs)
        shapes = {output: value.shape for output, value in found.items()}
        assert shapes == {n: (0, *shape[1:]) for n, (_, shape) in OUTPUTS.items()}


def test_it_needs_tensorflow_alone(tiny_records, exported, evaluated, tmp_path):
    ids = ["tiny_00", "tiny_02", "tiny_04"]
    paths = []
    for image_id in ids:
        paths.append(tmp_path / f"{image_id}.png")
        paths[-1].write_bytes(tiny_records.by_id[image_id].encoded)
    output = tmp_path / "found.npz"
    command = [sys.executable, "-c", WITHOUT_ST_KERAS, exported[0], output, *paths]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = np.load(output)
    for row, image_id in enumerate(ids):
        wanted = evaluated[image_id]
        count = found["num_detections"][row]
        assert count == len(wanted.scores)
        boxes_yxyx = found["detection_boxes"][row, :count]
        np.testing.assert_allclose(boxes_yxyx, wanted.boxes_yxyx, 1e-5, 1e-4)


def test_the_description_says_what_it_is(run, exported):
    folder, content = exported
    assert json.loads(pathlib.Path(folder, "serving.json").read_text()) == content
    assert content["labels"] == {"1": "ball", "2": "cup", "3": "kite"}
    assert content["checkpoint_sha256"] == run.file.digest
    assert content["protocol"]["image_size_px"] == [64, 96]
    tensors = content["signatures"]["serving_default"]
    assert tensors["inputs"] == {
        "inputs": {"dtype": "uint8", "shape": [None, None, None, 3]}
    }
    boxes_yxyx = tensors["outputs"]["detection_boxes"]
    assert boxes_yxyx["shape"] == [None, 100, 4]
    assert "original picture" in boxes_yxyx["holds"]


def test_a_batch_size_can_be_fixed(run, tiny_records, evaluated, tmp_path):
    content = export.export_run(run, str(tmp_path / "2"), batch_size=2)
    shape = content["signatures"]["image_bytes"]["outputs"]["detection_boxes"]["shape"]
    assert shape == [2, 100, 4]
    signature = tf.saved_model.load(str(tmp_path / "2")).signatures["image_bytes"]
    for image_id, found in served(signature, tiny_records.by_id, 2).items():
        assert_same(found, evaluated[image_id])


def test_another_size_of_the_input_keeps_boxes_in_the_original(
    rectangles_run, tiny_records, tmp_path
):
    larger = restore_run(rectangles_run, image_size_px=(128, 192))
    content = export.export_run(larger, str(tmp_path / "large"))
    assert content["protocol"]["image_size_px"] == [128, 192]
    signature = tf.saved_model.load(str(tmp_path / "large")).signatures["image_bytes"]
    found = ask(signature, [r.encoded for r in tiny_records.by_id.values()])
    sizes = found["image_info"][:, :1]
    for corner in (
        found["detection_boxes"][..., :2],
        found["detection_boxes"][..., 2:],
    ):
        assert np.all(corner <= sizes)
    assert np.any(found["detection_boxes"][..., 2:] > 0.9 * sizes)


def test_a_size_the_model_cannot_have_is_refused(rectangles_run):
    with pytest.raises(ValueError, match=r"multiples of 32.*got \[60, 96\]"):
        restore_run(rectangles_run, image_size_px=(60, 96))


def test_the_same_export_again_leaves_the_files_alone(run, exported):
    folder, content = exported
    before = os.stat(f"{folder}/saved_model.pb")
    assert export.export_run(run, folder) == content
    assert os.stat(f"{folder}/saved_model.pb") == before


def test_another_export_is_not_overwritten(run, exported):
    folder, _ = exported
    with pytest.raises(
        ValueError, match='holds another export: `batch_size` is "any" there and 3'
    ):
        export.export_run(run, folder, batch_size=3)
    with pytest.raises(ValueError, match='`format` is "saved_model" there and "tfl'):
        export.export_run(run, folder, file_format="tflite")


def test_a_folder_with_other_things_is_not_touched(run, tmp_path):
    (tmp_path / "photo.jpg").write_text("")
    with pytest.raises(ValueError, match="`output` must be a new folder.*serving.json"):
        export.export_run(run, str(tmp_path))
    with pytest.raises(ValueError, match="`output` must be a new folder"):
        export.export_run(run, str(tmp_path / "photo.jpg"))
    assert os.listdir(tmp_path) == ["photo.jpg"]


def test_an_export_that_fails_leaves_nothing(run, tmp_path, monkeypatch):
    def fail(path, content):
        raise OSError("disk full")

    (tmp_path / "served.tmp").mkdir()  # Of the user, whatever it is.
    monkeypatch.setattr(export, "write_json", fail)
    with pytest.raises(OSError, match="disk full"):
        export.export_run(run, str(tmp_path / "served"))
    assert os.listdir(tmp_path) == ["served.tmp"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"file_format": "onnx"}, "`format` must be one of saved_model.*got 'onnx'"),
        ({"batch_size": 0}, "`batch_size` must be 1 or more, got 0"),
        ({"float16": True}, "`float16` must come with format tflite, got saved_model"),
    ],
)
def test_what_cannot_be_written_is_refused_first(run, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        export.export_run(run, str(tmp_path / "served"), **settings)
    assert os.listdir(tmp_path) == []


def test_the_summary_names_model_inputs_and_outputs(exported):
    folder, content = exported
    lines = export.format_summary(content, folder).splitlines()
    assert lines[0].startswith("saved_model of retinanet_tiny, checkpoint ")
    assert lines[0].endswith(f" MB: {folder}")
    assert lines[1].startswith(
        "  serving_default: inputs uint8 [any, any, any, 3] -> detection_boxes float32 "
        "[any, 100, 4], "
    )


def test_opening_a_run_leaves_the_process_as_it_was(rectangles_run, tmp_path):
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        opened = restore_run(rectangles_run, min_score=0.3)
        assert tf.keras.mixed_precision.global_policy().name == "mixed_bfloat16"
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert opened.model.outputs[0].dtype == tf.float32
    assert opened.model.get_layer("backbone").layers[1].compute_dtype == "float32"
    assert not process.is_op_determinism_enabled()
    # What is exported is what was opened.
    content = export.export_run(opened, str(tmp_path / "served"))
    assert content["protocol"]["min_score"] == 0.3
    restore_run(rectangles_run, deterministic=True)
    assert process.is_op_determinism_enabled()
    process.disable_op_determinism()
