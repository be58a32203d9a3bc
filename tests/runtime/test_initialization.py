"""What a run starts from: the paper's initialisations."""

import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config as config_lib
from st_keras import models
from st_keras.config import InitConfig
from st_keras.models.weights import saving
from st_keras.runtime.initialization import initialize
from st_keras.tasks import build_task

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"
SIZE = {"tiny": (64, 96), "resnet18": (64, 96)}


def detector(backbone="tiny", num_classes=3):
    return models.retinanet(
        SIZE[backbone],
        num_classes,
        backbone=backbone,
        max_level=5,
        neck_filters=8,
        head_convs=1,
        head_filters=8,
    )


def weights(model, part):
    return model.get_layer(part).get_weights()


def same(ours, theirs):
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def classifier_run(folder, **settings):
    """A classifier as a run leaves it: a checkpoint, and the config beside it."""
    settings = {"image_size_px": SIZE["tiny"], "backbone": "tiny"} | settings
    model = models.classifier(
        settings["image_size_px"],
        7,
        backbone=settings["backbone"],
        activation=settings.get("activation", "relu"),
        drop_connect=settings.get("drop_connect"),
    )
    # Every variable has its own values: new ones are all 0 or all 1 in many layers.
    draw = np.random.default_rng(3)
    model.set_weights([draw.random(w.shape, "f4") for w in model.get_weights()])
    tf.train.Checkpoint(model=model).save(str(folder / "checkpoints" / "ckpt"))
    config = config_lib.Config(
        classification=config_lib.ClassificationConfig(
            class_names=tuple("abcdefg"), **settings
        ),
        human=config_lib.RecordsConfig(records="none"),
        training=config_lib.TrainingConfig(steps=1),
    )
    config_lib.save(config, str(folder / "config.yaml"))
    return model


def detector_config(**settings):
    settings = {"class_names": ("cat", "dog"), "num_convs": 1} | settings
    head = config_lib.BoxHeadConfig(num_convs=settings.pop("num_convs"), num_filters=8)
    return config_lib.Config(
        detection=config_lib.DetectionConfig(
            image_size_px=SIZE["tiny"],
            backbone="tiny",
            max_level=5,
            neck_filters=8,
            head=head,
            **settings,
        ),
        human=config_lib.RecordsConfig(records="none"),
        training=config_lib.TrainingConfig(steps=1),
    )


def detector_run(folder, config):
    """A detector as a run leaves it."""
    model = build_task(config).build_model(sync_batch_norm=False)
    tf.train.Checkpoint(model=model).save(str(folder / "checkpoints" / "ckpt"))
    config_lib.save(config, str(folder / "config.yaml"))
    return model


def start_from(folder, config):
    """A detector that starts from all of the weights of a run."""
    model = build_task(config).build_model(sync_batch_norm=False)
    init = InitConfig(kind="teacher", checkpoint=str(folder))
    initialize(model, init, config.section)
    return model


@pytest.fixture
def classifier_file(tmp_path):
    """A classifier on the same backbone, and its file."""
    model = models.classifier(SIZE["tiny"], 7, backbone="tiny")
    path = str(tmp_path / "classifier.keras")
    model.save(path)
    return model, path


def test_random_leaves_the_weights_alone():
    model = detector()
    before = model.get_weights()
    initialize(model, InitConfig())
    assert same(model.get_weights(), before)


@pytest.mark.parametrize("kind", ["imagenet", "imagenet++", "simclr"])
def test_a_published_classifier_gives_its_backbone_and_nothing_else(
    kind, classifier_file
):
    classifier, path = classifier_file
    model = detector()
    head = weights(model, "head")
    assert not same(weights(model, "backbone"), weights(classifier, "backbone"))
    initialize(model, InitConfig(kind=kind, checkpoint=path))
    assert same(weights(model, "backbone"), weights(classifier, "backbone"))
    assert same(weights(model, "head"), head)


def test_the_config_for_a_gpu_takes_the_weights_that_it_names(tmp_path, capsys):
    config = config_lib.load(str(CONFIGS / "detection" / "own_data_gpu.yaml"))
    section = dataclasses.replace(
        config.detection, image_size_px=(128, 128), class_names=("cat",)
    )
    task = build_task(dataclasses.replace(config, detection=section))
    path = str(tmp_path / pathlib.Path(config.init.checkpoint).name)
    theirs = tf.keras.applications.ResNet50(weights=None)
    theirs.save_weights(path)  # As the file that Keras downloads.
    model = task.build_model(sync_batch_norm=False)
    initialize(model, dataclasses.replace(config.init, checkpoint=path))
    assert "ResNet of tf.keras.applications" in capsys.readouterr().out
    # The last convolution of the network is as it was.
    kernel = theirs.get_layer("conv5_block3_3_conv").kernel
    backbone = weights(model, "backbone")
    assert any(np.array_equal(w, kernel) for w in backbone if w.shape == kernel.shape)


def test_a_classifier_of_another_backbone_is_refused(classifier_file):
    _, path = classifier_file
    with pytest.raises(ValueError, match=r"classifier.keras.*lacks"):
        initialize(detector("resnet18"), InitConfig(kind="imagenet", checkpoint=path))


def test_a_teacher_gives_all_of_its_weights(tmp_path):
    teacher, student = detector(), detector()
    prefix = tf.train.Checkpoint(model=teacher).write(str(tmp_path / "ckpt"))
    initialize(student, InitConfig(kind="teacher", checkpoint=prefix))
    assert same(student.get_weights(), teacher.get_weights())


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5", "m"])
def test_a_teacher_may_be_an_imported_file(tmp_path, name):
    teacher, student = detector(), detector()
    saving.save(teacher, str(tmp_path / name))
    initialize(student, InitConfig(kind="teacher", checkpoint=str(tmp_path / name)))
    assert same(student.get_weights(), teacher.get_weights())


def test_of_a_run_the_averaged_weights_are_taken(tmp_path):
    teacher, last, student = detector(), detector(), detector()
    saved = tf.train.Checkpoint(model=last, averaged=teacher)
    saved.save(str(tmp_path / "run" / "checkpoints" / "ckpt"))
    initialize(student, InitConfig(kind="teacher", checkpoint=str(tmp_path / "run")))
    assert same(student.get_weights(), teacher.get_weights())


def test_a_teacher_of_another_model_is_told_in_a_line(tmp_path):
    prefix = tf.train.Checkpoint(model=detector()).write(str(tmp_path / "ckpt"))
    with pytest.raises(ValueError, match="must have shape") as caught:
        initialize(
            detector(num_classes=7), InitConfig(kind="teacher", checkpoint=prefix)
        )
    assert len(str(caught.value)) < 800


def test_what_is_loaded_is_printed_and_doubt_of_simclr_is_told(
    classifier_file, capsys, caplog
):
    _, path = classifier_file
    initialize(detector(), InitConfig(kind="simclr", checkpoint=path))
    assert "loaded: " in capsys.readouterr().out
    assert "does not show that it is SimCLR's" in caplog.text


def test_a_missing_file_is_named():
    with pytest.raises(ValueError, match="no/such"):
        initialize(detector(), InitConfig(kind="imagenet", checkpoint="no/such"))


@pytest.mark.parametrize("kind", ["imagenet", "simclr"])
def test_a_run_of_a_classifier_gives_every_variable_of_its_backbone(kind, tmp_path):
    classifier, model = classifier_run(tmp_path), detector()
    rest = [weights(model, part) for part in ("neck", "head")]
    initialize(model, InitConfig(kind=kind, checkpoint=str(tmp_path)))
    ours, theirs = (m.get_layer("backbone").variables for m in (model, classifier))
    assert [v.name for v in ours] == [v.name for v in theirs]
    assert same(weights(model, "backbone"), weights(classifier, "backbone"))
    for part, before in zip(("neck", "head"), rest, strict=True):
        assert same(weights(model, part), before)


def test_a_segmenter_starts_from_a_run_of_a_classifier_too(tmp_path):
    classifier = classifier_run(tmp_path, batch_norm_epsilon=1e-3)
    model = models.deeplab_v3_plus(
        SIZE["tiny"],
        3,
        backbone="tiny",
        output_stride=32,
        norm=models.Norm(epsilon=1e-3),
    )
    initialize(model, InitConfig(kind="imagenet", checkpoint=str(tmp_path)))
    assert same(weights(model, "backbone"), weights(classifier, "backbone"))


def test_a_run_with_drop_connect_gives_its_backbone_to_one_without(tmp_path):
    """A layer without weights moves the others in the checkpoint of a ResNet."""
    settings = {"backbone": "resnet18", "image_size_px": (64, 96), "drop_connect": 0.2}
    classifier = classifier_run(tmp_path, **settings)
    model = detector("resnet18")
    names = [
        [layer.name for layer in m.get_layer("backbone").layers if layer.weights]
        for m in (model, classifier)
    ]
    assert names[0] != names[1]
    initialize(model, InitConfig(kind="imagenet", checkpoint=str(tmp_path)))
    theirs = {v.name: v.numpy() for v in classifier.get_layer("backbone").variables}
    ours = {v.name: v.numpy() for v in model.get_layer("backbone").variables}
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "swish"}, "activation swish in the file and relu"),
        ({"batch_norm_epsilon": 0.02}, "epsilon 0.02 in the file and 0.0001"),
    ],
)
def test_a_run_whose_layers_do_otherwise_is_refused(settings, message, tmp_path):
    classifier_run(tmp_path, **settings)
    model = detector()
    before = model.get_weights()
    for inside in ("", "checkpoints", "checkpoints/ckpt-1", "checkpoints/ckpt-1.index"):
        checkpoint = str(tmp_path / inside)
        with pytest.raises(ValueError, match=message):
            initialize(model, InitConfig(kind="imagenet", checkpoint=checkpoint))
    assert same(model.get_weights(), before)


def test_a_run_of_a_deeper_backbone_is_refused(tmp_path):
    """Every weight of a ResNet-18 is in a ResNet-34, in its shape."""
    classifier_run(tmp_path, backbone="resnet34")
    with pytest.raises(models.weights.IncompleteError, match="not in this backbone"):
        initialize(
            detector("resnet18"), InitConfig(kind="imagenet", checkpoint=str(tmp_path))
        )


def test_a_teacher_with_a_deeper_head_is_refused(tmp_path):
    detector_run(tmp_path, detector_config(num_convs=2))
    with pytest.raises(models.weights.IncompleteError, match="weights more.*this head"):
        start_from(tmp_path, detector_config(num_convs=1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_names": ("dog", "cat")}, "`class_names` cat, dog, .* has dog, cat"),
        (
            {"aspect_ratios": (0.5, 1.0, 2.0)},
            "`aspect_ratios` 1.0, 2.0, 0.5, .* has 0.5, 1.0, 2.0",
        ),
        ({"anchor_size": 3.0}, "`anchor_size` 4.0, .* has 3.0"),
    ],
)
def test_a_teacher_of_other_classes_or_anchors_is_refused(settings, message, tmp_path):
    detector_run(tmp_path, detector_config())
    with pytest.raises(ValueError, match=f"{message}.*`init.kind=imagenet`"):
        start_from(tmp_path, detector_config(**settings))


def test_a_teacher_of_the_same_classes_gives_all_of_its_weights(tmp_path):
    teacher = detector_run(tmp_path, detector_config())
    student = start_from(tmp_path, detector_config())
    assert same(student.get_weights(), teacher.get_weights())


def test_a_run_whose_config_cannot_be_read_is_told(tmp_path):
    classifier_run(tmp_path)
    file = tmp_path / "config.yaml"
    file.write_text(f"{file.read_text()}\nclassification_old: {{a: 1}}\n")
    with pytest.raises(ValueError, match=r"config\.yaml.*`classification_old`"):
        initialize(detector(), InitConfig(kind="imagenet", checkpoint=str(tmp_path)))
    file.unlink()  # Then nothing tells of its layers, as of a published file.
    initialize(detector(), InitConfig(kind="imagenet", checkpoint=str(tmp_path)))


@pytest.mark.parametrize("content", [None, ""])
def test_a_run_whose_list_of_checkpoints_is_lost_gives_its_newest(tmp_path, content):
    classifier = classifier_run(tmp_path)
    (tmp_path / "checkpoints" / "checkpoint").unlink()
    if content is not None:
        (tmp_path / "checkpoints" / "checkpoint").write_text(content)
    earlier = models.classifier(SIZE["tiny"], 7, backbone="tiny")
    tf.train.Checkpoint(model=earlier).write(str(tmp_path / "checkpoints" / "ckpt-0"))
    model = detector()
    initialize(model, InitConfig(kind="imagenet", checkpoint=str(tmp_path)))
    assert same(weights(model, "backbone"), weights(classifier, "backbone"))
