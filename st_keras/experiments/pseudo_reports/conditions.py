"""Conditions that must not hold for pseudo labels, as `--fail_if` states them.

Imports no TensorFlow, so that a mistyped condition is reported at once.
"""

import difflib
import operator
import re
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

_COMPARE = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_FORM = re.compile(
    r"\s*(?P<name>\w+(\[.+\])?)\s*(@\s*(?P<score>[\d.]+))?\s*(?P<sign><=|>=|<|>)"
    r"\s*(?P<limit>[-+\d.eE]+)\s*"
)


class Condition(NamedTuple):
    """A number and a limit, such as `precision[car]@0.5<0.6`."""

    text: str
    name: str
    min_score: float | None  # None: that of the report.
    sign: str
    limit: float


def parse(text: str) -> Condition:
    """Returns a condition.

    Raises:
      ValueError: The text is not a condition.
    """
    found = _FORM.fullmatch(text)
    try:
        score = None if found["score"] is None else float(found["score"])
        condition = Condition(
            text, found["name"], score, found["sign"], float(found["limit"])
        )
    except (TypeError, ValueError):
        raise ValueError(
            "`--fail_if` must look like precision@0.5<0.6 or precision[car]<=0.6, got "
            f"{text!r}."
        ) from None
    if score is not None and not 0.0 <= score <= 1.0:
        raise ValueError(f"`--fail_if {text}`: the score must be in [0, 1].")
    return condition


def check_names(
    conditions: Sequence[Condition],
    names: Collection[str],
    threshold_free: Collection[str],
) -> None:
    """Refuses conditions on numbers that do not exist.

    Args:
      conditions: As `parse` returns them.
      names: Of the existing numbers; those of classes look like `precision[car]`.
      threshold_free: Those of them that are the same whatever is kept.

    Raises:
      ValueError: A number does not exist (lists those that do), or has a score on which
        it does not depend.
    """
    for condition in conditions:
        if condition.name not in names:
            plain = [name for name in names if not name.endswith("]")]
            near = difflib.get_close_matches(condition.name, names, n=1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            raise ValueError(
                f"`--fail_if {condition.text}`: no number `{condition.name}`.{hint} "
                f"There are {', '.join(plain)}; most can be of one class, as "
                "precision[CLASS]."
            )
        is_free = _is_free(condition, threshold_free)
        if is_free and condition.min_score is not None:
            raise ValueError(
                f"`--fail_if {condition.text}`: `{condition.name}` does not depend on "
                f"a score; leave @{condition.min_score:g} out."
            )


def check_floor(
    conditions: Sequence[Condition], min_score: float, score_floor: float
) -> None:
    """Refuses scores under the one from which labels were stored.

    Args:
      conditions: As `parse` returns them.
      min_score: Of the report.
      score_floor: Of the labels.

    Raises:
      ValueError: Names the score; what is between was never written.
    """
    asked = {"--min_score": min_score} | {
        f"--fail_if {condition.text}": condition.min_score
        for condition in conditions
        if condition.min_score is not None
    }
    for flag, score in asked.items():
        if score < score_floor:
            raise ValueError(
                f"`{flag}` asks for a score of {score:g}, but these labels were stored "
                f"from {score_floor:g} on; label with a lower floor."
            )


def failures(
    conditions: Sequence[Condition],
    numbers_at: Callable[[float], dict[str, float | None]],
    min_score: float,
    threshold_free: Collection[str],
) -> list[str]:
    """Returns a sentence for each condition that is true.

    Args:
      conditions: As `check_names` has passed them.
      numbers_at: Returns the numbers of what is kept at a minimum score.
      min_score: Of the conditions that name none.
      threshold_free: As for `check_names`.

    Raises:
      ValueError: A number is not known here.
    """
    found = []
    for condition in conditions:
        score = min_score if condition.min_score is None else condition.min_score
        value = numbers_at(score)[condition.name]
        if value is None:
            raise ValueError(
                f"`--fail_if {condition.text}`: `{condition.name}` is not known: there "
                "is no truth, human label or teacher to tell, or nothing to measure."
            )
        if _COMPARE[condition.sign](value, condition.limit):
            is_free = _is_free(condition, threshold_free)
            at = "" if is_free else f" at a score of {score:g}"
            found.append(f"{condition.text}: {condition.name} is {value:.4g}{at}.")
    return found


def _is_free(condition: Condition, threshold_free: Collection[str]) -> bool:
    return condition.name.split("[")[0] in threshold_free
