"""What every metric of predictions and every measure of pseudo labels can do."""

import abc

from st_keras.metrics.verdicts import Verdicts
from st_keras.types import Labels


class Metric(abc.ABC):
    """Collects the truth and the predictions of pictures, each once."""

    headline: str  # The name of its first number.

    @abc.abstractmethod
    def add(self, image_id: str, truth: Labels, predicted: Labels) -> None:
        """Adds one picture, of NumPy labels.

        Raises:
          ValueError: It was added before, or cannot be counted; then it is not.
        """

    @abc.abstractmethod
    def result(self) -> dict:
        """Returns the numbers by name; those of classes by name in `per_class`.

        Raises:
          ValueError: No picture was added.
        """


class LabelQuality(abc.ABC):
    """Collects pseudo labels picture by picture, with the truth where it is known.

    Labels are NumPy arrays, as their task's `read_labels` gives them. A minimum score
    says which of them are kept.
    """

    threshold_free: tuple[str, ...]  # Of `numbers`, those that no threshold changes.

    @abc.abstractmethod
    def add(self, pseudo: Labels, truth: Labels | None) -> None:
        """Adds one picture; a truth of None is not known."""

    @abc.abstractmethod
    def add_human(self, labels: Labels) -> None:
        """Adds a picture that people labelled, to compare how much is labelled."""

    # ----------------------------------------------------------- Of all the pictures
    @abc.abstractmethod
    def result(self, min_score: float) -> dict:
        """Returns how much a minimum score keeps, and how right it is.

        Returns:
          `min_score`, `images` and numbers of the task; `thresholds`, the same numbers
          at each (none without truth); `human`, those of people; `charts`, which
          columns belong together; `sentence`, the same in words.
        """

    @abc.abstractmethod
    def numbers(self, min_score: float) -> dict[str, float | None]:
        """Returns every number of what a minimum score keeps, by a plain name.

        Numbers of a class are named like `precision[car]`; None: not known.
        """

    @abc.abstractmethod
    def details(self, min_score: float) -> dict:
        """Returns all that a report shows, in a form that all tasks share.

        Returns:
          `unit`, what is counted; `images` and `judged_images`; `sentence`; `numbers`;
          `human`, those of people or, without them, of the truth (None: neither is
          known), and `human_are`, which of the two; `thresholds`, a row for each;
          `charts` over thresholds; `tables`, by title and row; `histogram` and
          `calibration`, as in `score_curves`.
        """

    # -------------------------------------------------------------- Of one picture
    @abc.abstractmethod
    def agreement(self, labels: Labels, other: Labels, *, min_score: float) -> float:
        """Returns how much of two looks at a picture is the same, in [0, 1]."""

    @abc.abstractmethod
    def doubt(self, labels: Labels, *, min_score: float) -> float:
        """Returns 1 minus the mean score of what is kept; 1 where nothing is."""

    @abc.abstractmethod
    def verdicts(
        self, pseudo: Labels, truth: Labels | None, *, min_score: float
    ) -> Verdicts:
        """Returns the verdict on each label; a truth of None is not known."""

    @abc.abstractmethod
    def mirrored(self, labels: Labels, width_px: int) -> Labels:
        """Returns the labels of a picture's mirror image."""

    @abc.abstractmethod
    def cropped(self, labels: Labels, size_px: tuple[int, int]) -> Labels:
        """Returns the part of the labels in the upper left (height, width) pixels."""
