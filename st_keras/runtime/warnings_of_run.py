"""Warnings about a run that can go on, but will hardly serve its purpose.

Each warning is two sentences: what was observed, and what cures it.
"""

import math
from collections.abc import Iterable

from st_keras.metrics.score_curves import THRESHOLDS

_FEWEST_IMAGES = 4  # For the statistics of a BatchNorm.
_FEWEST_KEPT, _MOST_KEPT = 0.2, 5.0  # Pseudo labels as a share of human ones.
_HARD = 10.0  # Pseudo loss as a multiple of the human one...
_HARD_STEPS = 200  # ...for so long: the first steps of a run say little.


def batch_norm_warning(
    images_per_step: int, replicas: int, *, is_synchronized: bool, slices: int = 1
) -> str:
    """Returns a warning if BatchNorm sees too few images; "" otherwise.

    Args:
      images_per_step: Over all replicas, human and pseudo-labelled.
      replicas: How many share them.
      is_synchronized: Whether all replicas share their statistics.
      slices: How many each step is taken in (`training.accumulation_steps`).
    """
    at_once = images_per_step // slices
    images = at_once if is_synchronized else at_once // replicas
    if images >= _FEWEST_IMAGES:
        return ""
    share = math.ceil(_FEWEST_IMAGES / replicas) if is_synchronized else _FEWEST_IMAGES
    cure = f"Raise `images_per_step` to {share * replicas * slices} or more"
    if slices > 1:
        cure = f"Lower `training.accumulation_steps`, or r{cure[1:]}"
    if replicas > 1 and not is_synchronized and at_once >= _FEWEST_IMAGES:
        cure = f"Set `runtime.sync_batch_norm`, or {cure[0].lower()}{cure[1:]}"
    taken = f" in {slices} slices" if slices > 1 else ""
    return (
        f"BatchNorm takes its statistics from {images} images (`images_per_step` is "
        f"{images_per_step} in all, over {replicas} replicas{taken}), and under "
        f"{_FEWEST_IMAGES} they are mostly noise. {cure}."
    )


def density_warning(quality, min_score: float, floor: float = 0.0) -> str:
    """Returns a warning if a teacher labels far less or more than people; "" otherwise.

    Args:
      quality: `Task.new_quality`, filled with pseudo and with human labels.
      min_score: The score from which a student learns pseudo labels.
      floor: The score from which they were stored.
    """
    found = _density(quality, min_score)
    if found is None:
        return ""
    name, kept, human = found
    if _FEWEST_KEPT * human <= kept <= _MOST_KEPT * human:
        return ""
    # The threshold that keeps nearest to as many as people have, as a ratio.
    stored = [score for score in (*THRESHOLDS, min_score) if score >= floor]
    others = [(score, _density(quality, score)[1]) for score in stored]
    score, near = min(others, key=lambda o: abs(_log_ratio(o[1], human)))
    is_useful = abs(_log_ratio(near, human)) < abs(_log_ratio(kept, human))
    cure = (
        f"`pseudo.min_score={score:g}` would keep {near:.3g}"
        if is_useful
        else "No other `pseudo.min_score` is better: train the teacher longer"
    )
    return (
        f"Of the pseudo labels, `pseudo.min_score` {min_score:g} keeps {kept:.3g} "
        f"{name}, where people have {human:.3g}. {cure}; look at some with "
        "`tools/show.py records`."
    )


class PseudoLossWatch:
    """Warns once if a student cannot learn what its teacher says."""

    def __init__(self, *, normalize: bool, rows: Iterable[dict] = ()):
        """Takes in what a killed run logged before.

        Args:
          normalize: Whether the pseudo loss is brought to the scale of the human one.
          rows: The rows of metrics.jsonl.
        """
        self._normalize = normalize
        self._last = 0  # Step of the last row.
        self._since: int | None = None  # Steps taken when the loss became too high.
        self._is_told = False
        for row in rows:
            self.add(row["step"], row)

    def add(self, step: int, values: dict[str, float]) -> str:
        """Takes in a row of the log and returns a warning if one is due; "" otherwise.

        Args:
          step: Steps taken at the end of the row.
          values: Means since the row before.
        """
        begin, self._last = min(self._last, step), step
        human, pseudo = values.get("human/loss"), values.get("pseudo/loss")
        if human is None or pseudo is None:
            return ""
        if pseudo <= _HARD * human:
            self._since = None
            return ""
        self._since = begin if self._since is None else min(self._since, begin)
        if self._is_told or step - self._since < _HARD_STEPS:
            return ""
        self._is_told = True
        cure = "Raise `pseudo.min_score`, or train the teacher longer"
        if not self._normalize:
            cure = f"Set `pseudo.normalize`, or lower `pseudo.weight`; r{cure[1:]}"
        return (
            f"The pseudo loss is over {_HARD:g} times the human one ({pseudo:.3g} and "
            f"{human:.3g}) for {step - self._since} steps, up to step {step}. {cure}; "
            "`tools/report_pseudo.py` shows the labels."
        )


def _density(quality, min_score: float) -> tuple[str, float, float] | None:
    result = quality.result(min_score)
    for key, human in (result["human"] or {}).items():
        if human > 0:
            return key.replace("_", " "), result[key], human
    return None


def _log_ratio(one: float, other: float) -> float:
    return math.log(max(one, 1e-9) / other)
