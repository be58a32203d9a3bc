"""What the operations on pixels promise: PIL's semantics, and the same in a window."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from st_keras.data.augment import pixels


def _images():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :40]
    smooth = np.stack([40 + 3 * y, 20 + 2 * x + y, 230 - 4 * x], axis=-1)
    narrow = rng.integers(90, 170, [23, 31, 3])
    narrow[..., 1] = 77  # A channel of one level.
    return {
        "noise": rng.integers(0, 256, [37, 53, 3]).astype(np.uint8),
        "smooth": np.clip(smooth, 0, 255).astype(np.uint8),
        "narrow": narrow.astype(np.uint8),
        "flat": np.full([9, 14, 3], (200, 17, 128), np.uint8),
        "pixel": np.array([[[3, 250, 99]]], np.uint8),
        "row": rng.integers(0, 256, [1, 7, 3]).astype(np.uint8),
        "tiny": rng.integers(0, 256, [2, 3, 3]).astype(np.uint8),
        "column": rng.integers(0, 256, [41, 2, 3]).astype(np.uint8),
    }


IMAGES = _images()
FACTORS = (0.1, 0.46, 0.64, 1.0, 1.36, 1.9)
PIL_ENHANCERS = {
    "Color": ImageEnhance.Color,
    "Contrast": ImageEnhance.Contrast,
    "Brightness": ImageEnhance.Brightness,
    "Sharpness": ImageEnhance.Sharpness,
}
# Arguments by operation, and how many levels PIL may differ by: 0 where it counts in
# whole numbers, else 1, since it drops fractions that are rounded here. It also rounds
# the brightness of every pixel before it takes their mean, which can end one level off
# and move a level by 0.9 more.
CASES = {
    "AutoContrast": ([0.0], 1),
    "Equalize": ([0.0], 0),
    "Invert": ([0.0], 0),
    "Posterize": ([1.0, 2.0, 3.0, 4.0, 8.0], 0),
    "Solarize": ([0.0, 1.0, 51.0, 128.0, 255.0, 256.0], 0),
    "SolarizeAdd": ([0.0, 22.0, 66.0, 110.0], 0),
    **{name: (FACTORS, 2 if name == "Contrast" else 1) for name in PIL_ENHANCERS},
}
PAIRS = [(name, argument) for name in CASES for argument in CASES[name][0]]
# 37 x 53 of 48 x 64; nothing of it lies at an edge of the canvas.
WINDOW = np.array([5, 8, 42, 61], np.int32)


def by_pil(name, image, argument):
    """What PIL, or where it has no such operation NumPy, makes of an image."""
    if name == "SolarizeAdd":
        added = np.minimum(image.astype(int) + int(argument), 255)
        return np.where(image < 128, added, image)
    picture = Image.fromarray(image)
    if name == "AutoContrast":
        return np.asarray(ImageOps.autocontrast(picture))
    if name == "Equalize":
        return np.asarray(ImageOps.equalize(picture))
    if name == "Invert":
        return np.asarray(ImageOps.invert(picture))
    if name == "Posterize":
        return np.asarray(ImageOps.posterize(picture, int(argument)))
    if name == "Solarize":
        return np.asarray(ImageOps.solarize(picture, int(argument)))
    return np.asarray(PIL_ENHANCERS[name](picture).enhance(argument))


def ours(name, image, argument, window=None, of=pixels.OPERATIONS):
    return of[name](tf.constant(image), tf.constant(argument), window).numpy()


def on_canvas(image, window, rng):
    """A canvas of 48 x 64 with an image in a window, and noise around it."""
    canvas = rng.integers(0, 256, [48, 64, 3]).astype(np.uint8)
    y0, x0, y1, x1 = window
    canvas[y0:y1, x0:x1] = image
    return canvas


@functools.cache
def compiled(name):
    """One operation on a 48 x 64 canvas, compiled with XLA for any argument."""
    known = pixels.OPERATIONS | {"contrast_of_authors": pixels.contrast_of_authors}
    return tf.function(
        lambda canvas, argument, window: known[name](canvas, argument, window),
        input_signature=[
            tf.TensorSpec([48, 64, 3], tf.uint8),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([4], tf.int32),
        ],
        jit_compile=True,
    )


def assert_near(found, expected, levels):
    assert found.shape == expected.shape and found.dtype == np.uint8
    worst = np.abs(found.astype(int) - np.asarray(expected).astype(int)).max()
    assert worst <= levels, f"{worst} levels apart"


def test_every_operation_is_compared():
    assert set(CASES) == set(pixels.OPERATIONS) == set(pixels.AUTHORS_OPERATIONS)


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("name", CASES)
def test_an_operation_does_what_pil_does(name, kind):
    arguments, levels = CASES[name]
    for argument in arguments:
        found = ours(name, IMAGES[kind], argument)
        assert_near(found, by_pil(name, IMAGES[kind], argument), levels)


@pytest.mark.parametrize("name, argument", PAIRS)
def test_an_operation_changes_a_noisy_image_unless_its_argument_says_nothing(
    name, argument
):
    says_nothing = (name, argument) in {
        *(("Posterize", 8.0), ("Solarize", 256.0), ("SolarizeAdd", 0.0)),
        *((enhancer, 1.0) for enhancer in PIL_ENHANCERS),
    }
    image = IMAGES["narrow" if name == "AutoContrast" else "noise"]
    found = ours(name, image, argument)
    assert np.array_equal(found, image) == says_nothing


@pytest.mark.parametrize("kind", ["flat", "pixel", "row", "tiny"])
def test_equalize_leaves_an_image_of_less_than_a_pixel_per_level_as_it_is(kind):
    np.testing.assert_array_equal(ours("Equalize", IMAGES[kind], 0.0), IMAGES[kind])


@pytest.mark.parametrize("pixels_per_level", [1, 2, 7])
def test_equalize_handles_levels_above_255_of_its_table_as_pil_does(pixels_per_level):
    # 255 * n + 200 pixels: n per level, and a rest that a table would put above 255.
    count = 255 * pixels_per_level + 200
    values = np.random.default_rng(pixels_per_level).integers(0, 256, [1, count, 3])
    image = values.astype(np.uint8)
    assert_near(ours("Equalize", image, 0.0), by_pil("Equalize", image, 0.0), 0)


@pytest.mark.parametrize("size", [(16, 10), (37, 53), (200, 300), (300, 400)])
def test_contrast_of_authors_fades_to_pixels_over_256_white_at_most(size):
    image = np.random.default_rng(1).integers(0, 256, [*size, 3]).astype(np.uint8)
    # 160 / 256 = 0.6; 1961 / 256 = 7.7; 60000 / 256 = 234.4; 120000 / 256 is white.
    grey = min(size[0] * size[1] / 256, 255)
    for factor in (0.1, 0.64, 1.9):
        expected = np.clip(grey + factor * (image.astype(float) - grey), 0, 255)
        found = ours("Contrast", image, factor, of=pixels.AUTHORS_OPERATIONS)
        assert_near(found, np.floor(expected + 0.5), 1)


def test_only_contrast_is_another_for_the_authors():
    differ = {
        name
        for name, operation in pixels.AUTHORS_OPERATIONS.items()
        if operation is not pixels.OPERATIONS[name]
    }
    assert differ == {"Contrast"}


@pytest.mark.parametrize("name", [*CASES, "contrast_of_authors"])
@pytest.mark.parametrize("is_compiled", [False, True], ids=["eager", "xla"])
def test_in_a_window_of_a_canvas_an_image_becomes_what_it_becomes_alone(
    name, is_compiled
):
    known = pixels.OPERATIONS | {"contrast_of_authors": pixels.contrast_of_authors}
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:37, :53]
    smooth = np.stack([60 + 2 * y, 30 + 3 * x, 200 - y - x], axis=-1).astype(np.uint8)
    y0, x0, y1, x1 = WINDOW
    for image in (IMAGES["noise"], smooth):
        canvas = on_canvas(image, WINDOW, rng)
        for argument in CASES.get(name, (FACTORS, 1))[0]:
            do = compiled(name) if is_compiled else known[name]
            changed = do(
                tf.constant(canvas), tf.constant(argument), tf.constant(WINDOW)
            ).numpy()
            alone = known[name](tf.constant(image), tf.constant(argument)).numpy()
            assert changed.shape == canvas.shape
            assert_near(changed[y0:y1, x0:x1], alone, 1)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (48, 1)])
def test_a_window_may_be_a_pixel_or_a_line(name, size):
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, [*size, 3]).astype(np.uint8)
    window = np.array([0, 9, size[0], 9 + size[1]], np.int32)
    canvas = on_canvas(image, window, rng)
    argument = CASES[name][0][-1]
    changed = compiled(name)(
        tf.constant(canvas), tf.constant(argument), tf.constant(window)
    ).numpy()
    alone = ours(name, image, argument)
    assert_near(changed[: size[0], 9 : 9 + size[1]], alone, 1)


@pytest.mark.parametrize("name", CASES)
def test_an_image_may_have_a_size_nobody_knows_while_tracing(name):
    argument, levels = CASES[name][0][0], CASES[name][1]
    change = tf.function(
        lambda image: pixels.OPERATIONS[name](image, tf.constant(argument)),
        input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)],
    )
    for kind in ("noise", "row", "smooth"):
        found = change(tf.constant(IMAGES[kind])).numpy()
        assert_near(found, by_pil(name, IMAGES[kind], argument), levels)


@pytest.mark.parametrize("y, x", [(1, 4), (4, 1), (0, 0)])
def test_a_window_covers_from_its_low_side_to_before_its_high_side(y, x):
    inside = pixels.inside_window(tf.zeros([5, 6, 3]), tf.constant([1, 2, 4, 5]))
    expected = np.zeros([5, 6, 1], bool)
    expected[1:4, 2:5] = True
    np.testing.assert_array_equal(inside, expected)
    assert bool(inside[y, x, 0]) == ((y, x) == (1, 4))


# Operations of the library that are right; its contrast is that of the authors.
PEERS = {
    "AutoContrast": ("autocontrast", ()),
    "Equalize": ("equalize", ()),
    "Invert": ("invert", ()),
    "Posterize": ("posterize", (1, 2, 4)),
    "Solarize": ("solarize", (51, 128, 255)),
    "SolarizeAdd": ("solarize_add", (22, 110)),
    "Color": ("color", (0.1, 0.64, 1.9)),
    "Contrast": ("contrast", (0.1, 0.64, 1.9)),
    "Brightness": ("brightness", (0.1, 0.64, 1.9)),
    "Sharpness": ("sharpness", (0.1, 0.64, 1.9)),
}


@pytest.mark.parametrize("name", PEERS)
def test_tf_models_official_agrees(name):
    peer = pytest.importorskip("official.vision.ops.augment")
    function, arguments = PEERS[name]
    for kind in ("noise", "smooth"):
        for argument in arguments or (None,):
            settings = () if argument is None else (argument,)
            expected = getattr(peer, function)(tf.constant(IMAGES[kind]), *settings)
            found = ours(
                name, IMAGES[kind], float(argument or 0), of=pixels.AUTHORS_OPERATIONS
            )
            # It drops fractions twice: of the blend, and of what it blends with, where
            # a level counts 0.9 times.
            levels = 2 if name in ("Color", "Sharpness") else 1
            assert_near(found, expected.numpy(), levels)
