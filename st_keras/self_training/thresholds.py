"""The score from which pseudo labels are right often enough, many enough, or best.

The one place that knows the targets. It is not told whether labels are boxes or pixels.
"""

import math

import numpy as np

from st_keras.config import parse_target
from st_keras.metrics.judged_labels import Judged, JudgedLabels

_DRAWS = 200
_LEVEL = 0.9  # Share of the draws that an interval holds.
_SEED = 0


def choose(
    judged: JudgedLabels,
    class_ids: dict[str, int],
    target: str,
    *,
    min_support: int,
    fallback: float,
) -> dict:
    """Returns a threshold for each class and what it reaches on the same pictures.

    Labels are kept from a threshold on, and thresholds are scores that occur:

    - `precision=P`: the lowest score from which a share of P or more is right.
    - `max_f1`: the score with the highest 2 right / (kept + true); if tied, the lowest.
    - `match_counts`: the score that keeps as many labels as people drew, or nearly; of
      two that are equally near, the one that keeps fewer.

    The threshold is None, and nothing is kept, where no score reaches a precision, no
    label is right, or keeping nothing comes nearest to the count.

    Args:
      judged: The judged labels of the slice.
      class_ids: By name.
      target: One of these.
      min_support: Classes with less truth get the threshold of all classes together,
        and so do classes that the teacher never predicts.
      fallback: What they get if all classes together have less truth.

    Returns:
      What was asked for, `unit`, `support_unit`, `bootstrap`, and rows `all_classes`
      and `per_class`: `threshold`; what it was `chosen_for` (class, all classes, or
      none: the fallback); `interval`, which holds 90% of the thresholds found by
      drawing as many pictures with replacement; `true` labels and `pictures` that have
      some; `precision` and `recall` in [0, 1] (None where nothing is kept, or true),
      and `kept_per_picture`.

    Raises:
      ValueError: `min_support` or `fallback` is out of range, or no class has a
        threshold.
    """
    if min_support < 1:
        raise ValueError(f"`min_support` must be 1 or more, got {min_support}.")
    if not 0.0 <= fallback <= 1.0:
        raise ValueError(f"`fallback` must be in [0, 1], got {fallback}.")
    rule = parse_target(target)
    everything = judged.result()
    draws = _draws(len(everything.truth))

    def has_support(part):
        return judged.support(part) >= min_support and len(part.scores) > 0

    common = fallback, None, "none"
    if has_support(everything):
        common = *_with_interval(rule, everything, draws), "all classes"
    rows = {}
    for name, class_id in class_ids.items():
        part = judged.result(class_id)
        own = common
        if has_support(part):
            own = *_with_interval(rule, part, draws), "class"
        rows[name] = _row(part, *own)
    if all(row["threshold"] is None for row in rows.values()):
        raise ValueError(_nothing_reached(target, everything))
    return {
        "target": target,
        "min_support": min_support,
        "fallback": fallback,
        "unit": judged.unit,
        "support_unit": judged.support_unit,
        "bootstrap": {"draws": _DRAWS, "level": _LEVEL, "seed": _SEED},
        "all_classes": _row(everything, *common),
        "per_class": rows,
    }


def _draws(pictures: int) -> np.ndarray:
    """Returns [D, P], how often each picture is in each draw with replacement."""
    rng = np.random.default_rng(_SEED)
    drawn = (rng.integers(pictures, size=pictures) for _ in range(_DRAWS))
    return np.stack([np.bincount(d, minlength=pictures) for d in drawn])


def _with_interval(
    rule: tuple[str, float], part: Judged, draws: np.ndarray
) -> tuple[float | None, list[float | None]]:
    order = np.argsort(-part.scores, kind="stable")
    images, scores, counts, right = (column[order] for column in part[:4])
    # Labels with the same score are kept or dropped together.
    (last,) = np.nonzero(np.append(scores[1:] != scores[:-1], True))
    scores = scores[last]

    def threshold(times):
        """Returns the threshold when each picture counts as often as `times` says."""
        weights = times[images]
        kept = np.cumsum(counts * weights)[last]
        is_there = np.diff(kept, prepend=0) > 0  # Scores that occur in the draw.
        kept_right = np.cumsum(right * weights)[last]
        columns = (column[is_there] for column in (scores, kept, kept_right))
        return _threshold(rule, *columns, times @ part.truth)

    drawn = sorted(threshold(times) for times in draws)
    outside = math.floor((1.0 - _LEVEL) / 2.0 * (len(drawn) - 1))
    interval = [drawn[outside], drawn[len(drawn) - 1 - outside]]
    chosen = threshold(np.ones_like(draws[0]))
    return _or_none(chosen), [_or_none(end) for end in interval]


def _threshold(
    rule: tuple[str, float],
    scores: np.ndarray,
    kept: np.ndarray,
    right: np.ndarray,
    truth: int,
) -> float:
    """Returns the score that a rule chooses; infinity: nothing is kept.

    Args:
      rule: As `parse_target` returns it.
      scores: [S] that occur, highest first.
      kept: [S], labels with the score or a higher one.
      right: [S], those of them that are right.
      truth: True labels.
    """
    if not len(scores):
        return math.inf
    name, share = rule
    if name == "precision":
        (found,) = np.nonzero(right / kept >= share)
    elif name == "max_f1":
        f1 = 2.0 * right / (kept + truth)
        (found,) = np.nonzero((f1 == f1.max()) & (right > 0))
    else:
        distance = np.abs(kept - truth)
        # Keeping nothing is also a choice, at a distance of `truth`.
        nearest = int(np.argmin(distance))
        found = [nearest] if distance[nearest] < truth else []
    return float(scores[found[-1]]) if len(found) else math.inf


def _row(
    part: Judged,
    threshold: float | None,
    interval: list[float | None] | None,
    chosen_for: str,
) -> dict:
    is_kept = part.scores >= (math.inf if threshold is None else threshold)
    kept, right = int(part.counts[is_kept].sum()), int(part.right[is_kept].sum())
    true, pictures = int(part.truth.sum()), len(part.truth)
    return {
        "threshold": threshold,
        "interval": interval,
        "chosen_for": chosen_for,
        "true": true,
        "pictures": int((part.truth > 0).sum()),
        "precision": right / kept if kept else None,
        "recall": right / true if true else None,
        "kept_per_picture": kept / pictures,
    }


def _or_none(score: float) -> float | None:
    return None if math.isinf(score) else score


def _nothing_reached(target: str, everything: Judged) -> str:
    right, count = int(everything.right.sum()), int(everything.counts.sum())
    return (
        f"No class reaches the target {target} at any score: of all {count:,} pseudo "
        f"labels {right:,} are right. Choose an easier target, or train the teacher "
        "longer."
    )
