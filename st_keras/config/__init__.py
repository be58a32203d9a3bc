"""Typed experiment settings: dataclasses, read from YAML, without TensorFlow."""

from st_keras.config.augment import AugmentConfig
from st_keras.config.calibration import CalibrationConfig, parse_target
from st_keras.config.classification import ClassificationConfig, CropConfig
from st_keras.config.detection import (
    BoxHeadConfig,
    DetectionConfig,
    PostprocessConfig,
)
from st_keras.config.identity import MAY_CHANGE, digest, free_settings, task_digest
from st_keras.config.joint import JointConfig
from st_keras.config.load import (
    ConfigError,
    from_dict,
    load,
    load_file,
    save,
    to_dict,
)
from st_keras.config.schema import (
    Config,
    EvaluationConfig,
    ExpectConfig,
    InitConfig,
    OptimizationConfig,
    PseudoConfig,
    RecordsConfig,
    RuntimeConfig,
    SelfTrainingConfig,
    TrainingConfig,
)
from st_keras.config.segmentation import (
    DeepLabConfig,
    NasFpnConfig,
    SegmentationConfig,
    ViewsConfig,
)
from st_keras.config.simclr import SimClrConfig
from st_keras.config.task import TaskConfig

__all__ = [
    "TaskConfig",
    "ViewsConfig",
    "SegmentationConfig",
    "NasFpnConfig",
    "DeepLabConfig",
    "AugmentConfig",
    "BoxHeadConfig",
    "CalibrationConfig",
    "ClassificationConfig",
    "SimClrConfig",
    "CropConfig",
    "Config",
    "ConfigError",
    "DetectionConfig",
    "EvaluationConfig",
    "ExpectConfig",
    "InitConfig",
    "JointConfig",
    "MAY_CHANGE",
    "OptimizationConfig",
    "PostprocessConfig",
    "PseudoConfig",
    "RecordsConfig",
    "RuntimeConfig",
    "SelfTrainingConfig",
    "TrainingConfig",
    "digest",
    "task_digest",
    "free_settings",
    "from_dict",
    "load",
    "load_file",
    "parse_target",
    "save",
    "to_dict",
]
