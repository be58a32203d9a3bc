"""What the suite that measures labelling promises."""

import json

import numpy as np
import pytest
import tensorflow as tf

from st_keras.experiments.benchmarks import label_peer, label_suite, scenes, twins
from st_keras.experiments.benchmarks.twins import Sizes

CASES = {
    "label/small": label_suite.Case(
        twins.detectors,
        Sizes("resnet18", (128, 128), batch_size=2, num_classes=12),
        {"peer_batched_nms": "batched"},
    )
}


@pytest.mark.slow
def test_rows_are_written_with_what_they_were_measured_on(tmp_path):
    path = tmp_path / "label.json"
    content = label_suite.run(
        str(path), command="python x", pairs=1, cases=CASES, pictures=4
    )
    written = json.loads(path.read_text())
    names = ["label/small/forward", "label/small/peer_batched_nms"]
    assert [row["name"] for row in written["rows"]] == names
    assert written["suite"] == "label" and written["command"] == "python x"
    assert written["machine"]["cores"] >= 1
    for row in content["rows"]:
        assert row["unit"] == "images/s" and row["ratio"] > 0 and row["cpu_ratio"] > 0
    assert "label/small/forward" in label_suite.format_content(content)


def test_an_unknown_row_is_named_before_anything_is_made(tmp_path):
    with pytest.raises(ValueError, match=r"--only.*label/small/forward.*got label/x"):
        label_suite.run(str(tmp_path / "x"), command="", only=["label/x"], cases=CASES)


@pytest.mark.slow
def test_the_peer_gives_a_map_of_the_networks_size_for_every_picture(tmp_path):
    glob = scenes.write_scenes(str(tmp_path), 4)
    sizes = Sizes("resnet50", (64, 128), batch_size=2, num_classes=5, records=glob)
    pair = twins.segmenters(sizes)
    maps = np.concatenate([part for (part,) in label_peer.segmentation(pair)()])
    assert maps.shape == (4, 64, 128) and maps.dtype == np.uint8
    # Both sides have the same logits for the same input.
    images = tf.random.stateless_normal([2, 64, 128, 3], (1, 2))
    np.testing.assert_allclose(
        pair.model(images, training=False)["logits"],
        pair.peer_model(images, training=False)["logits"],
        atol=1e-3,
    )
