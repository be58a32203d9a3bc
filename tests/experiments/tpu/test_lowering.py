"""What is handed to the TPU's compiler, and that it takes it."""

import functools

import pytest
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.experiments.tpu import compiler, environment, lowering
from st_keras.experiments.tpu.chips import CHIPS
from tests import hlo

DETECTION = """
detection:
  image_size_px: [64, 96]
  backbone: tiny
  max_level: 5
  neck_filters: 16
  head: {num_convs: 1, num_filters: 16}
human: {records: nowhere/*.tfrecord, images_per_step: 6}
pseudo: {records: nowhere/*.tfrecord, images_per_step: 4}
training: {steps: 20}
optimization: {weight_decay: 1.0e-4, clip_norm: 1.0}
runtime: {precision: mixed_bfloat16}
"""
SEGMENTATION = """
segmentation:
  image_size_px: [64, 96]
  backbone: tiny
  deeplab: {output_stride: 32, aspp_rates: [1], aspp_filters: 8, decoder_filters: 8}
human: {records: nowhere/*.tfrecord, images_per_step: 6}
training: {steps: 20}
"""
CLASSIFICATION = """
classification: {image_size_px: [64, 96], backbone: tiny}
human: {records: nowhere/*.tfrecord, images_per_step: 6}
training: {steps: 20}
"""
SIMCLR = CLASSIFICATION.replace("classification:", "simclr:")
PSEUDO = "pseudo={records: nowhere, images_per_step: 4}"
JOINT = "joint={records: nowhere, images_per_step: 8, image_size_px: [96, 64]}"
ONLINE = (
    "pseudo={records: nowhere, images_per_step: 4, online: true}",
    "optimization.ema_decay=0.99",
    "init={kind: teacher, checkpoint: runs/teacher}",
)
PARTS = {"human": 3, "pseudo": 2}
TEACHER = {"human": 3}
# A config, changes to it, and the images of each part.
TRAINED = {
    "detector": (DETECTION, ["pseudo=null"], TEACHER),
    "detector's student": (DETECTION, [], PARTS),
    "segmenter": (SEGMENTATION, [], TEACHER),
    "segmenter's student": (SEGMENTATION, [PSEUDO], PARTS),
    "classifier": (CLASSIFICATION, [], TEACHER),
    "classifier's student": (CLASSIFICATION, [PSEUDO], PARTS),
    "SimCLR": (SIMCLR, [], TEACHER),
    "detector with classes": (
        *(DETECTION, ["pseudo=null", JOINT]),
        {"human": 3, "joint": 4},
    ),
    "segmenter's student with classes": (
        *(SEGMENTATION, [PSEUDO, JOINT]),
        {**PARTS, "joint": 4},
    ),
    "detector taught online": (DETECTION, ONLINE, PARTS),
    "segmenter taught online": (SEGMENTATION, ONLINE, PARTS),
    "classifier taught online": (CLASSIFICATION, ONLINE, PARTS),
}
# The others have one of each task and of each kind of run.
SLOW = {
    *("segmenter's student with classes", "segmenter taught online"),
    "classifier taught online",
}
LOOKED = [
    *(
        (text, step)
        for text in (DETECTION, SEGMENTATION, CLASSIFICATION)
        for step in ("evaluation", "labeling")
    ),
    (SIMCLR, "evaluation"),  # It has no labels.
]
SIZES_PX = {"human": (64, 96), "pseudo": (64, 96), "joint": (96, 64)}


def load(tmp_path, text, *changes):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return config_lib.load(str(path), list(changes))


@pytest.fixture(autouse=True, scope="module")
def float32_afterwards():
    yield
    tf.keras.mixed_precision.set_global_policy("float32")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns the step of a row of `TRAINED`, which is lowered once."""
    folder = tmp_path_factory.mktemp("trained")

    @functools.cache
    def lowered(name):
        text, changes, images = TRAINED[name]
        return lowering.lower(load(folder, text, *changes), "train", images)

    return lowered


@pytest.fixture
def student(trained):
    """The step of a student, in bfloat16."""
    return trained("detector's student")


def test_a_students_step_is_lowered_from_the_shapes_of_both_parts(student):
    shapes, _ = hlo.arguments(student.hlo)
    assert ("U8", (3, 64, 96, 3)) in shapes and ("U8", (2, 64, 96, 3)) in shapes
    assert ("F32", (3, 100, 4)) in shapes  # Boxes, as many as the authors pad to.


def test_variables_stay_float32_and_are_updated_in_their_place(student):
    shapes, updated = hlo.arguments(student.hlo)
    assert "BF16" not in {dtype for dtype, _ in shapes}
    # Every kernel is there twice, with its momentum.
    kernels = [shape for dtype, shape in shapes if len(shape) == 4 and dtype == "F32"]
    assert kernels and all(kernels.count(shape) % 2 == 0 for shape in kernels)
    assert updated > len(kernels)


def test_convolutions_are_in_the_precision_of_the_config(student, tmp_path):
    assert "BF16" in kernels(student) and "F32" not in kernels(student)
    plain = load(tmp_path, DETECTION, "runtime.precision=float32")
    assert kernels(lowering.lower(plain, "evaluation", PARTS)) == {"F32"}


def kernels(step):
    """Returns the dtypes of all convolutions."""
    return {
        hlo.dtype_of(instruction.shape)
        for instruction in hlo.instructions(step.hlo, "convolution")
    }


def test_its_layers_are_those_of_a_run_on_many_replicas(student):
    # Keras' own BatchNorm would be this operation.
    assert not hlo.instructions(student.hlo, "batch-norm-training")


@pytest.mark.slow
def test_what_is_not_kept_is_computed_again(student, tmp_path):
    config = load(tmp_path, DETECTION, "training.rematerialize=true")
    again = lowering.lower(config, "train", PARTS)
    more = [len(hlo.instructions(step.hlo, "convolution")) for step in (again, student)]
    # The backbone's, forward.
    assert more[0] - more[1] == 13
    assert hlo.instructions(again.hlo, "opt-barrier")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in TRAINED],
)
def test_a_step_of_every_task_and_kind_of_run_is_lowered(trained, name):
    text, changes, images = TRAINED[name]
    lowered = trained(name)
    views = (2,) if text == SIMCLR else ()
    assert hlo.pictures(lowered.hlo) == {
        (count, *views, *SIZES_PX[part], 3) for part, count in images.items()
    }
    assert hlo.instructions(lowered.hlo, "convolution")
    shapes, updated = hlo.arguments(lowered.hlo)
    kernels = [shape for dtype, shape in shapes if len(shape) == 4 and dtype == "F32"]
    # With its momentum and, where it labels in the step, its average.
    copies = 3 if changes == ONLINE else 2
    assert kernels and all(kernels.count(shape) % copies == 0 for shape in kernels)
    assert updated > 2 * len(kernels) // copies


@pytest.mark.parametrize(("text", "step"), LOOKED)
def test_looking_at_pictures_is_lowered_too(tmp_path, text, step):
    lowered = lowering.lower(load(tmp_path, text), step, {"human": 3})
    shapes, updated = hlo.arguments(lowered.hlo)
    assert ("U8", (3, 64, 96, 3)) in shapes
    assert updated == 0


def test_a_head_beside_the_task_is_trained_on_pictures_of_its_own(trained):
    beside, alone = trained("detector with classes"), trained("detector")
    # Kernel and bias of the head, from 96 features to the 1000 classes of ImageNet.
    assert beside.parameters - alone.parameters == 96 * 1000 + 1000
    shapes, updated = hlo.arguments(beside.hlo)
    assert shapes.count(("F32", (96, 1000))) == 2  # With its momentum.
    assert updated - hlo.arguments(alone.hlo)[1] == 4


def test_a_teacher_that_labels_in_the_step_is_read_and_not_updated(student, trained):
    online = trained("detector taught online")
    shapes, updated = hlo.arguments(online.hlo)
    assert updated == hlo.arguments(student.hlo)[1]
    # Boxes come with the human pictures alone.
    boxes = [shape for _, shape in shapes if shape[1:] == (100, 4)]
    assert boxes == [(3, 100, 4)]


@pytest.mark.slow
def test_what_augmentation_leaves_to_the_device_is_part_of_the_step(student, tmp_path):
    config = load(tmp_path, DETECTION, "detection.augment.where=device")
    shapes, _ = hlo.arguments(lowering.lower(config, "train", PARTS).hlo)
    # What is to be done to each picture comes with it.
    assert len(shapes) > len(hlo.arguments(student.hlo)[0])


def test_classes_come_from_the_records_where_they_are(tiny_records):
    assert lowering.described(tiny_records.glob).class_names == tiny_records.class_names
    assert len(lowering.described("nowhere/*.tfrecord").class_names) == 90


@pytest.mark.slow
@pytest.mark.parametrize("step", lowering.STEPS)
def test_the_tpus_compiler_takes_every_step_of_a_small_student(tmp_path, step):
    try:
        environment.python()
    except OSError as error:
        pytest.skip(str(error))
    config = load(tmp_path, DETECTION)
    images = PARTS if step == "train" else {"human": 3}
    lowered = lowering.lower(config, step, images)
    compiled = compiler.compile_step(lowered.hlo, CHIPS["v3"], timeout_seconds=1200.0)
    assert compiled.verdict == "fits", compiled.error
    assert compiled.flops > 1e6
    # Model and momentum, in float32.
    least = 4 * lowered.parameters * (2 if step == "train" else 1)
    assert compiled.memory_bytes["arguments"] >= least
