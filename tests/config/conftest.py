"""What tests of configs share: a file of settings, and one of a small teacher."""

import pytest

from tests.config.settings import TEACHER


@pytest.fixture
def write(tmp_path):
    """Writes a YAML file and returns its path."""

    def write(text, name="run.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def teacher(write):
    return write(TEACHER)
