"""What the pieces of the models promise."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.models import randomness
from st_keras.models.layers import (
    Bilinear,
    Dropout,
    Upsample,
    convolve,
    global_average,
    squeeze_excite,
)

SEED = (3, 5)


def seeded(layer, x, seed=SEED):
    with randomness.seeded(tf.constant(seed)):
        return layer(x, training=True).numpy()


def test_dropout_keeps_the_mean():
    # 6 * 50 * 70 * 8 draws: the share kept is within 5 standard deviations of 0.8.
    x = tf.ones([6, 50, 70, 8])
    y = seeded(Dropout(0.2), x)
    np.testing.assert_allclose(np.unique(y), [0.0, 1.25])
    assert abs((y > 0).mean() - 0.8) < 5 * np.sqrt(0.8 * 0.2 / y.size)


def test_dropout_per_example_keeps_or_drops_all_of_an_example():
    y = seeded(Dropout(0.25, per_example=True), tf.ones([400, 3, 5, 2]))
    kept = y.reshape(400, -1)
    np.testing.assert_array_equal(kept.min(1), kept.max(1))
    np.testing.assert_allclose(np.unique(kept), [0.0, 4 / 3], rtol=1e-6)
    assert abs((kept[:, 0] > 0).mean() - 0.75) < 5 * np.sqrt(0.75 * 0.25 / 400)


def test_what_is_dropped_follows_from_the_seed_and_the_name():
    x = tf.ones([1, 40, 60, 3])
    first = seeded(Dropout(0.5, name="a"), x)
    np.testing.assert_array_equal(first, seeded(Dropout(0.5, name="a"), x))
    assert (first != seeded(Dropout(0.5, name="b"), x)).mean() > 0.4
    assert (first != seeded(Dropout(0.5, name="a"), x, (3, 6))).mean() > 0.4


def test_without_a_seed_dropout_draws_anew():
    layer, x = Dropout(0.5), tf.ones([1, 40, 60, 3])
    assert np.any(layer(x, training=True) != layer(x, training=True))


def test_nothing_is_dropped_outside_of_training():
    x = tf.constant(np.random.default_rng(0).normal(size=[2, 3, 5, 4]), tf.float32)
    layer = Dropout(0.9)
    np.testing.assert_array_equal(layer(x, training=False), x)
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(Dropout(0.0)(x, training=True), x)


def test_dropout_comes_back_from_its_config():
    layer = Dropout(0.3, per_example=True, name="drop")
    again = Dropout.from_config(layer.get_config())
    assert (again.rate, again.per_example, again.name) == (0.3, True, "drop")


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_out_of_range_is_named(rate):
    with pytest.raises(ValueError, match=rf"`rate` must be in \[0, 1\), got {rate}"):
        Dropout(rate)


def test_bfloat16_draws_are_as_fine_as_float32_ones():
    # 1 of 1000 cannot be told from 0 by numbers that are 1/256 apart.
    layer = Dropout(0.001, dtype="bfloat16")
    x = tf.ones([1, 500, 700, 1], tf.bfloat16)
    dropped = (seeded(layer, x).astype(np.float32) == 0).mean()
    assert 0.0005 < dropped < 0.0015


def center_taps(padding):
    """Returns which input pixel each output of a strided 3x3 convolution sits on."""
    image = tf.keras.layers.Input([8, 12, 1])
    x = convolve(image, 1, 3, stride=2, padding=padding, name="unit_conv")
    model = tf.keras.Model(image, x)
    kernel = np.zeros([3, 3, 1, 1], np.float32)
    kernel[1, 1] = 1.0
    model.get_layer("unit_conv").set_weights([kernel])
    pixels = np.arange(96, dtype=np.float32).reshape(1, 8, 12, 1)
    return model(pixels)[0, :, :, 0].numpy()


def test_symmetric_padding_sits_on_even_pixels_and_same_on_odd_ones():
    rows, columns = np.arange(0, 8, 2)[:, None], np.arange(0, 12, 2)
    np.testing.assert_array_equal(center_taps("symmetric"), rows * 12 + columns)
    np.testing.assert_array_equal(center_taps("same"), (rows + 1) * 12 + columns + 1)


def test_squeeze_and_excitation_scales_channels_by_their_means():
    image = tf.keras.layers.Input([2, 3, 4])
    model = tf.keras.Model(image, squeeze_excite(image, 0, "relu", "se"))
    # One squeezed channel even where none was asked for: mean of channel 2, doubled.
    reduce, expand = model.get_layer("se_reduce"), model.get_layer("se_expand")
    reduce.set_weights([np.float32([[[[0], [0], [2], [0]]]]), np.float32([0.5])])
    expand.set_weights([np.float32([[[[0, 1, 0, -1]]]]), np.float32([0, 0, 3, 0])])
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4) / 10
    squeezed = 2 * x[..., 2].mean() + 0.5
    scale = 1 / (1 + np.exp(-np.float32([0, squeezed, 3, -squeezed])))
    np.testing.assert_allclose(model(x), x * scale, rtol=1e-5)


def test_upsampling_repeats_cells_and_sums_their_gradients():
    x = tf.constant(np.arange(12, dtype=np.float32).reshape(1, 2, 3, 2))
    layer = Upsample((2, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        total = tf.reduce_sum(y * tf.range(y.shape[2], dtype=tf.float32)[:, None])
    np.testing.assert_array_equal(y, x.numpy().repeat(2, 1).repeat(3, 2))
    # Columns 0+1+2, 3+4+5 and 6+7+8, each in two rows.
    expected = np.broadcast_to(np.float32([6, 24, 42])[:, None], [2, 3, 2])
    np.testing.assert_array_equal(tape.gradient(total, x)[0], expected)
    assert Upsample.from_config(layer.get_config()).size == (2, 3)


def test_old_resizing_puts_a_cell_on_the_first_of_its_pixels():
    # Today's puts 0 and 8 on the middles, which gives 0, 2, 6, 8 and so on.
    x = np.float32([[0, 8], [100, 116]]).reshape([1, 2, 2, 1])
    assert Bilinear(2, legacy=True)(x).numpy().squeeze().tolist() == [
        [0, 4, 8, 8],
        [50, 56, 62, 62],
        [100, 108, 116, 116],
        [100, 108, 116, 116],
    ]
    assert Bilinear((1, 2))(x).numpy().squeeze().tolist() == [
        [0, 2, 6, 8],
        [100, 104, 112, 116],
    ]


def test_resizing_is_float32_where_the_model_computes_in_bfloat16():
    # bfloat16 has 8 bits: from 256 on, it counts in twos.
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = Bilinear(4, legacy=True)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    row = tf.reshape(tf.constant([257.0, 259.0]), [1, 1, 2, 1])
    enlarged = layer(row)
    assert enlarged.dtype == tf.float32
    # A quarter of the way for each new column; behind the last there is nothing.
    expected = [257, 257.5, 258, 258.5, 259, 259, 259, 259]
    assert enlarged.numpy()[0, 0, :, 0].tolist() == expected


@pytest.mark.parametrize("factor", [0, 0.5, 1.5, (2, 0)])
def test_only_whole_factors_resize(factor):
    with pytest.raises(ValueError, match=r"`factor` must be 1, 2, .* got "):
        Bilinear(factor)


def test_resizing_is_remade_from_its_settings():
    layer = Bilinear((2, 3), legacy=True, name="up")
    again = Bilinear.from_config(layer.get_config())
    assert (again.factor, again.legacy, again.name) == ((2, 3), True, "up")


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_large_map_is_averaged_right_in_short_floats(precision):
    # In bfloat16, a sum of ones stops at 256, as 257 has no number of its own.
    x = np.random.default_rng(0).uniform(0.5, 1.5, [2, 160, 128, 3]).astype(np.float32)
    tf.keras.mixed_precision.set_global_policy(precision)
    try:
        inputs = tf.keras.Input(x.shape[1:])
        pooled = global_average("pool")(inputs)
        gate = squeeze_excite(inputs, 2, activation="relu", name="gate")
        model = tf.keras.Model(inputs, {"pooled": pooled, "gate": gate})
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    found = model(x)
    np.testing.assert_allclose(found["pooled"], x.mean((1, 2)), rtol=2e-2)
    assert found["gate"].dtype == tf.as_dtype(precision.removeprefix("mixed_"))
