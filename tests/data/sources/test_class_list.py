"""What `--classes` and `--ignore` promise about the values of masks."""

import pytest

from st_keras.data.sources.class_list import read_classes


def read(tmp_path, text, ignore=()):
    path = tmp_path / "classes.txt"
    path.write_text(text)
    return read_classes([str(path)], ignore)


def test_names_count_values_from_0():
    classes = read_classes(["sky", "road"], ignore=["11"])
    assert classes.names == ("sky", "road")
    assert classes.class_ids == {0: 0, 1: 1, 11: 255, 255: 255}
    assert not classes.is_color


def test_a_file_of_names_says_the_same(tmp_path):
    assert read(tmp_path, "\ufeffsky\n\n# no class\nroad\n") == read_classes(
        ["sky", "road"]
    )


def test_a_file_may_tell_values_and_leave_gaps(tmp_path):
    # Ids follow the order of the names; trucks are cars; void is no class.
    classes = read(tmp_path, "7 road\n26 car\n0 void\n8 side walk\n27 car\n")
    assert classes.names == ("road", "car", "side walk")
    assert classes.class_ids == {7: 0, 26: 1, 0: 255, 8: 2, 27: 1, 255: 255}


def test_a_mask_of_two_values_may_have_255_for_its_object(tmp_path):
    classes = read(tmp_path, "0 background\n255 object\n")
    assert classes.names == ("background", "object")
    assert classes.class_ids == {0: 0, 255: 1}


@pytest.mark.parametrize("name", ["ignore", "void", "Void"])
def test_what_is_called_ignore_or_void_is_no_class(name):
    classes = read_classes(["sky", name, "road"])
    assert classes.names == ("sky", "road")
    assert classes.class_ids == {0: 0, 1: 255, 2: 1, 255: 255}


@pytest.mark.parametrize("line", ["1,2,3 car", "1, 2, 3, car", "1 2 3\tcar"])
def test_three_numbers_are_a_colour(tmp_path, line):
    classes = read(tmp_path, line)
    # Red is the lowest: 1 + 256 * 2 + 65536 * 3.
    assert (classes.names, classes.class_ids) == (("car",), {197121: 0})
    assert classes.is_color


BAD_FILES = {
    "a line unlike the first": ("7 road\ncar\n", "like the first, `7 road`, got `car`"),
    "a value twice": ("7 road\n7 car\n", "car has a value or colour that was there"),
    "a colour twice": ("1,2,3 road\n1 2 3 car\n", "car has a value or colour"),
    "no byte": ("1,2,256 road\n", "must be 0 to 255, got `1,2,256 road`"),
    "nothing": ("# none\n", "`classes` must be 1 to 255 names.* got 0"),
    "too much": ("\n".join(f"c{i}" for i in range(256)), "1 to 255 names.* got 256"),
    "only void": ("void\n", "`classes` must be 1 to 255 names.* got 0"),
}


@pytest.mark.parametrize("text, message", BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)


def test_a_comma_too_many_is_no_class():
    with pytest.raises(ValueError, match="must not be empty names, got sky,,road"):
        read_classes(["sky", "", "road"])


def test_a_missing_file_is_not_taken_for_a_class():
    with pytest.raises(ValueError, match="no such file: nowhere.txt"):
        read_classes(["nowhere.txt"])


def test_a_single_class_is_not_taken_for_a_file():
    assert read_classes(["road"]).names == ("road",)


def test_a_value_to_ignore_must_not_be_a_class():
    with pytest.raises(ValueError, match="got 1, which is road; values count from 0"):
        read_classes(["sky", "road"], ignore=["1"])


def test_a_value_to_ignore_is_a_number():
    with pytest.raises(ValueError, match="`ignore` must be values .* got void"):
        read_classes(["sky"], ignore=["void"])


def test_colours_are_ignored_by_name_only(tmp_path):
    with pytest.raises(ValueError, match="`ignore` must be empty where .* colours"):
        read(tmp_path, "1,2,3 car\n", ignore=["11"])
