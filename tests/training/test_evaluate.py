"""What an evaluation promises of the pictures it is about."""

import pytest

from st_keras import config as config_lib
from st_keras.data import dataset_info, pipeline
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
