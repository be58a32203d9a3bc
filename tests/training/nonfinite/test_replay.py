"""What is found out about a step that was not finite."""

import dataclasses
import errno

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.data import dataset_info
from st_keras.runtime.checkpoints import Checkpoints
from st_keras.runtime.run_log import read_rows
from st_keras.tasks import build_task
from st_keras.tasks.classification import ClassificationTask
from st_keras.training import optimization
from st_keras.training.learner import Learner
from st_keras.training.loop import train
from st_keras.training.nonfinite import black_box, diagnosis, replay
from st_keras.training.nonfinite.probes import Probes
from st_keras.training.nonfinite.rescue import Failure
from st_keras.types import Classes
from tests.training.nonfinite.poison import mark, poison

layers = tf.keras.layers


def towers(bias):
    """Two nested models: a dense layer, then the root of what comes out."""
    inside = layers.Input([3])
    root = layers.Activation(tf.sqrt, name="root")(inside)
    tower = tf.keras.Model(inside, root, name="tower")
    images = layers.Input([2])
    x = layers.Dense(3, kernel_initializer="ones", name="first")(images)
    model = tf.keras.Model(images, {"y": layers.Add(name="sum")([tower(x), x])})
    model.get_layer("first").bias.assign([0.0, 0.0, bias])
    return model


# Rows of different sums: 3, 1 and 6.
ROWS = np.float32([[1, 2], [4, -3], [2, 4]])


def look(model):
    probes = Probes()
    with probes.on(model), tf.GradientTape() as tape:
        total = tf.reduce_sum(model(ROWS, training=True)["y"])
    kernel = model.get_layer("first").kernel
    return probes.calls, total, tape.gradient(total, kernel)


def test_layers_are_seen_in_their_order_and_by_the_models_they_are_in():
    calls, _, _ = look(towers(bias=1.0))
    assert [call.layer for call in calls] == ["first", "tower/root", "sum"]
    assert calls[0].outputs.shape == (3, 3)
    assert calls[0].outputs.largest == 7.0  # 6 + 1.
    # On the way back, the other way round.
    assert sorted(calls, key=lambda call: call.turn) == calls[::-1]


def test_looking_changes_no_number():
    _, total, gradient = look(towers(bias=1.0))
    model = towers(bias=1.0)
    with tf.GradientTape() as tape:
        plain = tf.reduce_sum(model(ROWS, training=True)["y"])
    np.testing.assert_array_equal(total, plain)
    kernel = model.get_layer("first").kernel
    np.testing.assert_array_equal(gradient, tape.gradient(plain, kernel))
    probed = towers(bias=1.0)
    look(probed)
    assert len(look(probed)[0]) == 3  # The first look has left nothing behind.


def test_the_row_whose_root_does_not_exist_is_the_one_that_is_not_finite():
    # 1 - 2 is negative; 3 - 2 and 6 - 2 are not.
    calls, _, _ = look(towers(bias=-2.0))
    first = next(call for call in calls if not call.outputs.is_finite)
    assert first.layer == "tower/root"
    assert first.inputs.is_finite
    np.testing.assert_array_equal(first.outputs.rows, [True, False, True])


def test_a_gradient_that_is_not_finite_is_told_from_a_value():
    # 1 - 1 = 0: its root is 0, but the slope there is infinite.
    calls, total, _ = look(towers(bias=-1.0))
    assert np.isfinite(total)
    (broken,) = [
        call
        for call in calls
        if call.output_gradients.is_finite and not call.input_gradients.is_finite
    ]
    assert broken.layer == "tower/root"
    np.testing.assert_array_equal(broken.input_gradients.rows, [True, False, True])


@pytest.mark.parametrize(
    ("bias", "where"),
    # As above: the root of the middle row does not exist, or has an infinite slope.
    [(-2.0, "forward pass, output of"), (-1.0, "backward pass, through")],
)
def test_a_layer_is_named_with_the_picture_whose_row_it_could_not_take(bias, where):
    probes = Probes()
    probes.calls, _, _ = look(towers(bias=bias))
    seen = replay.Replayed(
        facts={"images": {"human": ["a", "b", "c"]}, "replicas": 1},
        **{"is_same": True, "slices": 1, "values": {"gradient_norm": 1}},
        parts={"human": np.zeros([3, 2])},
        weights={"first/kernel": replay.Seen(largest=1.0)},
        **{"gradients": {}, "probes": probes, "terms": []},
    )
    found = diagnosis.diagnose(seen)
    assert found.where.startswith(f"{where} layer `tower/root`")
    assert found.images == ["human: b"]
    assert found.cure.startswith("Look at b ")


def test_the_loss_of_the_joint_part_is_looked_into_by_the_task_that_made_it():
    classes = ClassificationTask(
        config_lib.ClassificationConfig(
            class_names=("cat", "dog"), image_size_px=(32, 64), backbone="resnet18"
        )
    )
    # Both logits are finite and their difference is not: the wrong class of `a`.
    terms = replay.Terms(
        **{"part": "joint", "task": classes, "replica": 0},
        labels=Classes(
            class_ids=tf.constant([[1], [1]]),
            scores=tf.ones([2, 1]),
            weights=tf.ones([2, 1]),
        ),
        outputs={"logits": tf.constant([[3e38, -3e38], [1.0, 0.0]])},
        totals={"class": np.inf},
    )
    seen = replay.Replayed(
        facts={"images": {"human": ["c"], "joint": ["a", "b"]}, "replicas": 1},
        **{"is_same": True, "slices": 1, "values": {"joint/class": np.inf}},
        parts={"human": np.zeros([1, 2]), "joint": np.zeros([2, 2])},
        weights={"first/kernel": replay.Seen(largest=1.0)},
        **{"gradients": {}, "probes": Probes(), "terms": [terms]},
    )
    found = diagnosis.diagnose(seen)
    assert found.where.startswith("loss `joint/class`, while all outputs")
    assert found.images == ["joint: a"]


STEP = 3


@pytest.fixture
def write_box(tiny_records, tmp_path):
    """Writes the box of a step of a detector, taken eagerly and without the loop."""
    config = config_lib.Config(
        detection=config_lib.DetectionConfig(
            class_names=tiny_records.class_names,
            **{"image_size_px": (64, 96), "backbone": "tiny", "max_level": 5},
            **{"neck_filters": 16, "anchor_size": 1.5, "aspect_ratios": (1.0,)},
            head=config_lib.BoxHeadConfig(num_convs=1, num_filters=16),
        ),
        human=config_lib.RecordsConfig(records=tiny_records.glob, images_per_step=4),
        training=config_lib.TrainingConfig(steps=10),
    )
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    task = build_task(config)
    with strategy.scope():
        model = task.build_model(sync_batch_norm=False)
        optimizer = optimization.build_optimizer(config.optimization, 10)
        optimization.create_slots(optimizer, model.trainable_variables)
    optimizer.iterations.assign(STEP)
    saved = Checkpoints(str(tmp_path), optimizer=optimizer, keep=1, model=model)
    learner = Learner(task=task, model=model, optimizer=optimizer)
    box = black_box.BlackBox(config, str(tmp_path), strategy, learner, saved)

    def write(**values):
        failure = Failure(
            step=STEP,
            values={"human/class": 1.0, "learning_rate": 0.08} | values,
            **{"config": config, "recoveries": 0, "checkpoint": "none"},
        )
        tf.config.run_functions_eagerly(True)
        try:
            return box.write(failure)[0]
        finally:
            tf.config.run_functions_eagerly(False)

    return config, model, write


def test_a_box_for_which_there_is_no_room_ends_nothing(
    write_box, tmp_path, monkeypatch
):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    _, _, write = write_box
    monkeypatch.setattr(black_box.np, "savez", full)
    assert write() == ""
    assert list((tmp_path / "debug").iterdir()) == []  # Nothing half written.


def test_a_loss_that_is_nan_is_named_with_its_image(write_box, monkeypatch):
    config, _, write = write_box
    info = dataset_info.load(config.human.records)
    number, image_id = mark(config, info, step=STEP, part="human", row=None)
    poison(monkeypatch, [number])
    folder = write(**{"human/box": float("nan")})
    facts = black_box.read_facts(folder)
    assert facts["values"]["human/box"] == "nan"
    assert facts["values_when_taken_again"]["human/box"] == "nan"
    seen = replay.replay(folder)
    assert seen.is_same
    assert seen.values["human/class"] == pytest.approx(
        facts["values_when_taken_again"]["human/class"], rel=1e-5
    )
    found = diagnosis.diagnose(seen)
    assert found.where.startswith("loss `human/box`")
    assert "poison.py" in found.where
    assert found.images == [f"human: {image_id}"]
    page = diagnosis.page(seen, found, folder)
    assert "in the run:     human/box nan" in page
    assert "those of the run" in page


def test_a_batch_that_was_taken_in_slices_is_replayed_whole(write_box, monkeypatch):
    config, _, write = write_box
    info = dataset_info.load(config.human.records)
    number, image_id = mark(config, info, step=STEP, part="human", row=None)
    poison(monkeypatch, [number])
    folder = write(**{"human/box": float("nan")})
    path = f"{folder}/config.yaml"
    ran = config_lib.load(path)
    training = dataclasses.replace(ran.training, accumulation_steps=2)
    config_lib.save(dataclasses.replace(ran, training=training), path)
    seen = replay.replay(folder)
    found = diagnosis.diagnose(seen)
    assert found.where.startswith("loss `human/box`")
    assert found.images == [f"human: {image_id}"]
    page = diagnosis.page(seen, found, folder)
    assert "2 in the run, one here: BatchNorm sees the whole" in page


@pytest.mark.slow
def test_a_layer_that_overflows_is_named_with_the_size_of_the_weights(write_box):
    _, model, write = write_box
    kernels = [v for v in model.trainable_variables if "kernel" in v.name]
    kernels[1].assign(tf.fill(kernels[1].shape, 3e38))
    seen = replay.replay(write(loss=float("inf")))
    found = diagnosis.diagnose(seen)
    layer = kernels[1].name.split("/")[0]
    assert found.where.startswith("forward pass, output of layer ")
    assert f"{layer}`" in found.where
    assert "The weights have grown to 3e+38" in found.cure


@pytest.fixture
def failed(teacher_config, monkeypatch, tmp_path):
    """A run of two replicas that has recovered; the second one's loss was nan."""
    config = dataclasses.replace(
        teacher_config,
        training=dataclasses.replace(
            teacher_config.training,
            **{"steps": 4, "steps_per_loop": 2, "checkpoint_every_steps": 2},
            on_nonfinite="recover",
        ),
        evaluation=dataclasses.replace(teacher_config.evaluation, records=""),
        runtime=dataclasses.replace(teacher_config.runtime, strategy="mirrored"),
    )
    info = dataset_info.load(config.human.records)
    number, image_id = mark(config, info, step=STEP, part="human", row=4)
    poison(monkeypatch, [number])
    summary = train(config, str(tmp_path), devices=["CPU:0", "CPU:1"])
    return tmp_path, summary, image_id


@pytest.mark.slow
def test_two_replicas_recover_and_the_replay_names_loss_and_image(failed):
    workdir, summary, image_id = failed
    (event,) = summary["failures"]
    assert (event["step"], event["back_to"], event["recoveries"]) == (STEP, 2, 0)
    rows = read_rows(workdir)
    assert [row["step"] for row in rows] == [2, 4]
    assert rows[1]["failures/recovered"] == 1.0
    assert np.isfinite(rows[1]["loss"])

    folder = str(workdir / "debug" / f"step_{STEP}")
    assert event["black_box"] == folder
    seen = replay.replay(folder)
    assert seen.is_same
    facts = black_box.read_facts(folder)
    # Eagerly, other kernels than in a graph add in another order.
    assert seen.values["human/class"] == pytest.approx(
        facts["values"]["human/class"], rel=1e-4
    )
    assert {call.replica for call in seen.probes.calls} == {0, 1}
    found = diagnosis.diagnose(seen)
    assert found.where.startswith("loss `human/box`")
    assert "poison.py" in found.where
    assert found.images == [f"human: {image_id}"]
    page = diagnosis.page(seen, found, folder)
    assert image_id in page
    assert "those of the run" in page


@pytest.mark.parametrize("beside", ["joint", "online"])
@pytest.mark.slow
def test_a_step_with_more_than_a_model_is_replayed_as_it_was(
    beside, joint_yaml, student_yaml, digit_records, tmp_path, monkeypatch
):
    """A head of its own, or a teacher that is the average, is in the folder too."""
    settings = [
        *("self_training=null", "evaluation.records=''", "training.steps=4"),
        *("training.checkpoint_every_steps=2", "training.on_nonfinite=recover"),
    ]
    if beside == "joint":
        config = config_lib.load(joint_yaml, [*settings, "pseudo=null"])
    else:
        teacher = str(tmp_path / "teacher")
        train(config_lib.load(student_yaml, [*settings, "pseudo=null"]), teacher)
        settings += [
            *("pseudo.online=true", f"pseudo.records={digit_records}/train/*.tfrecord"),
            *("init.kind=teacher", f"init.checkpoint={teacher}"),
            f"pseudo.ids={digit_records}/rest.txt",
        ]
        config = config_lib.load(student_yaml, settings)
    info = dataset_info.load(config.human.records)
    number, image_id = mark(config, info, step=STEP, part="human", row=1)
    poison(monkeypatch, [number])
    summary = train(config, str(tmp_path / "run"))
    (event,) = summary["failures"]
    assert (event["step"], event["back_to"]) == (STEP, 2)
    seen = replay.replay(event["black_box"])
    assert seen.is_same
    told = black_box.read_facts(event["black_box"])["values"]
    # What only the other part makes: a class of each picture, or labels by the average.
    names = {"joint": "joint/class", "online": "pseudo/class"}
    for name in ("human/class", names[beside]):
        assert seen.values[name] == pytest.approx(told[name], rel=1e-4), name
    found = diagnosis.diagnose(seen)
    assert found.where.startswith("loss `human/box`")
    assert found.images == [f"human: {image_id}"]
    if beside == "joint":  # Its head is looked at too.
        assert any("logits" in call.layer for call in seen.probes.calls)
        assert len(seen.weights) == len(seen.gradients)


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(ValueError, match="black_box.json: missing; `--debug` must be"):
        black_box.read_facts(str(tmp_path))
