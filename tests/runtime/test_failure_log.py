"""What the list of a run's failures promises, over kills too."""

import json

import pytest

from st_keras.runtime.failure_log import FILE, FailureLog


def skip(step):
    return {"step": step, "policy": "skip"}


def recover(step, back_to):
    return {"step": step, "policy": "recover", "back_to": back_to}


def log_of(tmp_path, *events, resume_step=1000):
    log = FailureLog(str(tmp_path), resume_step=0)
    for event in events:
        log.add(event)
    return FailureLog(str(tmp_path), resume_step=resume_step)


def test_a_run_without_failures_leaves_no_file_and_no_numbers(tmp_path):
    log = FailureLog(str(tmp_path), resume_step=5)
    assert (log.events, log.counts, log.recoveries) == ([], {}, 0)
    assert not (tmp_path / FILE).exists()


def test_what_was_listed_is_there_after_a_kill(tmp_path):
    events = [skip(7), recover(9, back_to=8)]
    log = log_of(tmp_path, *events)
    assert log.events == json.loads((tmp_path / FILE).read_text()) == events
    assert log.counts == {"failures/skipped": 1.0, "failures/recovered": 1.0}


def test_what_will_happen_again_is_dropped(tmp_path):
    events = [skip(7), skip(12), recover(9, back_to=8), recover(14, back_to=12)]
    # Of 12 steps taken, the last is number 11.
    assert log_of(tmp_path, *events, resume_step=12).events == [
        skip(7),
        recover(9, back_to=8),
        recover(14, back_to=12),
    ]
    # Step 7 is taken again, and 8 is not reached yet.
    assert log_of(tmp_path, *events, resume_step=7).events == []


def test_it_recovers_three_times(tmp_path):
    two = [recover(9, back_to=8), recover(10, back_to=8)]
    assert log_of(tmp_path, *two).refusal("recover", 11) == ""
    three = log_of(tmp_path, *two, recover(11, back_to=8))
    assert three.recoveries == 3
    assert "recovered 3 times" in three.refusal("recover", 500)


@pytest.mark.parametrize("step, is_refused", [(8, True), (9, False), (4, False)])
def test_it_skips_three_steps_in_a_row(tmp_path, step, is_refused):
    log = log_of(tmp_path, skip(5), skip(6), skip(7))
    assert bool(log.refusal("skip", step)) == is_refused


def test_it_skips_ten_steps_of_a_run(tmp_path):
    nine = [skip(10 * number) for number in range(9)]
    assert log_of(tmp_path, *nine).refusal("skip", 500) == ""
    log = log_of(tmp_path, *nine, skip(300))
    assert "skipped 10 steps" in log.refusal("skip", 500)


def test_what_was_dropped_does_not_come_back_at_a_later_start(tmp_path):
    assert log_of(tmp_path, skip(511), resume_step=500).events == []
    # This time, step 511 was finite, and the run was killed again after step 1000.
    assert FailureLog(str(tmp_path), resume_step=1000).counts == {}


def test_a_host_that_does_not_write_drops_nothing_from_the_file(tmp_path):
    log_of(tmp_path, skip(511))
    reader = FailureLog(str(tmp_path), resume_step=500, is_written=False)
    assert reader.events == []
    assert json.loads((tmp_path / FILE).read_text()) == [skip(511)]
