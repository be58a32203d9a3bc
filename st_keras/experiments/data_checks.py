"""What the stages of an experiment read, and what is checked before the first one."""

from st_keras.config import Config, SelfTrainingConfig
from st_keras.data import dataset_info, pipeline, splits
from st_keras.experiments.stages import Pictures
from st_keras.runtime import preflight
from st_keras.runtime import strategy as strategies
from st_keras.self_training import lineage, selection
from st_keras.self_training.batches import check_replicas
from st_keras.tasks import build_joint_task, build_task, with_class_names


def unlabeled_pictures(settings: SelfTrainingConfig) -> Pictures:
    """Returns the glob of the records that a teacher labels, and their file of ids."""
    return settings.unlabeled_records, settings.unlabeled_ids


def held_out_pictures(config: Config) -> Pictures:
    """Returns the pictures with labels by people that thresholds are chosen on.

    Both are empty without `self_training.calibration`.
    """
    if not config.self_training.calibration:
        return "", ""
    return config.human.records, config.self_training.calibration.ids


def check_before(
    config: Config, *, may_choose: bool = False, labels: bool = True
) -> None:
    """Checks settings and data of all stages before the first one begins.

    Args:
      config: The student's, with a `self_training` part.
      may_choose: Whether the reported set may be the one on which settings are chosen;
        then nothing is called a test.
      labels: Whether a teacher labels pictures; otherwise it may have learned from
        them, and they need not exist.

    Raises:
      ValueError: Says what cannot be used: pictures in two sets, other classes,
        settings of a teacher that is still to be trained, parts of a student's step
        that its replicas cannot share.
    """
    if labels:  # A teacher takes both parts together, which may divide.
        check_replicas(config, strategies.known_replicas(config.runtime))
    judged_on = test_set(config)
    sets = picture_sets(config)
    if not labels:
        del sets["unlabeled"]
    if may_choose and sets["evaluation"] == judged_on:
        sets["test"] = ("", "")
    _check_readable(config, sets)
    if labels and config.pseudo.exclude:
        records, ids = sets["unlabeled"]
        left = selection.without_excluded(config.pseudo.exclude, records, ids)
        sets["unlabeled"] = records, left
    preflight.check_disjoint(sets)
    judged = ["calibration", "evaluation", "test"]
    preflight.check_joint(config, sets, judged)
    _check_joint(config)
    lineage.check_runs_before({name: sets[name] for name in judged}, config)
    if labels:
        _check_pseudo(config)
    _check_classes(config)


def picture_sets(config: Config) -> dict[str, Pictures]:
    """Returns what the stages of an experiment learn from, label and are judged on."""
    settings = config.self_training
    return {
        "human": (config.human.records, config.human.ids),
        "calibration": held_out_pictures(config),
        "unlabeled": unlabeled_pictures(settings),
        "evaluation": (config.evaluation.records, config.evaluation.ids),
        "test": (settings.test_records, settings.test_ids),
    }


def data_of(config: Config) -> preflight.Data:
    """Returns all that the stages of an experiment read."""
    exclude = config.pseudo.exclude if config.pseudo else ""
    sets = picture_sets(config)
    if config.joint:
        sets["joint"] = (config.joint.records, config.joint.ids)
    return preflight.Data(sets=sets, files={"pseudo.exclude": exclude})


def test_set(config: Config) -> tuple[str, str]:
    """Returns the records and the file of ids that a report is about."""
    settings = config.self_training
    if settings.test_records:
        return settings.test_records, settings.test_ids
    if not config.evaluation.records:
        raise ValueError(
            "`self_training.test_records` and `evaluation.records` are not set: there "
            "is nothing to report on. Set one to records with labels by people, as in "
            "--set self_training.test_records='data/mine/test/*.tfrecord'."
        )
    return config.evaluation.records, config.evaluation.ids


def _check_pseudo(config: Config) -> None:
    """Refuses settings that cannot belong to a teacher that is yet to be trained."""
    if config.pseudo.ids:
        raise ValueError(
            f"`pseudo.ids` is {config.pseudo.ids}, but pseudo labels are made here; "
            "`self_training.unlabeled_ids` says of which pictures."
        )
    if config.pseudo.thresholds:
        raise ValueError(
            f"`pseudo.thresholds` is {config.pseudo.thresholds}, but these are of a "
            "teacher of its own; set `self_training.calibration` for those of the "
            "teacher that is trained here."
        )
    if config.pseudo.exclude:
        pictures = unlabeled_pictures(config.self_training)
        selection.check_excluded(config.pseudo.exclude, *pictures)


def _check_classes(config: Config) -> None:
    """Refuses sets without labels, or whose classes differ from those of the human."""
    info = dataset_info.load(config.human.records)
    task = build_task(with_class_names(config, info))
    places = config.human.records, test_set(config)[0], config.evaluation.records
    for records in filter(None, places):
        preflight.check_labeled(task, records)


def _check_joint(config: Config) -> None:
    """Refuses classes of pictures that a student would refuse after its teacher."""
    if joint := config.joint:
        pipeline.open_source(joint.records, splits.chosen(joint.ids), joint.cache_mb)
        build_joint_task(config, dataset_info.load(joint.records))


def _check_readable(config: Config, sets: dict[str, Pictures]) -> None:
    """Refuses shards and ids that a stage could only refuse after hours of work."""
    for records, ids_file in sets.values():
        if records:
            pipeline.open_source(
                records, splits.chosen(ids_file), config.human.cache_mb
            )
