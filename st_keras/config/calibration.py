"""Settings for choosing the thresholds of pseudo labels."""

import re

from st_keras.config.checks import check, check_above_zero, settings

_TARGET = re.compile(r"precision=(?P<share>\d*\.?\d+)|max_f1|match_counts")


def parse_target(text: str) -> tuple[str, float]:
    """Returns the name of a target such as `precision=0.7`, and its number or 0.

    Raises:
      ValueError: There is no such target, or a precision is not in (0, 1].
    """
    found = _TARGET.fullmatch(text)
    share = float(found["share"] or 0.0) if found else 0.0
    is_precision = bool(found and found["share"])
    check(
        "target",
        repr(text),
        bool(found) and (not is_precision or 0.0 < share <= 1.0),
        "precision=P with P in (0, 1], max_f1 or match_counts",
    )
    return text.partition("=")[0], share


@settings
class CalibrationConfig:
    """From which pictures tools/self_train.py chooses a threshold for each class."""

    target: str  # precision=P, max_f1 or match_counts, as in tools/calibrate.py.
    ids: str  # File of ids of `human.records` that are not in `human.ids`.
    # Boxes, or pictures with the class, that a class needs for its own threshold. With
    # fewer: that of all classes together or, failing that, `pseudo.min_score`.
    min_support: int = 20

    def __post_init__(self):
        parse_target(self.target)
        check("ids", repr(self.ids), bool(self.ids), "a file of image ids")
        check_above_zero(self, "min_support")
