"""What opening a checkpoint promises: it is whole, or it is told what is not."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.models.weights import bundle, table
from tests.models.weights import files

VALUES = {
    f"scope_{number:03d}/kernel": np.float32(np.arange(5 * number + 1) + number)
    for number in range(300)  # Several blocks of the index.
}


@pytest.fixture
def prefix(tmp_path):
    return files.write_tf1(tmp_path / "model.ckpt-7", VALUES)


def data_file(prefix):
    return f"{prefix}.data-00000-of-00001"


def cut(path, size):
    with open(path, "rb+") as file:
        file.truncate(size)


def test_names_shapes_and_values_are_those_that_were_written(prefix):
    found = bundle.Bundle(prefix)
    assert found.shapes == {name: value.shape for name, value in VALUES.items()}
    for name, value in VALUES.items():
        np.testing.assert_array_equal(found.value(name), value)
    assert found.graph is None


def test_the_index_tells_the_size_of_the_data_file(prefix):
    # Each number has 4 bytes: 4 * sum of (5 n + 1) for n under 300.
    assert table.read_index(f"{prefix}.index").shard_bytes == (4 * (5 * 44850 + 300),)


def test_several_data_files_are_measured_one_by_one(tmp_path):
    parts = [files.write_tf1(tmp_path / f"p{n}", {f"v{n}": [n] * 9}) for n in (1, 2)]
    merged = str(tmp_path / "merged")
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=parts, destination_prefix=merged, delete_old_dirs=False
    )
    assert table.read_index(f"{merged}.index").shard_bytes == (36, 36)
    (tmp_path / "merged.data-00001-of-00002").unlink()
    with pytest.raises(ValueError, match=r"00001-of-00002: missing; .* 2 data files"):
        bundle.Bundle(merged)


def test_a_data_file_that_was_cut_off_is_named_with_both_sizes(prefix):
    cut(data_file(prefix), 898_000)
    with pytest.raises(
        ValueError, match=r"00000-of-00001: cut off, must have 898200 bytes, got 898000"
    ):
        bundle.Bundle(prefix)


def test_a_changed_byte_is_found_when_the_weight_is_read(prefix):
    with open(data_file(prefix), "rb+") as file:
        file.seek(1000)
        file.write(b"\xff\x01\xff")
    found = bundle.Bundle(prefix)
    with pytest.raises(ValueError, match="damaged at `scope_"):
        for name in found.shapes:
            found.value(name)


def test_an_index_that_is_empty_or_cut_off_is_named(prefix):
    cut(f"{prefix}.index", 900)
    with pytest.raises(ValueError, match=r"\.index: .*damaged.* 900 bytes"):
        bundle.Bundle(prefix)
    cut(f"{prefix}.index", 0)
    with pytest.raises(ValueError, match=r"\.index: is empty"):
        bundle.Bundle(prefix)


def test_any_bytes_are_refused_as_an_index_without_harm(tmp_path):
    path = tmp_path / "x.index"
    good = open(files.write_tf1(tmp_path / "good", VALUES) + ".index", "rb").read()
    random = np.random.default_rng(3)
    for _ in range(100):
        bad = bytearray(good)
        for at in random.integers(0, len(bad), 40):
            bad[at] = random.integers(256)
        path.write_bytes(bad)
        try:
            table.read_index(str(path))
        except ValueError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00000-of-00001", ".meta"])
def test_a_prefix_may_be_given_as_any_of_its_files(prefix, suffix):
    assert bundle.find_prefix(prefix + suffix) == prefix


def test_a_folder_with_one_checkpoint_will_do_even_if_it_names_another_place(
    prefix, tmp_path
):
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/gone/model.ckpt-7"')
    assert bundle.find_prefix(str(tmp_path)) == prefix


def test_of_several_in_a_folder_one_must_be_chosen(prefix, tmp_path):
    files.write_tf1(tmp_path / "model.ckpt-8", VALUES)
    with pytest.raises(ValueError, match="one checkpoint, got model.ckpt-7, model.ck"):
        bundle.find_prefix(str(tmp_path))


@pytest.mark.parametrize("content", [None, ""])
def test_of_a_run_whose_list_is_lost_or_empty_the_newest_is_taken(tmp_path, content):
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    for step in (900, 1000):  # By name, 1000 is before 900.
        files.write_tf1(folder / f"ckpt-{step}", VALUES)
    if content is not None:
        (folder / "checkpoint").write_text(content)
    for path in (folder, folder.parent):
        assert bundle.find_prefix(str(path)) == str(folder / "ckpt-1000")


def test_what_is_no_checkpoint_is_told_apart(prefix, tmp_path):
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(b"\x1f\x8b")
    with pytest.raises(ValueError, match="is an archive; unpack it"):
        bundle.find_prefix(str(archive))
    with pytest.raises(ValueError, match="not there; name a checkpoint"):
        bundle.find_prefix(str(tmp_path / "nothing"))
    (tmp_path / "model.ckpt-7.index").unlink()
    with pytest.raises(ValueError, match=r"7\.index: missing, though .*data-00000"):
        bundle.find_prefix(prefix)
