"""What reading a folder of unlabelled pictures promises."""

import errno
import os
import pathlib

import pytest

from st_keras.data import splits
from st_keras.data.sources.folders import FolderSource


def test_every_picture_below_is_found_without_labels(folder):
    for name in ("a.PNG", "b c.png", "deep/er/ü.png"):
        folder.picture(name)
    info = folder.convert(FolderSource(folder.root))["train"]
    assert set(folder.records()) == {"a", "b c", "deep/er/ü"}
    assert info.class_names == ()
    assert info.boxes == 0


def test_names_that_differ_in_the_extension_keep_it(folder):
    for name in ("a.png", "a.bmp", "b.png", "x/a.png"):
        folder.picture(name)
    folder.convert(FolderSource(folder.root))
    assert set(folder.records()) == {"a.png", "a.bmp", "b", "x/a"}


def test_hidden_files_and_folders_are_left_alone(folder):
    for name in ("a.png", ".hidden.png", ".cache/b.png"):
        folder.picture(name)
    folder.write(".DS_Store", b"\0\0\0\1Bud1")
    folder.convert(FolderSource(folder.root))
    assert set(folder.records()) == {"a"}
    assert folder.skipped() == []


def test_other_files_are_listed(folder):
    folder.picture("a.png")
    folder.write("phone.HEIC", b"...")
    folder.write("README", b"...")
    folder.convert(FolderSource(folder.root))
    assert folder.skipped() == [
        ("README", "-", "unknown_extension"),
        ("phone", "-", "unknown_extension"),
    ]


def test_a_folder_that_cannot_be_read_is_an_error(folder, monkeypatch):
    for name in ("a.png", "locked/b.png", "lost+found/c.png"):
        folder.picture(name)
    scandir = os.scandir

    def locked(path):  # As without permission, which an administrator always has.
        if pathlib.Path(path).name in ("locked", "lost+found"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(OSError, match="Permission denied: '.*/locked'"):
        folder.convert(FolderSource(folder.root))
    (folder.root / "locked").rename(folder.root / "open")
    folder.convert(FolderSource(folder.root))
    assert set(folder.records()) == {"a", "open/b"}


def test_links_are_followed_once(folder, tmp_path):
    folder.picture("a.png")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder.root / "a.png").rename(elsewhere / "a.png")
    (folder.root / "link").symlink_to(elsewhere)
    (elsewhere / "loop").symlink_to(folder.root)
    (folder.root / "b.png").symlink_to(elsewhere / "a.png")
    folder.convert(FolderSource(folder.root))
    assert set(folder.records()) == {"link/a", "b"}


def test_the_split_has_the_name_asked_for(folder):
    folder.picture("a.png")
    folder.convert(FolderSource(folder.root, split="web"))
    assert set(folder.records("web")) == {"a"}


def test_an_empty_folder_is_an_error(folder):
    folder.root.mkdir()
    with pytest.raises(ValueError, match="`train`: the source has no picture"):
        folder.convert(FolderSource(folder.root))


def test_a_file_instead_of_a_folder_is_an_error(folder):
    path = folder.picture("a.png")
    with pytest.raises(ValueError, match=r"must be a folder, got .*a\.png: a file"):
        FolderSource(path)


def test_names_that_a_list_of_ids_would_misread_are_escaped(folder, tmp_path):
    for name in ("# 1.png", " a.png", "b .png", "c #.png"):
        folder.picture(name)
    folder.convert(FolderSource(folder.root))
    ids = [r"\x23 1", r"\x20a", r"b\x20", "c #"]
    assert set(folder.records()) == set(ids)
    splits.write_ids(tmp_path / "ids.txt", ids)
    assert splits.read_ids(tmp_path / "ids.txt") == ids
