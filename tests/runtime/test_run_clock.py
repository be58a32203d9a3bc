"""What the clock of a run promises."""

import time

import pytest

from st_keras.runtime.run_clock import RunClock


@pytest.fixture
def now(monkeypatch):
    """The time of the process, in a list so that a test can let it pass."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_time_goes_on_where_the_work_was_kept(tmp_path, now):
    first = RunClock(str(tmp_path))
    now[0] += 12.5
    first.save(1)
    now[0] += 3.0  # Lost: the process is killed before it saves again.
    second = RunClock(str(tmp_path))
    assert second.seconds == 12.5
    now[0] += 2.0
    assert second.seconds == 14.5


def test_each_process_has_devices_of_its_own(tmp_path, now):
    first = RunClock(str(tmp_path))
    now[0] += 10.0
    first.save(2)
    second = RunClock(str(tmp_path))
    now[0] += 3.0
    assert second.seconds == 13.0
    assert second.device_seconds(1) == 2 * 10.0 + 3.0
    (tmp_path / "seconds.json").write_text('{"seconds": 10.0}')  # As it was once.
    assert RunClock(str(tmp_path)).device_seconds(8) == 80.0
