"""What the log of a run promises."""

import numpy as np

from st_keras.runtime.run_log import RunLog, read_rows, write_json


def test_rows_come_back_as_written(tmp_path):
    log = RunLog(tmp_path, resume_step=0)
    log.numbers(50, {"loss": 1.5})
    log.numbers(50, {"evaluation/AP": 12.25})
    assert read_rows(tmp_path) == [
        {"step": 50, "loss": 1.5},
        {"step": 50, "evaluation/AP": 12.25},
    ]


def test_what_came_after_the_checkpoint_is_dropped_on_resumption(tmp_path):
    log = RunLog(tmp_path, resume_step=0)
    for step in (10, 20, 30):
        log.numbers(step, {"loss": float(step)})
    resumed = RunLog(tmp_path, resume_step=20)
    resumed.numbers(30, {"loss": -1.0})
    assert [row["loss"] for row in read_rows(tmp_path)] == [10.0, 20.0, -1.0]


def test_a_row_cut_by_a_kill_is_left_out(tmp_path):
    RunLog(tmp_path, resume_step=0).numbers(10, {"loss": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 20, "lo')
    assert [row["step"] for row in read_rows(tmp_path)] == [10]


def test_the_last_row_with_a_name_is_found(tmp_path):
    log = RunLog(tmp_path, resume_step=0)
    log.numbers(10, {"loss": 1.0})
    log.numbers(20, {"loss": 2.0})
    log.numbers(20, {"evaluation/AP": 3.0})
    assert log.last("loss") == {"loss": 2.0}
    assert log.last("nothing") == {}


def test_pictures_and_numbers_reach_tensorboard(tmp_path):
    log = RunLog(tmp_path, resume_step=0)
    log.numbers(1, {"loss": 1.0})
    log.pictures(1, "human", np.zeros([2, 30, 50, 3], np.uint8))
    (events,) = (tmp_path / "tensorboard").iterdir()
    content = events.read_bytes()
    assert b"loss" in content and b"human" in content


def test_a_json_file_appears_whole(tmp_path):
    write_json(tmp_path / "new" / "a.json", {"b": 1})
    assert (tmp_path / "new" / "a.json").read_text() == '{\n "b": 1\n}\n'
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]
