"""Typed experiment settings: dataclasses, read from YAML, without TensorFlow."""

from st_keras.config.load import (
    ConfigError,
    digest,
    from_dict,
    load,
    load_file,
    save,
    to_dict,
)
from st_keras.config.schema import (
    AugmentConfig,
    BoxHeadConfig,
    Config,
    DetectionConfig,
    EvaluationConfig,
    ExpectConfig,
    OptimizationConfig,
    PostprocessConfig,
    PseudoConfig,
    RecordsConfig,
    RuntimeConfig,
    SelfTrainingConfig,
    TrainingConfig,
)

__all__ = [
    "AugmentConfig",
    "BoxHeadConfig",
    "Config",
    "ConfigError",
    "DetectionConfig",
    "EvaluationConfig",
    "ExpectConfig",
    "OptimizationConfig",
    "PostprocessConfig",
    "PseudoConfig",
    "RecordsConfig",
    "RuntimeConfig",
    "SelfTrainingConfig",
    "TrainingConfig",
    "digest",
    "from_dict",
    "load",
    "load_file",
    "save",
    "to_dict",
]
