"""Each thing that can be wrong with files, and nothing else, is found."""

import dataclasses
import json

import pytest

from st_keras.data import splits
from st_keras.runtime import preflight
from tests.experiments.doctor.ward import CLASSES, picture


def rewrite_info(ward, name, **changes):
    path = ward.root / name / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_sound_config_has_no_finding(ward):
    assert ward.found() == []


def test_missing_records_are_one_problem_for_all_sets_made_of_them(ward):
    for path in (ward.root / "train").glob("*.tfrecord"):
        path.unlink()
    (found,) = ward.found()
    assert found == (
        "problem: human, unlabeled: `ROOT/train/*.tfrecord`: no such file."
    )


@pytest.mark.parametrize("file", ["dataset.json", "images.tsv"])
def test_a_file_beside_the_shards_is_missed(ward, file):
    (ward.root / "val" / file).unlink()
    (found,) = ward.found()
    assert found.startswith(f"problem: evaluation: ROOT/val/{file}: missing")


def test_a_shard_that_is_gone_is_missed(ward):
    sorted((ward.root / "test").glob("*.tfrecord"))[0].unlink()
    (found,) = ward.found()
    assert found.startswith("problem: test: ")
    assert "must match the 2 shards" in found and "got 1 files" in found


def test_a_shard_that_is_cut_off_is_told_with_its_name(ward):
    path = sorted((ward.root / "test").glob("*.tfrecord"))[1]
    path.write_bytes(path.read_bytes()[:-5])
    (found,) = ward.found()
    assert found == f"problem: test: ROOT/test/{path.name}: cut off after 0 records."


def test_records_and_their_count_must_agree(ward):
    rewrite_info(ward, "val", images=5)
    (found,) = ward.found()
    assert found == (
        "problem: evaluation: ROOT/val: the shards hold 4 records, dataset.json says 5."
    )


def test_the_list_of_pictures_must_be_whole(ward):
    path = ward.root / "val" / "images.tsv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    (found,) = ward.found()
    assert found.startswith("problem: evaluation: ROOT/val: images.tsv lists 3 pict")


def test_an_id_that_no_record_has_is_named(ward):
    splits.write_ids(ward.root / "some.txt", ["val_0", "val_7"])
    (found,) = ward.found(f"evaluation.ids={ward.root}/some.txt")
    assert found.startswith("problem: evaluation: ") and "'val_7' (1 of 2" in found


def test_a_file_of_ids_that_is_not_there_is_named(ward):
    (found,) = ward.found("self_training.test_ids=gone.txt")
    assert found.startswith("problem: test: ") and "gone.txt" in found


@pytest.mark.parametrize("name", ["evaluation", "test"])
def test_other_classes_are_a_problem(ward, name):
    folder = {"evaluation": "val", "test": "test"}[name]
    rewrite_info(ward, folder, class_names=["ball", "kite", "cup"])
    (found,) = ward.found()
    assert found.startswith(f"problem: {name}: ")
    assert "has classes ball, kite, cup, but the model has ball, cup, kite" in found


def test_other_classes_of_pictures_to_label_are_a_warning(ward):
    written = [picture(f"more_{i}", 9, i) for i in range(5)]
    ward.write("more", written, class_names=CLASSES[::-1])
    (found,) = ward.found(
        f"self_training.unlabeled_records={ward.glob('more')}",
        "self_training.unlabeled_ids=''",
    )
    assert found.startswith("warning: unlabeled: ")
    assert "cannot say how right" in found


def test_pictures_to_label_need_no_classes(ward):
    ward.write("more", [picture(f"m_{i}", 9, i) for i in range(5)], class_names=())
    assert not ward.found(
        f"self_training.unlabeled_records={ward.glob('more')}",
        "self_training.unlabeled_ids=''",
    )


def test_classes_that_the_config_states_must_be_the_records_ones(ward):
    (found,) = ward.found("detection.class_names=[ball, cup]")
    assert found.startswith("problem: `detection.class_names` is ball, cup but")


def test_a_picture_in_two_sets_is_found_under_any_name(ward):
    written = [picture(f"val_{i}", 1, i) for i in range(4)]
    # The bytes of `train_2`, which people labelled.
    written[3] = dataclasses.replace(picture("other", 0, 2), image_id="other")
    ward.write("val", written)
    (found,) = ward.found()
    assert found.startswith("problem: `human` and `evaluation` must have no picture")
    assert "got 1 of 8 and 4: other" in found


def test_every_pair_that_overlaps_is_a_problem_of_its_own(ward):
    found = ward.found(f"self_training.test_records={ward.glob('train')}")
    assert [f.split(" must")[0] for f in found] == [
        "problem: `human` and `test`",
        "problem: `unlabeled` and `test`",
    ]


def test_pseudo_labels_are_of_the_unlabeled_pictures(ward):
    # Of what the teacher was to label, the fourth: no overlap.
    ward.write("labels", [picture("train_9", 0, 9)] * 1 + [picture("train_8", 0, 8)])
    assert not ward.found(f"pseudo.records={ward.glob('labels')}")


def test_pictures_that_a_student_excludes_are_in_none_of_its_sets(ward):
    # The labels of `train_2`, which people labelled, and of `train_8`.
    ward.write("labels", [picture("train_2", 0, 2), picture("train_8", 0, 8)])
    records = f"pseudo.records={ward.glob('labels')}"
    (found,) = ward.found(records)
    assert found.startswith("problem: `human` and `pseudo` must have no picture")
    splits.write_ids(ward.root / "excluded.txt", ["train_2"])
    exclude = f"pseudo.exclude={ward.root}/excluded.txt"
    assert not ward.found(records, exclude)
    # Before there are labels, the list must be of what is to be labelled.
    for image_id in ("train_2", "val_2"):
        splits.write_ids(ward.root / "excluded.txt", [image_id])
        (found,) = ward.found(exclude)
        assert found.startswith("problem: unlabeled: ROOT/excluded.txt: 1 of 1 ids to")
    splits.write_ids(ward.root / "excluded.txt", ["train_8"])
    assert not ward.found(exclude)


def test_a_student_without_labels_or_pictures_to_label_is_a_problem(ward):
    (found,) = ward.found(self_training=None)
    assert found.startswith("problem: `pseudo.records` is not set")


def test_an_experiment_without_a_set_to_report_on_is_a_problem(ward):
    (found,) = ward.found("evaluation.records=", "self_training.test_records=")
    assert found.startswith("problem: `self_training.test_records` and `evaluation.")


def test_many_labels_lost_in_the_conversion_are_a_warning(ward):
    rewrite_info(ward, "train", skipped={"degenerate": 3, "clipped (kept)": 2})
    (found,) = ward.found()
    assert found.startswith("warning: ROOT/train: 3 pictures or labels were left out")
    assert found.endswith("12 pictures with 36 boxes: degenerate 3.")


def test_boxes_that_reach_over_the_edge_are_a_warning(ward):
    rewrite_info(ward, "val", skipped={"clipped (kept)": 5})
    (found,) = ward.found()
    assert found.startswith("warning: ROOT/val: 5 of 12 boxes reached over the edge")


@pytest.mark.parametrize(
    "override, what",
    [
        ("pseudo.ids=some.txt", "`pseudo.ids` is some.txt, but pseudo labels are made"),
        ("pseudo.thresholds=t.json", "`pseudo.thresholds` is t.json, but these are of"),
    ],
)
def test_settings_of_another_teacher_are_a_problem_as_in_training(ward, override, what):
    (found,) = ward.found(override)
    assert found.startswith(f"problem: {what}")


def test_self_training_without_a_student_is_a_problem(ward):
    (found,) = ward.found(pseudo=None)
    assert found.startswith("problem: There is a `self_training` part, but no `pseudo`")


@pytest.mark.parametrize("is_alone", [True, False])
def test_pictures_that_the_first_weights_have_learned_from_judge_nothing(
    ward, is_alone
):
    alone = {"pseudo": None, "self_training": None} if is_alone else {}
    begun = {"init": {"kind": "teacher", "checkpoint": f"{ward.root}/run"}}
    assert not ward.found(**alone, **begun)  # Nothing is known of such a run.
    others = ward.config(f"human.records={ward.glob('val')}", "human.ids=''", **alone)
    preflight.save_config(others, ward.root / "run")
    (found,) = ward.found(**alone, **begun)
    assert found.startswith("problem: `human of ROOT/run` and `evaluation` must have")
