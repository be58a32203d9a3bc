"""What the sentences about an experiment say."""

from st_keras.experiments.outcome import verdict


def test_the_verdict_says_who_lost():
    report = {
        "headline": "AP",
        "student": {"AP": 30.0, "total": {"multiply_adds": 300}},
        "teacher": {"AP": 25.5},
        "control": {"AP": 31.0, "total": {"multiply_adds": 290}},
    }
    first, second, third = verdict(report)
    assert first == "The student beats its teacher: +4.5 AP."
    assert "does not beat the supervised control" in second
    assert "-1.0 AP" in second
    assert "One seed" in third
    report["teacher"]["AP"] = 30.04
    report["control"]["total"]["multiply_adds"] = 200  # Two thirds.
    first, _, cost, _ = verdict(report)
    assert first == "The student is level with its teacher: -0.0 AP."
    assert cost.startswith("The control cost 67% of the student with its teacher")


def test_a_set_without_truth_gives_no_verdict():
    report = {"headline": "AP", "student": {"AP": -100.0}, "teacher": {"AP": -100.0}}
    assert verdict(report) == [
        "The pictures to report on have no label: nothing can be judged."
    ]
