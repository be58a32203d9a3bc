"""What the loss of a segmenter promises."""

import math

import numpy as np
import pytest
import tensorflow as tf

from st_keras.losses.segmentation import pixel_loss
from st_keras.types import IGNORED

FORMS = ("labels", "logits")


def example(seed=0, batch=2, cells=(3, 5), num_classes=4, ignored=0.2):
    """Logits of cells of 4 x 4 pixels, and labels of the pixels."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=[batch, *cells, num_classes]).astype(np.float32) * 2
    shape = [batch, cells[0] * 4, cells[1] * 4]
    ids = random.integers(0, num_classes, shape)
    ids = np.where(random.random(shape) < ignored, IGNORED, ids).astype(np.uint8)
    return tf.constant(logits), tf.constant(ids)


def mean(ratio):
    return float(ratio.total / ratio.count)


def theirs(logits, ids, *, at="labels", **settings):
    """The mean of tf-models-official."""
    from official.vision.losses.segmentation_losses import SegmentationLoss

    loss = SegmentationLoss(
        settings.get("label_smoothing", 0.0),
        list(settings.get("class_weights", [])),
        IGNORED,
        use_groundtruth_dimension=at == "labels",
        top_k_percent_pixels=settings.get("top_share", 1.0),
    )
    return float(loss(logits, tf.cast(ids, tf.float32)[..., None]))


def test_undecided_pixels_lose_the_logarithm_of_the_classes():
    ids = tf.constant([[[0, 1, 2, IGNORED]]], tf.uint8)
    loss = pixel_loss(tf.zeros([1, 1, 4, 3]), ids)
    np.testing.assert_allclose(loss.total, 3 * math.log(3), rtol=1e-6)
    assert loss.count == 3


def test_a_pixel_by_pencil():
    # Logits log 6, log 3, log 1: probabilities 0.6, 0.3, 0.1.
    logits = tf.math.log(tf.constant([[[[6.0, 3.0, 1.0]]]]))
    ids = tf.constant([[[1]]], tf.uint8)
    np.testing.assert_allclose(pixel_loss(logits, ids).total, -math.log(0.3), rtol=1e-6)
    # Smoothed by 0.3: 0.1, 0.8, 0.1.
    smooth = -(0.1 * math.log(0.6) + 0.8 * math.log(0.3) + 0.1 * math.log(0.1))
    found = pixel_loss(logits, ids, label_smoothing=0.3).total
    np.testing.assert_allclose(found, smooth, rtol=1e-6)
    found = pixel_loss(logits, ids, class_weights=(1.0, 2.5, 7.0))
    np.testing.assert_allclose(found.total, -2.5 * math.log(0.3), rtol=1e-6)
    assert found.count == 1


@pytest.mark.parametrize("at", FORMS)
def test_a_pixel_counts_as_much_as_it_is_sure(at):
    logits, ids = example()
    alone = mean(pixel_loss(logits, ids, at=at))
    sure = tf.fill(ids.shape, tf.constant(255, tf.uint8))
    assert mean(pixel_loss(logits, ids, sure, at=at)) == alone
    # One image of the two at a fifth.
    unsure = tf.concat([sure[:1], sure[1:] // 5], axis=0)
    found = pixel_loss(logits, ids, unsure, at=at)
    parts = [pixel_loss(logits[i : i + 1], ids[i : i + 1], at=at) for i in (0, 1)]
    expected = parts[0].total + 0.2 * parts[1].total
    np.testing.assert_allclose(found.total, expected, rtol=1e-5)
    assert found.count == parts[0].count + parts[1].count


@pytest.mark.parametrize("at", FORMS)
@pytest.mark.parametrize(
    "settings",
    [{}, {"label_smoothing": 0.2}, {"class_weights": (0.5, 2.0, 0.0, 1.0)}],
)
def test_it_is_the_loss_of_tf_models_official(at, settings):
    logits, ids = example()
    ours = mean(pixel_loss(logits, ids, at=at, **settings))
    np.testing.assert_allclose(ours, theirs(logits, ids, at=at, **settings), rtol=1e-5)


def test_the_hardest_pixels_are_theirs_for_one_image_whose_every_pixel_is_known():
    logits, ids = example(batch=1, ignored=0.0)
    settings = {"top_share": 0.25}  # 60 of 240 pixels.
    ours = pixel_loss(logits, ids, **settings)
    assert ours.count == 60
    np.testing.assert_allclose(mean(ours), theirs(logits, ids, **settings), rtol=1e-5)


def test_the_hardest_pixels_are_a_share_of_the_known_ones():
    """Theirs are a share of all: with a fifth ignored, that is another number."""
    logits, ids = example(batch=1)
    known = int(np.sum(ids != IGNORED))
    assert pixel_loss(logits, ids, top_share=0.25).count == math.ceil(known / 4)
    settings = {"top_share": 0.25}
    ours = mean(pixel_loss(logits, ids, **settings))
    assert abs(ours - theirs(logits, ids, **settings)) > 1e-3


@pytest.mark.parametrize("top_share", [1.0, 0.3])
def test_an_image_has_the_loss_it_has_alone(top_share):
    """So it does not matter on which replica it is."""
    logits, ids = example(batch=3)
    together = pixel_loss(logits, ids, top_share=top_share)
    alone = [
        pixel_loss(logits[i : i + 1], ids[i : i + 1], top_share=top_share)
        for i in range(3)
    ]
    np.testing.assert_allclose(together.total, sum(r.total for r in alone), rtol=1e-5)
    assert together.count == sum(r.count for r in alone)


def test_a_share_of_the_hardest_pixels_is_rounded_up():
    logits = tf.reshape(tf.range(10.0), [1, 1, 10, 1]) * tf.constant([0.0, 1.0])
    ids = tf.zeros([1, 1, 10], tf.uint8)
    found = pixel_loss(logits, ids, top_share=0.3)
    # The last three: softplus of 7, 8 and 9.
    assert found.count == 3
    expected = sum(math.log1p(math.exp(x)) for x in (7, 8, 9))
    np.testing.assert_allclose(found.total, expected, rtol=1e-5)
    assert pixel_loss(logits, ids, top_share=0.31).count == 4


def test_losses_of_zero_count_for_no_more_than_the_share():
    """A sure model has many of them; the mean must not sink with their number."""
    sure, wrong = [40.0, 0.0], [0.0, 3.0]
    logits = tf.constant([[[wrong, sure, sure, sure, sure, sure, sure, sure]]])
    ids = tf.zeros([1, 1, 8], tf.uint8)
    found = pixel_loss(logits, ids, top_share=0.5)
    np.testing.assert_allclose(found.total, math.log1p(math.exp(3)), rtol=1e-6)
    np.testing.assert_allclose(found.count, 4, rtol=1e-6)
    np.testing.assert_allclose(
        mean(found), theirs(logits, ids, top_share=0.5), rtol=1e-5
    )


def test_pixels_that_are_equally_hard_share_what_is_left():
    logits = tf.zeros([1, 1, 8, 3])
    ids = tf.constant([[[1, 1, 1, IGNORED, 1, 1, 1, 1]]], tf.uint8)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = pixel_loss(logits, ids, top_share=0.25)
    # Two of seven, so each counts 2/7; the gradient is p - 1 at the true class.
    np.testing.assert_allclose(found.total, 2 * math.log(3), rtol=1e-6)
    gradient = tape.gradient(found.total, logits)[0, 0, :, 1]
    one = -2 / 3 * 2 / 7
    np.testing.assert_allclose(
        gradient, [one, one, one, 0, one, one, one, one], rtol=1e-5
    )


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("top_share", [1.0, 0.25])
def test_what_is_not_a_number_is_seen(top_share, xla):
    logits, ids = example(ignored=0.0)
    broken = np.array(logits)
    broken[1, 2, 3, 0] = np.nan

    def total(logits):
        return pixel_loss(logits, ids, top_share=top_share).total

    assert np.isnan(tf.function(total, jit_compile=xla)(tf.constant(broken)))


@pytest.mark.parametrize("at", FORMS)
def test_logits_may_be_huge(at):
    logits, ids = example()
    logits *= 1e30
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = pixel_loss(logits, ids, at=at, label_smoothing=0.1, top_share=0.5).total
    assert np.isfinite(loss) and np.all(np.isfinite(tape.gradient(loss, logits)))


@pytest.mark.parametrize("top_share", [1.0, 0.5])
@pytest.mark.parametrize("at", FORMS)
def test_an_image_without_a_label_has_no_loss_and_no_gradient(at, top_share):
    logits, ids = example()
    logits = logits * 1e4
    ids = tf.concat([ids[:1], tf.fill(ids[1:].shape, tf.constant(255, tf.uint8))], 0)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = pixel_loss(
            logits, ids, at=at, top_share=top_share, label_smoothing=0.1
        ).total
    gradient = tape.gradient(loss, logits)
    assert np.isfinite(loss) and np.all(np.isfinite(gradient))
    assert np.any(gradient[0]) and not np.any(gradient[1])
    empty = pixel_loss(logits[1:], ids[1:], at=at, top_share=top_share)
    assert empty.total == 0.0 and empty.count == 0.0


def test_its_mean_is_a_loss_for_keras():
    logits, ids = example()
    inputs = tf.keras.layers.Input(logits.shape[1:])
    model = tf.keras.Model(inputs, tf.keras.layers.Activation("linear")(inputs))
    model.compile(loss=lambda labels, logits: pixel_loss(logits, labels).mean())
    expected = mean(pixel_loss(logits, ids))
    np.testing.assert_allclose(model.test_on_batch(logits, ids), expected, rtol=1e-6)
    nothing = tf.fill(ids.shape, tf.constant(IGNORED, tf.uint8))
    assert model.test_on_batch(logits, nothing) == 0.0


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("at", FORMS)
def test_it_compiles_with_xla_to_the_same(at, legacy):
    logits, ids = example()

    def value_and_gradient(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = pixel_loss(
                logits,
                ids,
                at=at,
                legacy=legacy,
                label_smoothing=0.1,
                class_weights=(1.0, 2.0, 0.5, 1.0),
                top_share=0.4,
            )
        return *loss, tape.gradient(loss.total, logits)

    eager = value_and_gradient(logits)
    compiled = tf.function(value_and_gradient, jit_compile=True)(logits)
    for one, other in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_the_authors_alignment_is_another_loss():
    logits, ids = example()
    values = {
        (at, legacy): mean(pixel_loss(logits, ids, at=at, legacy=legacy))
        for at in FORMS
        for legacy in (False, True)
    }
    assert len({round(value, 4) for value in values.values()}) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top_share": 0}, r"`top_share` must be in \(0, 1\], got 0"),
        ({"top_share": 25}, r"`top_share` must be in \(0, 1\], got 25"),
        ({"label_smoothing": 1.5}, r"`label_smoothing` must be in \[0, 1\], got 1.5"),
        ({"class_weights": (1.0,) * 5}, "`class_weights` must be 3 numbers, .* got 5"),
        ({"class_weights": (1.0,)}, "`class_weights` must be 3 numbers, .* got 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    labels = tf.zeros([1, 4, 8], tf.uint8)
    with pytest.raises(ValueError, match=message):
        pixel_loss(tf.zeros([1, 2, 4, 3]), labels, **settings)


def test_a_place_that_there_is_not_is_named():
    labels = tf.zeros([1, 4, 4], tf.uint8)
    with pytest.raises(ValueError, match="`at` must be labels or logits, got 'label'"):
        pixel_loss(tf.zeros([1, 2, 2, 3]), labels, at="label")


def test_confidences_in_shares_are_refused():
    """0.4 would count as 0.4 / 255."""
    ids = tf.zeros([1, 4, 8], tf.uint8)
    with pytest.raises(ValueError, match="`confidences` must be uint8, got float32"):
        pixel_loss(tf.zeros([1, 2, 4, 3]), ids, tf.fill([1, 4, 8], 0.4))
