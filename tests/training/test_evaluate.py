"""What an evaluation promises of the pictures it is about."""

from types import SimpleNamespace

import pytest

from st_keras import config as config_lib
from st_keras.data import dataset_info, pipeline
from st_keras.runtime.restored import RestoredRun
from st_keras.tasks import build_task, with_class_names
from st_keras.training import evaluate
from tests.record_files import write_records


def test_pictures_that_a_shard_lacks_are_not_passed_over(
    tiny_records, student_yaml, tmp_path, monkeypatch
):
    first, *rest = tiny_records.by_id.values()
    names = {"class_names": tiny_records.class_names}
    write_records(tmp_path / "one", [first], **names)
    write_records(tmp_path / "all", [first, *rest], **names)
    (shard,) = (tmp_path / "one").glob("*.tfrecord")
    (whole,) = (tmp_path / "all").glob("*.tfrecord")
    records = f"{tmp_path}/all/*.tfrecord"
    config = config_lib.load(student_yaml, ["detection.class_names=[]"])
    task = build_task(with_class_names(config, dataset_info.load(records)))
    source = pipeline.open_source(records, None, 0)
    # A model that says what people say, of whatever there is.
    monkeypatch.setattr(
        evaluate.shared_inference,
        "over_records",
        lambda _, source, **__: evaluate.read_labels(task, source),
    )
    said = evaluate.evaluate_model(task, None, source, batch_size=2)
    assert said["AP"] == pytest.approx(100.0)
    whole.write_bytes(shard.read_bytes())
    with pytest.raises(ValueError, match="hold 1 of the 12 pictures to judge by"):
        evaluate.evaluate_model(task, None, source, batch_size=2)


def test_pictures_that_were_learned_from_are_named(
    tiny_records, student_yaml, tmp_path
):
    """`tools/evaluate.py` measures by them all the same, and says so."""
    first, second, *_ = tiny_records.by_id.values()
    names = {"class_names": tiny_records.class_names}
    for folder, record in (("one", first), ("other", second)):
        write_records(tmp_path / folder, [record], **names)
    config = config_lib.load(
        student_yaml,
        [f"human.records={tmp_path}/one/*.tfrecord", "human.ids=", "pseudo=null"],
    )
    file = SimpleNamespace(prefix="runs/x")
    run = RestoredRun(config=config, task=None, model=None, file=file)
    said = evaluate.seen_before(run, f"{tmp_path}/one/*.tfrecord")
    assert "`human of runs/x` and `judged` must have no picture in common" in said
    assert evaluate.seen_before(run, f"{tmp_path}/other/*.tfrecord") == ""
    # Nor can it be said of pictures without a list, which other tools do not write.
    (tmp_path / "one" / "images.tsv").unlink()
    assert evaluate.seen_before(run, f"{tmp_path}/one/*.tfrecord") == ""
