"""What a run says when it can go on, but will hardly give what it is for.

Each warning is two sentences: what is seen, and what cures it.
"""

import math

from st_keras.metrics.thresholds import THRESHOLDS

_FEWEST_IMAGES = 4  # For the statistics of a BatchNorm.
_FEWEST_KEPT, _MOST_KEPT = 0.2, 5.0  # Pseudo labels as a share of human ones.


def batch_norm(images_per_step: int, replicas: int, *, is_synchronized: bool) -> str:
    """Returns a warning if BatchNorm sees too few images; "" otherwise.

    Args:
      images_per_step: Over all replicas, human and pseudo-labelled.
      replicas: How many share them.
      is_synchronized: Whether statistics are of all replicas together.
    """
    images = images_per_step if is_synchronized else images_per_step // replicas
    if images >= _FEWEST_IMAGES:
        return ""
    cure = f"Raise `images_per_step` to {_FEWEST_IMAGES * replicas} or more"
    if replicas > 1 and images_per_step >= _FEWEST_IMAGES:
        cure = f"Set `runtime.sync_batch_norm`, or r{cure[1:]}"
    return (
        f"BatchNorm takes its statistics from {images} images (`images_per_step` is "
        f"{images_per_step} in all, over {replicas} replicas), and under "
        f"{_FEWEST_IMAGES} they are mostly noise. {cure}."
    )


def pseudo_density(quality, min_score: float) -> str:
    """Returns a warning if a teacher says far less or more than people; "" otherwise.

    Args:
      quality: `Task.new_quality`, filled with pseudo and with human labels.
      min_score: From which on a student learns pseudo labels.
    """
    found = _density(quality, min_score)
    if found is None:
        return ""
    name, kept, human = found
    if _FEWEST_KEPT * human <= kept <= _MOST_KEPT * human:
        return ""
    # Of all thresholds, the one that is nearest by the ratio of both numbers.
    others = [(score, _density(quality, score)[1]) for score in THRESHOLDS]
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


def _density(quality, min_score: float) -> tuple[str, float, float] | None:
    result = quality.result(min_score)
    for key, human in (result["human"] or {}).items():
        if human > 0:
            return key.replace("_", " "), result[key], human
    return None


def _log_ratio(one: float, other: float) -> float:
    return math.log(max(one, 1e-9) / other)
