"""What counting the arithmetic of a config promises."""

import dataclasses
import subprocess
import sys

import pytest
import tensorflow as tf
from official.core import train_utils

from st_keras import config as config_lib
from st_keras import models
from st_keras.config import AugmentConfig
from st_keras.data import dataset_info
from st_keras.experiments import multiply_adds
from st_keras.tasks import build_task


@pytest.fixture
def config(teacher_config):
    detection = dataclasses.replace(teacher_config.detection, class_names=("a", "b"))
    return dataclasses.replace(teacher_config, detection=detection)


def test_runs_of_one_model_are_counted_once(config, monkeypatch):
    multiply_adds._of_description.cache_clear()
    counted = []
    of_model = multiply_adds.of_model

    def counting(model):
        counted.append(model)
        return of_model(model)

    monkeypatch.setattr(multiply_adds, "of_model", counting)
    longer = dataclasses.replace(config.training, steps=77)
    more = dataclasses.replace(config.human, images_per_step=3, ids="others.txt")
    bent = AugmentConfig(policy="S4")
    bent = dataclasses.replace(config.detection, augment=bent)
    found = {
        multiply_adds.of_config(dataclasses.replace(config, detection=bent)),
        multiply_adds.of_config(config),
        multiply_adds.of_config(dataclasses.replace(config, training=longer)),
        multiply_adds.of_config(dataclasses.replace(config, human=more)),
    }
    assert len(counted) == 1 and len(found) == 1
    # And it is that of the model the run has.
    model = build_task(config).build_model(sync_batch_norm=False)
    assert found == {of_model(model)}


SLOW = [pytest.mark.slow]
MODELS = [
    pytest.param(
        lambda: models.retinanet((128, 256), 3, backbone="spinenet_49s"),
        id="spinenet",
        marks=SLOW,
    ),
    pytest.param(
        lambda: models.nas_fpn_segmenter((128, 256), 5, backbone="resnet18"),
        id="nas_fpn",
        marks=SLOW,
    ),
    pytest.param(
        lambda: models.deeplab_v3_plus((64, 96), 5, backbone="resnet18"), id="deeplab"
    ),
    # With depthwise convolutions.
    pytest.param(
        lambda: models.classifier((64, 96), 7, backbone="efficientnet_b0"),
        id="efficientnet",
    ),
    pytest.param(lambda: models.retinanet((128, 256), 3, backbone="tiny"), id="tiny"),
]


@pytest.mark.parametrize("build", MODELS)
def test_a_count_is_that_of_tf_models(build):
    model = build()
    assert multiply_adds.of_model(model) == train_utils.try_count_flops(model) // 2


_ENLARGE = """
import tensorflow as tf
from st_keras.experiments import multiply_adds
from st_keras.models.layers import Bilinear

image = tf.keras.Input([4, 6, 5])
print(multiply_adds.of_model(tf.keras.Model(image, Bilinear(2)(image))))
"""


def test_all_products_count_whatever_else_was_imported():
    # 4 x 5 rows of 6 become 12 wide, and 12 x 5 columns of 4 become 8 high:
    # 20 * 6 * 12 + 60 * 4 * 8 = 1440 + 1920.
    done = subprocess.run(
        [sys.executable, "-c", _ENLARGE], check=True, capture_output=True, text=True
    )
    assert int(done.stdout.splitlines()[-1]) == 3360


def test_a_model_without_arithmetic_is_not_counted():
    image = tf.keras.Input([8, 12, 3])
    model = tf.keras.Model(image, image, name="nothing")
    with pytest.raises(RuntimeError, match="nothing: TensorFlow's profiler"):
        multiply_adds.of_model(model)


def test_records_that_are_not_there_are_missed_where_they_name_the_classes(config):
    human = dataclasses.replace(config.human, records="gone/*.tfrecord")
    elsewhere = dataclasses.replace(config, human=human)
    assert multiply_adds.of_training(elsewhere) == (multiply_adds.of_config(config), 0)
    nameless = dataclasses.replace(config.detection, class_names=())
    with pytest.raises(ValueError, match="`gone/.*`: no such file"):
        multiply_adds.of_training(dataclasses.replace(elsewhere, detection=nameless))


def test_a_larger_model_is_counted_for_itself(config):
    wide = dataclasses.replace(config.detection, neck_filters=32)
    larger = dataclasses.replace(config, detection=wide)
    assert multiply_adds.of_config(larger) > multiply_adds.of_config(config)


def test_a_classifier_whose_records_are_elsewhere_is_counted_but_for_its_last_layer(
    joint_yaml,
):
    config = config_lib.load(joint_yaml)
    names = dataset_info.load(config.human.records).class_names
    detection = dataclasses.replace(config.detection, class_names=names)
    config = dataclasses.replace(config, detection=detection)
    joint = dataclasses.replace(config.joint, records="gone/*.tfrecord")
    forward, elsewhere = multiply_adds.of_training(
        dataclasses.replace(config, joint=joint)
    )
    (of_all, here) = multiply_adds.of_training(config)
    classes = dataset_info.load(config.joint.records).image_class_names
    # Two classes are counted, and each has a multiply-add for every feature.
    features = (here - elsewhere) / (len(classes) - 2)
    assert forward == of_all
    assert features == int(features) and 16 <= features <= 512
    with pytest.raises(ValueError, match="`gone/.*`: no such file"):
        multiply_adds.of_joint(dataclasses.replace(config, joint=joint))
