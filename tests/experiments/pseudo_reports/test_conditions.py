"""What `--fail_if` understands, and what it says."""

import pytest

from st_keras.experiments.pseudo_reports import conditions

NUMBERS = {"precision": 0.55, "precision[car, old]": 0.2, "ap50": 0.4, "shift": None}


def test_scores_under_which_nothing_was_stored_are_refused():
    found = [conditions.parse(text) for text in ("precision@0.3<0.6", "shift>1")]
    conditions.check_floor(found, 0.5, 0.3)
    with pytest.raises(ValueError, match="--fail_if precision@0.3<0.6.* from 0.4 on"):
        conditions.check_floor(found, 0.5, 0.4)
    with pytest.raises(ValueError, match="--min_score.* a score of 0.25"):
        conditions.check_floor(found, 0.25, 0.3)


def failures(*texts, min_score=0.5):
    parsed = [conditions.parse(text) for text in texts]
    conditions.check_names(parsed, NUMBERS, ["ap50"])
    return conditions.failures(
        parsed, lambda score: NUMBERS | {"precision": score + 0.05}, min_score, ["ap50"]
    )


@pytest.mark.parametrize(
    ("text", "name", "min_score", "sign", "limit"),
    [
        ("precision@0.5<0.6", "precision", 0.5, "<", 0.6),
        ("boxes_per_image >= 40", "boxes_per_image", None, ">=", 40.0),
        ("precision[car, old]@0<=1e-1", "precision[car, old]", 0.0, "<=", 0.1),
        ("class_shift>.2", "class_shift", None, ">", 0.2),
    ],
)
def test_a_condition_is_a_number_a_score_and_a_limit(
    text, name, min_score, sign, limit
):
    assert conditions.parse(text) == (text, name, min_score, sign, limit)


@pytest.mark.parametrize(
    "text", ["precision", "precision=0.5", "<0.5", "precision@x<0.5", "a<b", "a<1e", ""]
)
def test_what_is_no_condition_is_shown_with_an_example(text):
    with pytest.raises(ValueError, match=r"must look like precision@0.5<0.6"):
        conditions.parse(text)


def test_a_score_over_1_is_refused():
    with pytest.raises(ValueError, match=r"precision@5<0.6`: the score must be in"):
        conditions.parse("precision@5<0.6")


def test_each_sign_fails_on_its_side_of_the_limit():
    assert failures("precision<0.55", "precision>0.55") == []
    assert len(failures("precision<=0.55", "precision>=0.55")) == 2
    assert len(failures("precision<0.56", "precision>0.54")) == 2


def test_a_failure_is_a_sentence_with_the_number():
    assert failures("precision@0.3<0.6") == [
        "precision@0.3<0.6: precision is 0.35 at a score of 0.3."
    ]
    assert failures("ap50<0.6") == ["ap50<0.6: ap50 is 0.4."]


def test_a_condition_without_a_score_means_that_of_the_report():
    assert failures("precision<0.8", min_score=0.7) == [
        "precision<0.8: precision is 0.75 at a score of 0.7."
    ]


def test_the_number_of_a_class_is_asked_for_by_its_name():
    assert len(failures("precision[car, old]<0.3")) == 1


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ValueError, match=r"Did you mean `precision`\? There are prec"):
        failures("preci<0.3")
    with pytest.raises(ValueError, match=r"precision, ap50, shift; most can be of one"):
        failures("zzz<0.3")


def test_a_number_that_is_not_known_is_no_pass():
    with pytest.raises(ValueError, match="`shift` is not known: there is no truth"):
        failures("shift>0.3")


def test_a_score_where_none_matters_is_refused():
    with pytest.raises(ValueError, match=r"`ap50` does not depend.*leave @0.5 out"):
        failures("ap50@0.5<0.3")
