"""What the tables for a terminal hold."""

from st_keras.experiments.tables import (
    format_evaluation,
    format_summary,
    format_table,
)


def test_numbers_print_as_an_aligned_table_under_80_columns(made_up):
    lines = format_table(made_up()).splitlines()
    assert lines[:4] == [
        "                         teacher  student  control",
        "AP                          41.3     48.7     46.1",
        "AP50                        70.0     75.5     75.5",
        "APl                            -        -        -",
    ]
    assert "steps                      1,500    1,500    3,000" in lines
    assert "steps with its teachers    1,500    3,000    3,000" in lines
    assert "total      2 min 29 s" in lines
    assert lines[-2:] == made_up()["verdict"]
    assert max(len(line) for line in lines) < 80


def test_totals_are_those_of_the_report_and_may_be_trillions(made_up):
    student = made_up()["student"]
    student["total"] |= {"steps": 4500, "multiply_adds": 21_600_000_000_000}
    lines = format_table(made_up(student=student)).splitlines()
    assert "steps with its teachers    1,500    4,500    3,000" in lines
    assert "multiply-adds with them    720 B     22 T  1,440 B" in lines


def test_a_printed_table_needs_neither_control_nor_truth(made_up):
    pseudo = made_up()["pseudo_labels"] | {"sentence": "How right is unknown."}
    text = format_table(made_up(control=None, pseudo_labels=pseudo))
    assert "control" not in text
    assert "\n\nHow right is unknown.\n\n" in text


def test_an_evaluation_prints_numbers_classes_and_protocol():
    metrics = {"AP": 41.26, "APl": -100.0, "per_class": {"cat": {"AP": 52.1}}}
    text = format_evaluation({"metrics": metrics, "protocol": {"nms": "hard"}})
    assert text.split("\n\n") == [
        "AP   41.3\nAPl     -",
        "class    AP\ncat    52.1",
        "protocol\n  nms: hard",
    ]


def test_a_run_sums_itself_up_in_a_line():
    summary = {
        "role": "student",
        "steps": 1500,
        "seconds": 84.0,
        "losses": {"loss": 0.15163},
        "metrics": {"AP": 59.9, "per_class": {}},
    }
    assert format_summary(summary, "runs/s") == (
        "Student: 1,500 steps in 1 min 24 s, loss 0.152, AP 59.9: runs/s"
    )
