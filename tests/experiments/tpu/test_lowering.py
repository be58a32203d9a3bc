"""What is handed to the TPU's compiler, and that it takes it."""

import pytest
import tensorflow as tf
from tensorflow.compiler.xla import xla_data_pb2
from tensorflow.compiler.xla.service import hlo_pb2

from st_keras import config as config_lib
from st_keras.experiments.tpu import compiler, environment, lowering
from st_keras.experiments.tpu.chips import CHIPS

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
PARTS = {"human": 3, "pseudo": 2}


def load(tmp_path, text, *changes):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return config_lib.load(str(path), list(changes))


@pytest.fixture(autouse=True, scope="module")
def float32_afterwards():
    yield
    tf.keras.mixed_precision.set_global_policy("float32")


def arguments(step):
    """Returns the dtype and shape of each argument, and how many are updated."""
    module = hlo_pb2.HloModuleProto.FromString(step.hlo)
    shapes = [
        (xla_data_pb2.PrimitiveType.Name(shape.element_type), tuple(shape.dimensions))
        for shape in module.host_program_shape.parameters
    ]
    return shapes, len(module.input_output_alias.entries)


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """The step of a student, in bfloat16."""
    config = load(tmp_path_factory.mktemp("student"), DETECTION)
    return lowering.lower(config, "train", PARTS)


def test_a_students_step_is_lowered_from_the_shapes_of_both_parts(student):
    shapes, _ = arguments(student)
    assert ("U8", (3, 64, 96, 3)) in shapes and ("U8", (2, 64, 96, 3)) in shapes
    assert ("F32", (3, 100, 4)) in shapes  # Boxes, as many as the authors pad to.


def test_variables_stay_float32_and_are_updated_in_their_place(student):
    shapes, updated = arguments(student)
    assert "BF16" not in {dtype for dtype, _ in shapes}
    # Every kernel is there twice, with its momentum.
    kernels = [shape for dtype, shape in shapes if len(shape) == 4 and dtype == "F32"]
    assert kernels and all(kernels.count(shape) % 2 == 0 for shape in kernels)
    assert updated > len(kernels)


def test_convolutions_are_in_the_precision_of_the_config(student, tmp_path):
    assert "BF16" in kernels(student) and "F32" not in kernels(student)
    plain = load(tmp_path, DETECTION, "runtime.precision=float32")
    assert kernels(lowering.lower(plain, "evaluation", PARTS)) == {"F32"}


def instructions(step, opcode):
    module = hlo_pb2.HloModuleProto.FromString(step.hlo)
    return [
        instruction
        for computation in module.computations
        for instruction in computation.instructions
        if instruction.opcode == opcode
    ]


def kernels(step):
    """Returns the dtypes of all convolutions."""
    return {
        xla_data_pb2.PrimitiveType.Name(instruction.shape.element_type)
        for instruction in instructions(step, "convolution")
    }


def test_its_layers_are_those_of_a_run_on_many_replicas(student):
    # Keras' own BatchNorm would be this operation.
    assert not instructions(student, "batch-norm-training")


@pytest.mark.slow
def test_what_is_not_kept_is_computed_again(student, tmp_path):
    config = load(tmp_path, DETECTION, "training.rematerialize=true")
    again = lowering.lower(config, "train", PARTS)
    more = [len(instructions(step, "convolution")) for step in (again, student)]
    # The backbone's, forward.
    assert more[0] - more[1] == 13
    assert instructions(again, "opt-barrier")


@pytest.mark.parametrize(
    ("text", "step"), [(DETECTION, "labeling"), (SEGMENTATION, "evaluation")]
)
def test_looking_at_pictures_is_lowered_too(tmp_path, text, step):
    lowered = lowering.lower(load(tmp_path, text), step, {"human": 3})
    shapes, updated = arguments(lowered)
    assert ("U8", (3, 64, 96, 3)) in shapes
    assert updated == 0


@pytest.mark.slow
def test_what_augmentation_leaves_to_the_device_is_part_of_the_step(student, tmp_path):
    config = load(tmp_path, DETECTION, "detection.augment.where=device")
    shapes, _ = arguments(lowering.lower(config, "train", PARTS))
    # What is to be done to each picture comes with it.
    assert len(shapes) > len(arguments(student)[0])


def test_a_step_with_more_in_it_than_is_lowered_is_refused(tmp_path):
    online = "{records: nowhere, images_per_step: 4, online: true}"
    config = load(
        tmp_path,
        DETECTION,
        f"pseudo={online}",
        "optimization.ema_decay=0.99",
        "init={kind: teacher, checkpoint: runs/teacher}",
    )
    with pytest.raises(ValueError, match="`pseudo.online` are not compiled"):
        lowering.lower(config, "train", PARTS)


def test_classes_come_from_the_records_where_they_are(tiny_records, tmp_path):
    config = load(tmp_path, DETECTION, f"human.records={tiny_records.glob}")
    assert lowering.described(config).class_names == tiny_records.class_names
    config = load(tmp_path, DETECTION)
    assert len(lowering.described(config).class_names) == 90


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
