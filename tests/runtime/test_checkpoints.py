"""What checkpoints promise: whole, checked, and told apart."""

import pathlib
import time

import numpy as np
import pytest
import tensorflow as tf

from st_keras.runtime.checkpoints import Checkpoints, find_model, has_any, load_model


def make_model(units=3):
    inputs = tf.keras.layers.Input([2])
    return tf.keras.Model(inputs, tf.keras.layers.Dense(units, name="out")(inputs))


def make_state(workdir, model, **parts):
    optimizer = tf.keras.optimizers.legacy.SGD(0.1, momentum=0.9)
    optimizer._create_all_weights(model.trainable_variables)
    saved = Checkpoints(str(workdir), optimizer=optimizer, keep=2, model=model, **parts)
    return saved, optimizer


def test_a_new_run_starts_at_step_0(tmp_path):
    saved, _ = make_state(tmp_path, make_model())
    assert saved.restore() == 0
    assert saved.latest == "none"


def test_a_run_that_has_saved_something_needs_no_first_weights(tmp_path):
    assert not has_any(str(tmp_path))
    saved, _ = make_state(tmp_path, make_model())
    assert not has_any(str(tmp_path))
    saved.save()
    assert has_any(str(tmp_path))


def test_everything_comes_back(tmp_path):
    model = make_model()
    saved, optimizer = make_state(tmp_path, model)
    optimizer.iterations.assign(70)
    model.weights[0].assign([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    saved.save()
    other = make_model()
    again, _ = make_state(tmp_path, other)
    assert again.restore() == 70
    np.testing.assert_array_equal(other.weights[0], [[1, 2, 3], [4, 5, 6]])


def test_the_newest_are_kept(tmp_path):
    saved, optimizer = make_state(tmp_path, make_model())
    for step in (10, 20, 30):
        optimizer.iterations.assign(step)
        saved.save()
    kept = {path.stem for path in (tmp_path / "checkpoints").glob("*.index")}
    assert kept == {"ckpt-20", "ckpt-30"}
    assert saved.latest.endswith("ckpt-30")


def test_averaged_weights_are_the_ones_to_use(tmp_path):
    model, average = make_model(), make_model()
    average.weights[1].assign([7.0, 8.0, 9.0])
    saved, _ = make_state(tmp_path, model, averaged=average)
    saved.save()
    found = find_model(str(tmp_path))
    assert found.averaged
    loaded = make_model()
    load_model(loaded, found)
    np.testing.assert_array_equal(loaded.weights[1], [7, 8, 9])


def test_the_digest_is_of_the_content(tmp_path):
    model = make_model()
    digests = []
    for folder, value in (("a", 1.0), ("b", 1.0), ("c", 2.0)):
        model.weights[0].assign(tf.ones([2, 3]) * value)
        saved, optimizer = make_state(tmp_path / folder, model)
        optimizer.iterations.assign(5)
        saved.save()
        digests.append(find_model(str(tmp_path / folder)).digest)
    assert digests[0] == digests[1] != digests[2]
    assert len(digests[0]) == 12


def test_another_models_checkpoint_is_refused(tmp_path):
    saved, _ = make_state(tmp_path, make_model(units=3))
    saved.save()
    with pytest.raises(ValueError, match="ckpt-0: holds another model: .*shape"):
        load_model(make_model(units=4), find_model(str(tmp_path)))
    again, _ = make_state(tmp_path, make_model(units=4))
    with pytest.raises(ValueError, match="ckpt-0: holds another model: .*shape"):
        again.restore()


@pytest.mark.parametrize("content", [None, b"", b"half a na"])
def test_without_their_list_the_files_count(tmp_path, content):
    saved, optimizer = make_state(tmp_path, make_model())
    for step in (90, 100):  # By number and not by name.
        optimizer.iterations.assign(step)
        saved.save()
    listing = tmp_path / "checkpoints" / "checkpoint"
    listing.unlink() if content is None else listing.write_bytes(content)
    assert has_any(str(tmp_path))
    assert find_model(str(tmp_path)).prefix.endswith("ckpt-100")
    again, _ = make_state(tmp_path, make_model())
    assert again.restore() == 100


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, suffix):
    model = make_model()
    saved, optimizer = make_state(tmp_path, model)
    for step in (10, 20):
        optimizer.iterations.assign(step)
        model.weights[1].assign([step, step, step])
        path = pathlib.Path(saved.save() + suffix)
    path.write_bytes(path.read_bytes()[:40])
    other = make_model()
    again, optimizer = make_state(tmp_path, other)
    assert again.restore() == 10
    np.testing.assert_array_equal(other.weights[1], [10, 10, 10])
    # The run goes on, and its next checkpoint takes the place of the damaged one.
    optimizer.iterations.assign(20)
    again.save()
    third, _ = make_state(tmp_path, make_model())
    assert third.restore() == 20


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_where_all_are_damaged_the_file_is_named(tmp_path, suffix):
    saved, _ = make_state(tmp_path, make_model())
    path = pathlib.Path(saved.save() + suffix)
    path.write_bytes(path.read_bytes()[:40])
    again, _ = make_state(tmp_path, make_model())
    with pytest.raises(ValueError, match="ckpt-0: damaged.*delete the folder"):
        again.restore()


def test_a_folder_without_checkpoints_is_named(tmp_path):
    with pytest.raises(ValueError, match="holds no checkpoint; name the workdir"):
        find_model(str(tmp_path))


def test_a_clock_that_was_set_back_hides_no_checkpoint(tmp_path, monkeypatch):
    model, now = make_model(), time.time()
    with monkeypatch.context() as later:
        later.setattr(time, "time", lambda: now + 7200.0)
        saved, optimizer = make_state(tmp_path, model)
        for step in (3, 5):
            optimizer.iterations.assign(step)
            saved.save()
    again, optimizer = make_state(tmp_path, make_model())
    assert again.restore() == 5
    optimizer.iterations.assign(7)
    again.save()
    assert make_state(tmp_path, make_model())[0].restore() == 7


def test_what_is_no_damage_of_the_files_is_not_called_that(tmp_path, monkeypatch):
    saved, optimizer = make_state(tmp_path, make_model())
    for step in (10, 20):
        optimizer.iterations.assign(step)
        saved.save()

    def restore(_, path):
        raise tf.errors.ResourceExhaustedError(None, None, f"OOM at {path}")

    again, _ = make_state(tmp_path, make_model())
    monkeypatch.setattr(tf.train.Checkpoint, "restore", restore)
    with pytest.raises(tf.errors.ResourceExhaustedError, match="OOM at .*ckpt-20"):
        again.restore()  # And not the step 10 of the one before.
