"""What the whole procedure promises of joint training and of a live teacher."""

import json

import pytest

from st_keras import config as config_lib
from st_keras.experiments import report as report_module
from st_keras.experiments import self_train as module
from st_keras.experiments import tables

ONLINE = ("pseudo.online=true", "self_training.student_init=teacher")


@pytest.mark.slow
def test_both_together_end_in_a_report(joint_yaml, tmp_path):
    config = config_lib.load(
        joint_yaml,
        [*ONLINE, "self_training.teacher_joint=false", "training.steps=4"],
    )
    report = module.self_train(config, str(tmp_path))
    stages = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert stages == {"teacher", "student_1", "control"}
    seen = {
        name: json.loads((tmp_path / name / "summary.json").read_text())["images_seen"]
        for name in stages
    }
    assert seen == {"teacher": 4 * 6, "student_1": 4 * 10, "control": 8 * 10}
    words = tables.format_table(report).split()  # The lines are wrapped.
    assert "not stored." in " ".join(words)
    page = open(report_module.write_html(str(tmp_path))).read()
    assert "not stored" in page
    assert "Pictures are not shown" not in page
