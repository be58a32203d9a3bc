"""A teacher that has learned next to nothing."""

import pytest

from st_keras import config as config_lib
from st_keras.training.loop import train


@pytest.fixture(scope="package")
def teacher(student_yaml, tmp_path_factory) -> str:
    """Workdir of four steps."""
    workdir = str(tmp_path_factory.mktemp("teacher"))
    overrides = ["pseudo=null", "self_training=null", "training.steps=4"]
    train(config_lib.load(student_yaml, overrides), workdir)
    return workdir
