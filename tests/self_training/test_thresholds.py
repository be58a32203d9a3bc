"""Which threshold each target means, and when a class gets one of its own."""

import json
import math

import numpy as np
import pytest

from st_keras.metrics.judged_labels import Judged, JudgedLabels
from st_keras.self_training import thresholds
from st_keras.self_training.thresholds import choose

NEVER = None


class Counted(JudgedLabels):
    """Labels that are right or not because a test says so; support is truth."""

    unit = support_unit = "stones"

    def add(self, image_id, truth, predicted):
        """Adds truth by class, and rows of (class id, score, is right)."""
        rows = np.asarray(predicted, np.float64).reshape([-1, 3])
        self._add(
            image_id,
            rows[:, 0].astype(np.int64),
            rows[:, 1],
            np.ones(len(rows), np.int64),
            rows[:, 2].astype(np.int64),
            np.asarray(truth, np.int64),
        )

    def support(self, judged: Judged) -> int:
        return int(judged.truth.sum())


def one_class(truth, *rows):
    """Returns one picture with labels (score, is right) of one class."""
    judged = Counted(1)
    judged.add("a", [truth], [(0, *row) for row in rows])
    return judged


def chosen(judged, target, **settings):
    settings = {"min_support": 1, "fallback": 0.5} | settings
    return choose(judged, {"stone": 0}, target, **settings)["per_class"]["stone"]


# From the best on: 1/1, 1/2, 2/3, 3/4, 3/5 are right.
SIX = [(0.9, 1), (0.8, 0), (0.7, 1), (0.6, 1), (0.5, 0)]


@pytest.mark.parametrize(
    "target, threshold",
    [
        ("precision=0.6", 0.5),
        # 0.8 has only 1/2, but what matters is what is kept in the end.
        ("precision=0.7", 0.6),
        ("precision=0.75", 0.6),
        ("precision=0.76", 0.9),
        ("precision=1", 0.9),
        # Of 6 true: F1 is 2/7, 2/8, 4/9, 6/10, 6/11.
        ("max_f1", 0.6),
        # Five labels, six true: all of them come nearest.
        ("match_counts", 0.5),
    ],
)
def test_targets_by_pencil(target, threshold):
    row = chosen(one_class(6, *SIX), target)
    assert row["threshold"] == threshold
    assert row["chosen_for"] == "class"


def test_what_is_reached_stands_beside_the_threshold():
    row = chosen(one_class(6, *SIX), "precision=0.7")
    assert row["precision"] == 3 / 4 and row["recall"] == 3 / 6
    assert row["kept_per_picture"] == 4.0
    assert (row["true"], row["pictures"]) == (6, 1)


@pytest.mark.parametrize(
    "target, threshold",
    [
        # Three labels of 0.6 are kept together or not at all: 1/1, then 2/4.
        ("precision=0.6", 0.9),
        ("precision=0.5", 0.6),
        # One or four of two: one is nearer.
        ("match_counts", 0.9),
        # 2/3 against 4/6: as good; the lower keeps more.
        ("max_f1", 0.6),
    ],
)
def test_labels_of_one_score_are_kept_together(target, threshold):
    judged = one_class(2, (0.9, 1), (0.6, 0), (0.6, 1), (0.6, 0))
    assert chosen(judged, target)["threshold"] == threshold


def test_of_two_counts_as_near_the_one_that_keeps_less_is_taken():
    # One or three of two.
    judged = one_class(2, (0.9, 1), (0.6, 0), (0.6, 1))
    assert chosen(judged, "match_counts")["threshold"] == 0.9


def test_nothing_is_kept_of_a_class_that_reaches_no_precision():
    judged = Counted(2)
    judged.add("a", [4, 3], [(0, 0.9, 0), (0, 0.8, 1), (1, 0.7, 1)])
    found = choose(
        judged, {"dog": 0, "cat": 1}, "precision=0.8", min_support=1, fallback=0.5
    )
    dog, cat = found["per_class"]["dog"], found["per_class"]["cat"]
    assert (dog["threshold"], dog["chosen_for"]) == (NEVER, "class")
    assert (dog["precision"], dog["recall"], dog["kept_per_picture"]) == (None, 0, 0)
    assert cat["threshold"] == 0.7


def test_nothing_is_kept_where_that_comes_nearest_to_the_count():
    # One is true, and five come at once: nothing is 1 away, all are 4 away.
    judged = Counted(2)
    judged.add("a", [1, 2], [(0, 0.9, 0)] * 5 + [(1, 0.7, 1)])
    found = choose(
        judged, {"dog": 0, "cat": 1}, "match_counts", min_support=1, fallback=0.5
    )
    assert found["per_class"]["dog"]["threshold"] is NEVER


@pytest.mark.parametrize("target", ["precision=0.5", "max_f1"])
def test_where_no_class_reaches_the_target_there_is_nothing_to_choose(target):
    judged = one_class(6, (0.9, 0), (0.8, 0))
    with pytest.raises(ValueError, match=f"target {target} .*all 2 .* 0 are right"):
        chosen(judged, target)


def rare_and_common():
    judged = Counted(3)
    for number in range(5):
        # Class 0 in each picture, class 1 in the first, class 2 is never said.
        rows = [(0, 0.9, 1), (0, 0.4, 0)] + [(1, 0.3, 1)] * (number == 0)
        judged.add(str(number), [2, int(number == 0), 1], rows)
    return judged


NAMES = {"common": 0, "rare": 1, "unsaid": 2}


def test_rare_classes_get_the_threshold_of_all_together():
    # All: 5 right of 5 at 0.9, 5 of 10 at 0.4, 6 of 11 at 0.3.
    found = choose(
        rare_and_common(), NAMES, "precision=0.52", min_support=2, fallback=0.5
    )
    rows = found["per_class"]
    assert found["all_classes"]["threshold"] == 0.3
    assert found["all_classes"]["true"] == 10 + 1 + 5
    assert (rows["rare"]["threshold"], rows["rare"]["chosen_for"]) == (
        0.3,
        "all classes",
    )
    assert rows["rare"]["interval"] == found["all_classes"]["interval"]
    assert rows["rare"]["precision"] == 1.0 and rows["rare"]["true"] == 1
    assert (rows["common"]["threshold"], rows["common"]["chosen_for"]) == (0.9, "class")


def test_a_class_of_which_nothing_is_said_has_no_scores_to_choose_from():
    found = choose(
        rare_and_common(), NAMES, "precision=0.52", min_support=2, fallback=0.5
    )
    row = found["per_class"]["unsaid"]
    assert row["true"] == 5
    assert (row["threshold"], row["chosen_for"]) == (0.3, "all classes")


def test_support_decides_at_the_border():
    for min_support, chosen_for in ((10, "class"), (11, "all classes")):
        found = choose(
            rare_and_common(),
            NAMES,
            "max_f1",
            min_support=min_support,
            fallback=0.5,
        )
        assert found["per_class"]["common"]["chosen_for"] == chosen_for


def test_without_support_at_all_there_is_the_fallback():
    found = choose(rare_and_common(), NAMES, "max_f1", min_support=17, fallback=0.35)
    assert found["all_classes"]["threshold"] == 0.35
    for row in found["per_class"].values():
        assert (row["threshold"], row["chosen_for"]) == (0.35, "none")
        assert row["interval"] is None
    assert found["per_class"]["common"]["precision"] == 0.5


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"min_support": 0}, "`min_support` must be 1 or more, got 0"),
        ({"fallback": 1.5}, r"`fallback` must be in \[0, 1\], got 1.5"),
    ],
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        chosen(one_class(6, *SIX), "max_f1", **settings)


def random_slice(seed, pictures=12):
    """Returns a slice of three classes, with scores that often tie."""
    rng = np.random.default_rng(seed)
    judged, plain = Counted(3), []
    for number in range(pictures):
        count = rng.integers(0, 9)
        scores = rng.integers(1, 11, count) / 10
        right = rng.random(count) < scores
        rows = np.stack([rng.integers(0, 3, count), scores, right], axis=-1)
        truth = rng.integers(0, 5, 3)
        judged.add(f"{number:02d}", truth, rows)
        plain.append((truth, rows))
    return judged, plain


def brute_force(target, plain, class_id):
    """Tries every threshold on lists, one label at a time."""
    labels = [row for _, rows in plain for row in rows if row[0] == class_id]
    true = sum(truth[class_id] for truth, _ in plain)
    best, best_value = math.inf, -true if target == "match_counts" else None
    for threshold in sorted({score for _, score, _ in labels}, reverse=True):
        kept = [right for _, score, right in labels if score >= threshold]
        right = sum(kept)
        if target == "max_f1":
            value = 2 * right / (len(kept) + true)
            if right and (best_value is None or value >= best_value):
                best, best_value = threshold, value
        elif target == "match_counts":
            if -abs(len(kept) - true) > best_value:
                best, best_value = threshold, -abs(len(kept) - true)
        elif right / len(kept) >= float(target.split("=")[1]):
            best = threshold
    return best


def or_never(score):
    return NEVER if math.isinf(score) else score


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("target", ["precision=0.55", "max_f1", "match_counts"])
def test_an_exhaustive_search_finds_the_same(target, seed):
    judged, plain = random_slice(seed)
    found = choose(
        judged, {"a": 0, "b": 1, "c": 2}, target, min_support=1, fallback=0.5
    )
    for class_id, row in enumerate(found["per_class"].values()):
        assert row["threshold"] == or_never(brute_force(target, plain, class_id))


@pytest.mark.parametrize("target", ["precision=0.55", "max_f1", "match_counts"])
def test_an_interval_is_of_thresholds_of_pictures_drawn_with_replacement(target):
    judged, plain = random_slice(4)
    names = {"a": 0, "b": 1, "c": 2}
    found = choose(judged, names, target, min_support=1, fallback=0.5)
    rng = np.random.default_rng(found["bootstrap"]["seed"])
    draws = [rng.integers(12, size=12) for _ in range(found["bootstrap"]["draws"])]
    for class_id, row in enumerate(found["per_class"].values()):
        drawn = sorted(
            brute_force(target, [plain[i] for i in draw], class_id) for draw in draws
        )
        # 200 in order: the tenth from either end, 0.05 * 199 = 9.95.
        assert row["interval"] == [or_never(drawn[9]), or_never(drawn[190])]


def test_the_same_slice_gives_the_same_numbers(monkeypatch):
    settings = {"min_support": 1, "fallback": 0.5}
    first, again = (
        choose(random_slice(3)[0], {"a": 0, "b": 2}, "max_f1", **settings)
        for _ in range(2)
    )
    assert json.dumps(first) == json.dumps(again)
    monkeypatch.setattr(thresholds, "_SEED", 1)
    other = choose(random_slice(3)[0], {"a": 0, "b": 2}, "max_f1", **settings)
    assert other["per_class"]["a"]["threshold"] == first["per_class"]["a"]["threshold"]
    assert other != first


def test_more_pictures_give_a_narrower_interval():
    widths = []
    for pictures in (10, 400):
        judged, _ = random_slice(7, pictures)
        row = chosen(judged, "match_counts")
        widths.append(row["interval"][1] - row["interval"][0])
        assert row["interval"][0] <= row["threshold"] <= row["interval"][1]
    assert widths[1] < widths[0]
