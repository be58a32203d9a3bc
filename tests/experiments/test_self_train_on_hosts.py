"""What the whole procedure promises to several hosts: two processes here."""

import json

import pytest

from st_keras.runtime.restored import restore_run
from st_keras.self_training import labeling
from st_keras.training.evaluate import evaluate_run
from tests.host_processes import ROOT, said, start_hosts, wait_for


def run_on_hosts(folder, *command):
    processes = start_hosts([*command, "--strategy", "multi_worker"], folder)
    assert wait_for(processes, folder, 1500) == [0, 0], said(folder)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_hosts_go_through_all_stages_and_share_the_work(
    student_yaml, digit_records, tmp_path
):
    workdir = tmp_path / "run"
    run_on_hosts(
        tmp_path / "self_train",
        *(ROOT / "tools/self_train.py", "--config", student_yaml),
        *("--workdir", workdir, "--set", "training.steps=6"),
    )
    report = json.loads((workdir / "report.json").read_text())
    assert report["control"]["steps"] == 12
    assert (workdir / "report.html").exists()
    assert not list(workdir.rglob("*.tmp"))

    # What hosts have found together is what one finds alone.
    test_records = f"{digit_records}/test/*.tfrecord"
    alone = evaluate_run(restore_run(str(workdir / "student_1")), test_records)
    for name, value in alone["metrics"].items():
        if isinstance(value, float):
            assert report["student"][name] == pytest.approx(value, abs=1e-3), name

    teacher, pictures = str(workdir / "teacher"), f"{digit_records}/train/*.tfrecord"
    run_on_hosts(
        tmp_path / "label",
        *(ROOT / "tools/pseudo_label.py", "--checkpoint", teacher, "--shards", "3"),
        *("--records", pictures, "--output", tmp_path / "labels"),
    )
    manifest = json.loads((tmp_path / "labels/manifest.json").read_text())
    labelled = labeling.label_pictures(
        teacher, str(tmp_path / "alone"), records=pictures, num_shards=3
    )
    assert labelled["pictures"] == manifest["pictures"] == 24
    assert labelled["content_sha256"] == manifest["content_sha256"]

    run_on_hosts(
        tmp_path / "evaluate",
        *(ROOT / "tools/evaluate.py", "--checkpoint", workdir / "student_1"),
        *("--records", test_records, "--output", tmp_path / "test.json"),
    )
    found = json.loads((tmp_path / "test.json").read_text())
    assert found["metrics"]["AP"] == pytest.approx(report["student"]["AP"], abs=1e-3)
