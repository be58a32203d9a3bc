"""What the two sides of a comparison of models promise: the same model and work."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.experiments.benchmarks import predictions, steps, twins

SIZES = twins.Sizes("resnet18", (128, 256), batch_size=2, num_classes=5)


@pytest.fixture(scope="module")
def pair() -> twins.Twins:
    return twins.detectors(SIZES)


@pytest.fixture(scope="module")
def pictures() -> steps.Pictures:
    return steps.make_pictures(2, SIZES.size_px, SIZES.num_classes)


def test_pictures_are_the_same_whenever_they_are_made(pictures):
    again = steps.make_pictures(2, SIZES.size_px, SIZES.num_classes)
    for field, other in zip(pictures, again, strict=True):
        np.testing.assert_array_equal(field, other)
    low, high = pictures.boxes_yxyx[..., :2], pictures.boxes_yxyx[..., 2:]
    assert (low >= 0).all() and (high <= SIZES.size_px).all() and (low < high).all()
    assert pictures.class_ids.min() >= 1 and pictures.class_ids.max() <= 4


@pytest.mark.slow
def test_the_two_steps_have_the_same_loss(pair, pictures):
    before = [v.numpy() for v in pair.model.trainable_variables]
    step = steps.ours(pair.config, pair.task, pair.model)
    mine = step(steps.our_batch(pictures))
    peer_step = steps.peer(pair.config, pair.peer_task, pair.peer_model)
    images, labels = next(iter(steps.peer_batches(pair.peer_task, pictures)))
    positives = float(tf.reduce_sum(labels["box_weights"]))
    assert positives > 10
    theirs = peer_step(images, labels)
    # They divide by one more than the number of positives; theirs has weight decay in.
    share = positives / (positives + 1)
    loss = float(mine["human/loss"]) * share
    decay = pair.config.optimization.weight_decay / 2
    kernels = [np.square(v).sum() for v in before if v.ndim == 4]
    total = loss + decay * sum(kernels)
    assert float(next(iter(theirs.values()))) == pytest.approx(total, rel=2e-3)


@pytest.mark.slow
def test_both_sides_see_the_same_boxes_and_have_candidates(pair, pictures):
    twins.give_candidates(pair, tf.constant(pictures.pixels))
    mine = predictions.ours(pair.task, pair.model, pictures.pixels)()
    assert (mine.weights == 1).all()  # As many as may be: there is work to do.
    for nms in ("v2", "batched"):
        model = predictions.with_suppression(pair.peer_task, pair.peer_model, nms)
        boxes, scores, classes, counts = predictions.peer(model, pictures.pixels)()
        np.testing.assert_array_equal(counts, [100, 100])
        np.testing.assert_allclose(scores, mine.scores, atol=1e-4)
        # Of equal scores, either order is right.
        same = (np.abs(boxes - mine.boxes_yxyx).max(-1) < 0.1).mean()
        assert same > 0.9
        assert (classes == mine.class_ids).mean() > 0.9
