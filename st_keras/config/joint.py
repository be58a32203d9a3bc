"""Settings of joint training: the same step also learns a classification."""

from st_keras.config.augment import AugmentConfig
from st_keras.config.checks import (
    check,
    check_above_zero,
    check_not_negative,
    settings,
)
from st_keras.config.classification import ClassificationConfig, CropConfig
from st_keras.config.task import TaskConfig


@settings
class JointConfig:
    """Pictures of one class each, and how they are learned (arXiv:2006.06882, table 7).

    They share the backbone of the detector or segmenter and have a head of their own,
    which only training uses. The paper states neither batch nor weight.
    """

    records: str  # Glob of TFRecords with a class for each picture.
    ids: str = ""  # File of image ids; empty: all.
    images_per_step: int  # Over all replicas, besides all others.
    # Of its loss, which is added to that of human and pseudo labels, blended or not.
    weight: float = 1.0
    image_size_px: tuple[int, int] = (224, 224)  # Not that of the detector.
    crop: CropConfig = CropConfig()
    augment: AugmentConfig = AugmentConfig()
    label_smoothing: float = 0.1
    dropout: float | None = None  # Empty: the authors' for the backbone.
    shuffle_buffer: int = 4096
    cache_mb: int = 2048

    def __post_init__(self):
        check("records", repr(self.records), bool(self.records), "a glob of TFRecords")
        check_above_zero(self, "images_per_step", "shuffle_buffer")
        check_not_negative(self, "weight", "cache_mb")

    def classifier(self, task: TaskConfig) -> ClassificationConfig:
        """Returns the settings of a classifier on the backbone of a task.

        Raises:
          ValueError: The backbone cannot have this size, or a setting does not suit a
            classifier.
        """
        shared = (
            *("backbone", "flavor", "activation", "drop_connect"),
            *("batch_norm_momentum", "batch_norm_epsilon"),
        )
        own = ("image_size_px", "crop", "augment", "label_smoothing", "dropout")
        try:
            return ClassificationConfig(
                **{name: getattr(task, name) for name in shared},
                **{name: getattr(self, name) for name in own},
            )
        except ValueError as error:
            raise ValueError(f"joint: {error}") from None
