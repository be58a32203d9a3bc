"""What can be known of a TPU without one: that it is given what it accepts.

tests/fake_tpu.py says how far its functions get.
"""

import pytest
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.data import dataset_info
from st_keras.ops import host_xla
from st_keras.runtime import strategy as strategies
from st_keras.runtime.inference import Predictor
from st_keras.tasks import build_task, with_class_names
from st_keras.training.loop import train
from tests import fake_tpu, patterns

TPU = ["runtime.strategy=tpu", "runtime.tpu=local"]


@pytest.fixture
def tpu(monkeypatch):
    made = fake_tpu.strategy()
    monkeypatch.setattr(strategies, "_tpu", lambda name: made)
    with strategies.precision("float32"):  # A run sets it for the whole process.
        yield made


def settings(path, *overrides):
    config = config_lib.load(path, [*TPU, "self_training=null", *overrides])
    return with_class_names(config, dataset_info.load(config.human.records))


def pseudo_of(path):
    pictures = config_lib.load(path).self_training
    return (
        f"pseudo.records={pictures.unlabeled_records}",
        f"pseudo.ids={pictures.unlabeled_ids}",
    )


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_a_model_that_predicts_is_traced(task, tpu, student_yaml, segmentation_yaml):
    path = student_yaml if task == "detection" else segmentation_yaml
    config = settings(path, "pseudo=null")
    task = build_task(config, xla=True)
    with tpu.scope():
        model = task.build_model(sync_batch_norm=False)
    views = task.views(tf.zeros([48, 64, 3], tf.uint8))
    batch = tf.nest.map_structure(lambda value: tf.repeat(value[:1], 4, 0), views)
    with pytest.raises(tf.errors.OpError, match=fake_tpu.MISSING):
        Predictor(task, model)._start(batch)


BFLOAT16 = "runtime.precision=mixed_bfloat16"
SLICES = ["training.accumulation_steps=2", "training.rematerialize=true"]
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "overrides"),
    [
        ("detection", [BFLOAT16]),  # With an average of the weights.
        pytest.param("detection", [], marks=SLOW),
        pytest.param("detection", ["pseudo=null", *SLICES], marks=SLOW),
        pytest.param("segmentation", [BFLOAT16], marks=SLOW),
        pytest.param("joint", [BFLOAT16], marks=SLOW),
    ],
)
def test_steps_of_training_are_traced(kind, overrides, tpu, request, tmp_path):
    path = request.getfixturevalue(
        f"{kind}_yaml" if kind in ("segmentation", "joint") else "student_yaml"
    )
    if "pseudo=null" not in overrides:
        # People's labels will do for those of a teacher.
        overrides = [*pseudo_of(path), *overrides]
    config = settings(path, *overrides)
    with pytest.raises(tf.errors.OpError, match=fake_tpu.MISSING):
        train(config, str(tmp_path / "run"))


@pytest.mark.slow
def test_a_step_that_labels_its_pictures_is_traced(tpu, student_yaml, tmp_path):
    teacher = str(tmp_path / "teacher")
    short = ["pseudo=null", "self_training=null", "training.steps=2"]
    train(config_lib.load(student_yaml, short), teacher)
    config = settings(
        student_yaml,
        *pseudo_of(student_yaml),
        *(BFLOAT16, "pseudo.online=true"),
        *("init.kind=teacher", f"init.checkpoint={teacher}"),
    )
    with pytest.raises(tf.errors.OpError, match=fake_tpu.MISSING):
        train(config, str(tmp_path / "run"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classification", "simclr"])
def test_steps_of_tasks_without_pseudo_labels_are_traced(
    kind, tpu, student_yaml, tmp_path
):
    """In SimCLR, the views of all cores are compared."""
    run = config_lib.to_dict(config_lib.load(student_yaml, [*TPU, BFLOAT16]))
    run |= {"detection": None, "pseudo": None, "self_training": None}
    run[kind] = {"image_size_px": [64, 64], "backbone": "tiny"}
    if kind == "classification":
        patterns.write(tmp_path, "train")
        run["human"] |= {"records": f"{tmp_path}/train/*.tfrecord", "ids": ""}
        run["evaluation"]["records"] = ""
    config = config_lib.from_dict(run)
    config = with_class_names(config, dataset_info.load(config.human.records))
    with pytest.raises(tf.errors.OpError, match=fake_tpu.MISSING):
        train(config, str(tmp_path / "run"))


def test_a_tensorflow_without_a_driver_is_told_from_a_tpu_that_is_away():
    """As where pip has replaced the one of a TPU VM's image."""
    with pytest.raises(ValueError, match="has no driver of TPUs. On a TPU VM, the im"):
        strategies._tpu("local")
    assert host_xla.is_allowed()
