"""What the tests of the doctor share."""

import pytest

from tests.experiments.doctor.ward import Ward


@pytest.fixture
def ward(tmp_path) -> Ward:
    return Ward(tmp_path)
