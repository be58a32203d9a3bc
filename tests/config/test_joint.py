"""What the settings of joint training promise."""

import pytest

from st_keras import config

RUN = {
    "detection": {"backbone": "spinenet_49", "activation": "swish"},
    "human": {"records": "data/*.tfrecord"},
    "training": {"steps": 30},
    "joint": {
        **{"records": "classes/*.tfrecord", "images_per_step": 8},
        **{"image_size_px": [128, 256], "label_smoothing": 0.2},
    },
}


def test_its_classifier_has_the_backbone_of_the_task_and_a_size_of_its_own():
    loaded = config.from_dict(RUN)
    classifier = loaded.joint.classifier(loaded.detection)
    assert classifier.backbone == "spinenet_49"
    assert classifier.activation == "swish"
    assert classifier.batch_norm_epsilon == loaded.detection.batch_norm_epsilon
    assert classifier.batch_norm_momentum == loaded.detection.batch_norm_momentum
    assert classifier.image_size_px == (128, 256)
    assert classifier.label_smoothing == 0.2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size_px": [128, 200]}, "joint: `image_size_px` must be multiples of"),
        ({"augment": {"policy": "S2"}}, "joint: `augment.policy` must be one of S1"),
        ({"weight": -1.0}, "joint: `weight` must be 0 or more, got -1"),
        ({"images_per_step": 0}, "joint: `images_per_step` must be above 0"),
        ({"records": ""}, "joint: `records` must be a glob of TFRecords"),
        ({"class_names": ["a"]}, "joint: no setting `class_names`"),
    ],
)
def test_what_cannot_be_is_refused_by_name(change, message):
    settings = RUN | {"joint": RUN["joint"] | change}
    with pytest.raises(config.ConfigError, match=message):
        config.from_dict(settings)


@pytest.mark.parametrize("task", ["classification", "simclr"])
def test_it_goes_with_tasks_that_are_no_classification_themselves(task):
    settings = RUN | {task: {}}
    del settings["detection"]
    with pytest.raises(config.ConfigError, match=f"`joint` must be empty with `{task}"):
        config.from_dict(settings)
