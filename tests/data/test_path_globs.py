"""What looking for files by a glob promises."""

from st_keras.data import path_globs


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_with_brackets_is_found_as_it_is_written(tmp_path):
    make(tmp_path, "b[x]/train/1.png", "b[x]/train/2.jpg", "b[x]/3.png")
    one = str(tmp_path / "b[x]" / "train" / "1.png")
    for pattern in ("b[x]/train/*.png", "b[x]/train/[01].png", "b[x]/tr*/1.*"):
        assert path_globs.paths(f"{tmp_path}/{pattern}") == [one]
    assert path_globs.files(f"{tmp_path}/b[x]/**/1.png") == [one]
    assert path_globs.paths(f"{tmp_path}/b[x]/*.tfrecord") == []


def test_what_the_glob_matches_comes_first(tmp_path):
    make(tmp_path, "b[x]/1.png", "bx/2.png")
    assert path_globs.paths(f"{tmp_path}/b[x]/*") == [str(tmp_path / "bx" / "2.png")]


def test_a_link_to_a_folder_above_shows_no_file_twice(tmp_path):
    make(tmp_path, "photos/a.png", "photos/z/b.png")
    photos = tmp_path / "photos"
    (photos / "again").symlink_to(photos)
    (photos / "z" / "c.png").symlink_to(photos / "a.png")  # A name of its own.
    found = path_globs.files(f"{photos}/**/*.png")
    assert found == [str(photos / name) for name in ("a.png", "z/b.png", "z/c.png")]
