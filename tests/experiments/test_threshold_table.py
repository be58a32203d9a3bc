"""What the table of thresholds says of each class."""

from st_keras.experiments.threshold_table import format_table


def row(threshold, chosen_for="class", **others):
    measured = {"precision": 0.75, "recall": 0.6, "kept_per_picture": 1.25}
    ends = {"interval": [0.4, 0.625], "true": 1234, "pictures": 60}
    return {"threshold": threshold, "chosen_for": chosen_for} | measured | ends | others


def found(fallback_for="all classes"):
    nothing = {"interval": None, "precision": None, "recall": 0.0}
    return {
        "target": "precision=0.7",
        "teacher_sha256": "0123456789ab",
        "pictures": 1500,
        "score_floor": 0.05,
        "min_support": 20,
        "support_unit": "boxes",
        "unit": "boxes",
        "fallback": 0.35,
        "per_class": {
            "cup": row(0.5),
            "teapot": row(0.45, fallback_for, **nothing, true=7),
            "fork": row(None, **nothing, kept_per_picture=0.0),
        },
        "all_classes": row(0.45, "all classes"),
    }


def test_a_line_per_class_and_what_its_marks_mean():
    text = format_table(found())
    head, *lines, empty = text.splitlines()[:6]
    assert head.split("  ")[-4:] == ["pictures", "precision", "recall", "kept/pic"]
    assert [line.split() for line in lines] == [
        ["cup", "0.500", "0.400-0.625", "1,234", "60", "0.75", "0.60", "1.25"],
        ["teapot", "0.450", "*", "-", "7", "60", "-", "0.00", "1.25"],
        ["fork", "never", "-", "1,234", "60", "-", "0.00", "0"],
        ["all", "together", "0.450", *lines[0].split()[2:]],
    ]
    assert {len(line) for line in (head, *lines)} == {len(head)} and not empty
    said = " ".join(text.split())
    assert "precision=0.7, on 1,500 held-out pictures that teacher 0123456789ab" in said
    assert "*: 1 of 3 classes have no pseudo label here or under 20 boxes" in said
    assert "of truth: the threshold of all classes together." in said
    assert "never: nothing is kept of 1 of 3 classes" in said


def test_a_class_whose_name_begins_like_the_last_row_has_its_mark():
    rare = found()
    rare["per_class"]["all terrain vehicle"] = row(0.45, "all classes")
    lines = format_table(rare).splitlines()
    assert ["*" in line.split() for line in lines[3:6]] == [False, True, False]


def test_too_little_truth_in_all_is_said_to_fall_back():
    said = " ".join(format_table(found(fallback_for="none")).split())
    assert "under 20 boxes of truth: the fallback, 0.35." in said
