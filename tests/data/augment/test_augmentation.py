"""What a policy promises: boxes, label maps and pixels stay together."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from st_keras.data.augment import operations
from st_keras.data.augment.operations import Menu, Step
from st_keras.types import Boxes, LabelMap
from tests.data.augment.augmentations import (
    STRAIGHT,
    TARGET,
    augmentation_of,
    certain,
    draws,
    labels_of,
    show,
)

SIZE = (60, 100)  # Fits the target at 0.96.
BOX = (12, 55, 31, 93)  # 19 high, 38 wide, right of the middle.
PIXEL = (20, 33, 21, 34)
PICTURES = {
    "none": (),
    "one": (BOX,),
    "pixel": (PIXEL,),
    "many": (BOX, PIXEL, (40, 2, 58, 30), (0, 40, 10, 52)),
}
# To trace a policy takes seconds; these have every operation there is for a picture.
ALL = [
    *("S1", "S3", "S4", "autoaugment_v2"),
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("S2", "autoaugment_v1", "autoaugment_v3")
    ),
]


def without_color(menu):
    """The rows of a menu with nothing left that would hide a box."""
    stay = (*operations.MOVES, *operations.CUTS)
    rows = tuple(
        tuple(step for step in row if operations.plain_name(step.operation) in stay)
        for row in menu.rows
    )
    return Menu(rows=rows, draws=menu.draws, translate_px=menu.translate_px)


def filled(*boxes, size=SIZE):
    """A black picture with white boxes, and its label map: 3 for the first, and on."""
    label_map = np.zeros(size, np.uint8)
    for class_id, (y0, x0, y1, x1) in enumerate(boxes, 3):
        label_map[y0:y1, x0:x1] = class_id
    image = np.where(label_map > 0, 255, 0).astype(np.uint8)
    return np.repeat(image[..., None], 3, axis=2), label_map


def trace(augmentation):
    """A graph for pictures of any size; faster where there are many."""
    return tf.function(
        functools.partial(show, augmentation),
        input_signature=[
            tf.TensorSpec([None, None, 3], tf.uint8),
            tf.TensorSpec([None, None], tf.uint8),
            Boxes(
                *(
                    tf.TensorSpec([None, *field.shape[1:]], field.dtype)
                    for field in labels_of()
                )
            ),
            tf.TensorSpec([2], tf.int32),
        ],
    )


@functools.cache
def shown(policy):
    """Sixty draws of a policy for each of `PICTURES`, by name."""
    augmentation = augmentation_of(policy)
    traced = trace(augmentation)
    return {
        name: list(
            draws(augmentation, 60, *filled(*boxes), labels_of(*boxes), traced=traced)
        )
        for name, boxes in PICTURES.items()
    }


def around(is_seen):
    """The smallest box around pixels."""
    seen = np.argwhere(is_seen)
    return np.concatenate([seen.min(axis=0), seen.max(axis=0) + 1])


def iou(first, second):
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    both = np.prod(np.maximum(high - low, 0))
    areas = sum(np.prod(box[2:] - box[:2]) for box in (first, second))
    return both / (areas - both)


def assert_box_follows(is_seen, boxes, tolerance_px):
    """Checks the one box of a picture against its pixels; returns whether there is one.

    A pixel counts where its centre is in the box, so a turned corner reaches beyond
    the last one; by how much is the tolerance. Where the edge of the input cuts a side
    at a flat angle, what is left can be a needle with no pixel at all; there, the box
    must hold all pixels, and not much more if they are many.
    """
    assert len(boxes) <= 1
    if not is_seen.any():
        if len(boxes):
            assert np.min(boxes[0, 2:] - boxes[0, :2]) < 1.5, boxes
        return False
    assert len(boxes) == 1
    (box,), seen = boxes, around(is_seen)
    assert np.all(box[:2] <= seen[:2] + 1) and np.all(box[2:] >= seen[2:] - 1)
    if np.min(seen[2:] - seen[:2]) >= 8:
        assert iou(box, seen) > 0.75
    is_whole = np.all(box[:2] > 0.0) and np.all(box[2:] < TARGET)
    if is_whole:
        np.testing.assert_allclose(box, seen, atol=tolerance_px)
    return is_whole


def test_a_box_follows_its_pixels_through_every_move_of_every_magnitude():
    # One operation for each picture.
    menu = Menu(
        rows=tuple(
            (Step(f"{name}_BBox", 1.0, magnitude),)
            for name in operations.MOVES
            for magnitude in (2, 6, 10)
        )
    )
    augmentation = augmentation_of("S3", menu=menu)
    compared = {}
    for image, label_map, labels, changes in draws(
        augmentation, 600, *filled(BOX), labels_of(BOX), traced=trace(augmentation)
    ):
        # The box alone is brighter than the grey outside.
        found = assert_box_follows(image[..., 0] > 191, labels.boxes_yxyx, 1.6)
        assert_box_follows(label_map == 3, labels.boxes_yxyx, 1.6)
        if found:
            assert labels.class_ids.tolist() == [3]
            what = (changes.operations[0], round(float(abs(changes.arguments[0])), 4))
            compared[what] = compared.get(what, 0) + 1
    assert len(compared) == 15 and min(compared.values()) >= 5, compared


@pytest.mark.parametrize("policy", ALL)
def test_a_box_follows_its_pixels_through_a_policy(policy):
    # Colours can hide a box in the picture, but not in the label map.
    compared = 0
    for _, label_map, labels, changes in shown(policy)["one"]:
        if np.any(changes.cuts_yxyx[:, 2] > 0):
            # A cut hides pixels, but the box goes on behind it.
            assert_holds(labels.boxes_yxyx, label_map == 3)
        else:
            # Two shears make a sharper corner than one.
            compared += assert_box_follows(label_map == 3, labels.boxes_yxyx, 2.5)
    assert compared >= 8


def assert_holds(boxes, is_seen):
    if is_seen.any():
        (box,), seen = boxes, around(is_seen)
        assert np.all(box[:2] <= seen[:2] + 1) and np.all(box[2:] >= seen[2:] - 1)


@pytest.mark.parametrize("policy", ALL)
def test_a_picture_may_have_no_boxes(policy):
    for image, _, labels, _ in shown(policy)["none"]:
        assert image.shape == (*TARGET, 3)
        assert labels.boxes_yxyx.shape == (0, 4) and labels.class_ids.shape == (0,)


@pytest.mark.parametrize("policy", ALL)
def test_a_box_may_be_one_pixel(policy):
    kept = 0
    for _, label_map, labels, _ in shown(policy)["pixel"]:
        is_seen = label_map == 3
        assert len(labels.boxes_yxyx) == 1 or not is_seen.any()
        for box in labels.boxes_yxyx:
            # At most 1.92 times as large; turned and sheared, 1.6 times that.
            assert np.all(box[2:] > box[:2]) and np.all(box[2:] - box[:2] < 1.92 * 1.6)
            assert np.all(box >= 0) and np.all(box <= [*TARGET, *TARGET])
            if is_seen.any():
                np.testing.assert_allclose(box, around(is_seen), atol=1.6)
            kept += 1
    assert kept > 15


@pytest.mark.parametrize("policy", ALL)
def test_every_box_keeps_its_own_row(policy):
    compared = 0
    for _, label_map, labels, changes in shown(policy)["many"]:
        found = dict(zip(labels.class_ids.tolist(), labels.boxes_yxyx, strict=True))
        assert list(found) == sorted(found)
        for class_id in set(np.unique(label_map)) - {0, 255}:
            seen = around(label_map == class_id)
            assert_holds([found[class_id]], label_map == class_id)
            is_whole = np.all(seen[:2] > 1) and np.all(seen[2:] < np.array(TARGET) - 1)
            if is_whole and not changes.cuts_yxyx.any():
                np.testing.assert_allclose(found[class_id], seen, atol=2.5)
                compared += 1
    assert compared > 30


def neighbours_agree(label_map):
    """Where a pixel and the eight around it have the same label."""
    agrees = np.zeros(label_map.shape, bool)
    middle = label_map[1:-1, 1:-1]
    agrees[1:-1, 1:-1] = np.all(
        [
            label_map[1 + dy : dy - 1 or None, 1 + dx : dx - 1 or None] == middle
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
        ],
        axis=0,
    )
    return agrees


@pytest.mark.parametrize("policy", ["S1", "S4", "autoaugment_v2"])
def test_the_label_map_says_what_is_seen_in_the_picture(policy):
    colors = np.array([10, 60, 200, 250], np.uint8)
    label_map = np.zeros(SIZE, np.uint8)
    label_map[8:40, 5:60], label_map[30:55, 40:95], label_map[:, 70:80] = 1, 2, 3
    image = np.repeat(colors[label_map][..., None], 3, axis=2)
    menu = without_color(augmentation_of(policy).menu)
    augmentation = augmentation_of(policy, menu=menu, scale_min=0.5, scale_max=2.0)
    compared = 0
    for image_shown, label_map_shown, _, _ in draws(
        augmentation, 60, image, label_map, labels_of(BOX), traced=trace(augmentation)
    ):
        clear = neighbours_agree(label_map_shown)
        is_filled = label_map_shown == 255
        # Outside of the picture and where it is painted over, both say so.
        assert np.all(image_shown[clear & is_filled] == 128)
        known = clear & ~is_filled
        expected = colors[label_map_shown[known]]
        # The corner of a region can lie between the pixels a label map is read from.
        assert np.mean(image_shown[known][:, 0] != expected) < 0.002
        compared += known.sum()
    assert compared > 60 * 500


@pytest.mark.parametrize("name, magnitude", [("Cutout", 2), ("Cutout", 10)])
def test_what_is_cut_is_grey_and_not_to_be_learned(name, magnitude):
    image, label_map = filled(BOX)
    image = np.clip(image, 0, 250)
    menu = Menu(rows=((Step(name, 1.0, magnitude),),), cutout_px=120.0)
    augmentation = augmentation_of("S1", menu=menu, target_size_px=SIZE, **STRAIGHT)
    for image_shown, label_map_shown, _, changes in draws(
        augmentation, 20, image, label_map, labels_of(BOX)
    ):
        y0, x0, y1, x1 = changes.cuts_yxyx[0].astype(int)
        is_cut = np.zeros(SIZE, bool)
        is_cut[y0:y1, x0:x1] = True
        assert is_cut.any()
        expected = np.where(is_cut[..., None], 128, image)
        np.testing.assert_array_equal(image_shown, expected)
        np.testing.assert_array_equal(label_map_shown, np.where(is_cut, 255, label_map))


@pytest.mark.parametrize(
    "min_visible_share, class_ids",
    [(0.0, [4, 5, 6]), (0.25, [4, 5, 6]), (0.3, [5, 6]), (0.51, [6])],
)
def test_a_box_that_is_painted_over_is_dropped(min_visible_share, class_ids):
    # Of 20 x 30 px each, there are hidden: all, 15 rows, 15 columns, nothing.
    boxes = ((10, 60, 30, 90), (10, 20, 30, 50), (40, 60, 60, 90), (35, 0, 55, 30))
    hidden = ((8, 58, 31, 92), (9, 10, 25, 55), (35, 75, 60, 100), (0, 0, 0, 0))
    augmentation = augmentation_of(
        "S1",
        menu=Menu(rows=((Step("Cutout", 1.0, 2),) * 4,)),
        target_size_px=SIZE,
        min_visible_share=min_visible_share,
        **STRAIGHT,
    )
    image, label_map = filled(*boxes)
    labels = labels_of(*boxes)
    changes = augmentation.sample(
        tf.constant(SIZE), labels.boxes_yxyx, tf.constant([1, 2])
    )
    changes = changes._replace(cuts_yxyx=tf.constant(hidden, tf.float32))
    image_shown = augmentation.apply(tf.constant(image), changes).numpy()
    shown = augmentation.apply_to_label_map(certain(tf.constant(label_map)), changes)
    label_map_shown = shown.class_ids.numpy()
    assert np.all(image_shown[10:30, 60:90] == 128)
    assert np.all(label_map_shown[10:30, 60:90] == 255)
    kept = augmentation.apply_to_boxes(labels, changes)
    assert kept.class_ids.numpy().tolist() == class_ids
    np.testing.assert_array_equal(
        kept.boxes_yxyx, np.array(boxes)[np.array(class_ids) - 3]
    )


@pytest.mark.parametrize("policy", ["spinenet", "autoaugment_v1"])
def test_every_shape_is_static_for_pictures_of_any_size(policy):
    augmentation = augmentation_of(policy, color_strength=0.2)
    sizes = [(32, 40), (1, 1), (1, 333), (600, 2), (64, 96), (1000, 1300), (4000, 32)]

    def pictures():
        for height, width in sizes:
            yield np.full([height, width, 3], 77, np.uint8)

    def prepare(image):
        size = tf.shape(image)[:2]
        box = tf.cast(tf.concat([size // 4, size // 2 + 1], 0), tf.float32)
        changes = augmentation.sample(size, box[None], tf.constant([1, 2]))
        canvas, left = augmentation.to_canvas(image, changes, 5)
        return augmentation.apply(image, changes), canvas, left

    dataset = tf.data.Dataset.from_generator(
        pictures, output_signature=tf.TensorSpec([None, None, 3], tf.uint8)
    ).map(prepare)
    image, canvas, left = dataset.element_spec
    assert image.shape == canvas.shape == [*TARGET, 3]
    assert image.dtype == canvas.dtype == tf.uint8
    assert all(spec.shape.is_fully_defined() for spec in tf.nest.flatten(left))
    assert len(list(dataset.batch(len(sizes), drop_remainder=True))) == 1


def test_a_picture_of_floats_is_refused():
    augmentation = augmentation_of("S1", target_size_px=SIZE, **STRAIGHT)
    changes = augmentation.sample(
        tf.constant(SIZE), tf.zeros([0, 4]), tf.constant([1, 2])
    )
    picture = tf.fill([*SIZE, 3], 0.7)
    with pytest.raises(ValueError, match="`image` must be uint8, got float32"):
        augmentation.apply(picture, changes)
    with pytest.raises(ValueError, match="`image` must be uint8, got float32"):
        augmentation.to_canvas(picture, changes, 0)
    with pytest.raises(ValueError, match=r"3 channels, .* got shape \(60, 100, 1\)"):
        augmentation.apply(tf.cast(picture[..., :1], tf.uint8), changes)


def test_confidences_in_shares_are_refused():
    augmentation = augmentation_of("S1", target_size_px=SIZE, **STRAIGHT)
    changes = augmentation.sample(
        tf.constant(SIZE), tf.zeros([0, 4]), tf.constant([1, 2])
    )
    labels = LabelMap(tf.zeros(SIZE, tf.uint8), tf.fill(SIZE, 0.4))
    with pytest.raises(ValueError, match="`confidences` must be uint8, got float32"):
        augmentation.apply_to_label_map(labels, changes)
