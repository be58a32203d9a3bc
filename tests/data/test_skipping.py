"""What `SkipLog` promises."""

import pytest

from st_keras.data.skipping import Reason, SkipLog


def test_each_skip_is_a_line_sorted_by_picture_and_counts(tmp_path):
    log = SkipLog()
    log.add("b", Reason.DEGENERATE, "0 0 5 0", index=12)
    log.add("a", Reason.MISSING_FILE, "a.jpg")
    log.add("a", Reason.DEGENERATE, "1 1 1 1", index=0)
    log.write(tmp_path / "skipped.txt")
    assert (tmp_path / "skipped.txt").read_text().splitlines() == [
        "image\tannotation\treason\tvalues",
        "a\t-\tmissing_file\ta.jpg",
        "a\t0\tdegenerate\t1 1 1 1",
        "b\t12\tdegenerate\t0 0 5 0",
    ]
    assert log.counts == {"missing_file": 1, "degenerate": 2}


def test_lines_of_one_log_can_be_added_to_another():
    log, other = SkipLog(), SkipLog()
    log.add("b", Reason.DEGENERATE, "0 0 5 0", index=12)
    log.add("a", Reason.MISSING_FILE, "a.jpg")
    other.add("c", Reason.MISSING_FILE, "c.jpg")
    for line in log.lines:
        other.add_line(line)
    assert other.lines == ["c\t-\tmissing_file\tc.jpg", *log.lines]
    assert other.counts == {"missing_file": 2, "degenerate": 1}


def test_whatever_a_file_says_stays_on_its_line(tmp_path):
    log = SkipLog()
    log.add("a\tb", Reason.MALFORMED, "two\nlines and \udcff", index=0)
    log.write(tmp_path / "skipped.txt")
    lines = (tmp_path / "skipped.txt").read_text().splitlines()
    assert lines[1:] == ["a b\t0\tmalformed\ttwo lines and \\udcff"]


def test_strict_names_the_picture_the_reason_and_the_values():
    with pytest.raises(ValueError, match=r"a, annotation 3: degenerate: 5 5 5 5"):
        SkipLog(strict=True).add("a", Reason.DEGENERATE, "5 5 5 5", index=3)


@pytest.mark.parametrize(
    "reason", [Reason.CLIPPED, Reason.CROWD, Reason.NOTHING_LABELED]
)
def test_strict_lets_pass_what_is_kept(reason):
    log = SkipLog(strict=True)
    log.add("a", reason, "")
    assert log.counts == {reason.value: 1}
