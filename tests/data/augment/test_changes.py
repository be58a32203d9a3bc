"""What is sampled for a picture: how often, how strongly, each choice on its own."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.data.augment import changes, operations, policies
from st_keras.data.augment.augmentation import Augmentation
from st_keras.data.augment.auto_augment import AUTO_AUGMENT
from st_keras.data.augment.operations import Menu, Step

TARGET = (320, 480)
SIZE = (480, 640)  # Lengths are published for a longer side of 640 px.
BOXES = np.array(
    [[10, 20, 110, 220], [200, 300, 260, 480], [5, 400, 45, 430]], np.float32
)


def single(name, magnitude=10, probability=1.0, **lengths):
    return Menu(rows=((Step(name, probability, magnitude),),), **lengths)


def draws(
    count, menu, *, size=SIZE, boxes=BOXES, scale=(1.0, 1.0), flip=0.0, **settings
):
    """The changes of the first examples of a stream, with a leading count."""
    augmentation = Augmentation(
        target_size_px=TARGET,
        scale_min=scale[0],
        scale_max=scale[1],
        flip_probability=flip,
        menu=menu,
        **settings,
    )
    boxes = np.reshape(boxes, [-1, 4]).astype(np.float32)

    def draw(index):
        seed = tf.random.experimental.stateless_fold_in(tf.constant([5, 1]), index)
        return augmentation.sample(tf.constant(size), tf.constant(boxes), seed)

    if count <= 20:  # Tracing takes longer.
        found = [draw(tf.constant(index, tf.int64)) for index in range(count)]
        return tf.nest.map_structure(lambda *fields: np.stack(fields), *found)
    dataset = tf.data.Dataset.range(count).map(draw, tf.data.AUTOTUNE).batch(count)
    return tf.nest.map_structure(lambda field: field.numpy(), next(iter(dataset)))


def arguments_of(name, magnitude=10, count=3, **settings):
    return draws(count, single(name, magnitude), **settings).arguments[:, 0]


def frequencies(menu):
    """{(slot, operation): chance} of all that happens to a whole picture."""
    chances = {}
    for row in menu.rows:
        for slot, step in enumerate(row):
            name = operations.plain_name(step.operation)
            if name not in operations.BOX_CONTENTS:
                chance = step.probability / len(menu.rows)
                chances[slot, name] = chances.get((slot, name), 0.0) + chance
    return chances


def assert_share(found, expected, count, msg=""):
    # The share of n draws has a deviation of sqrt(p (1 - p) / n).
    deviation = max((expected * (1 - expected) / count) ** 0.5, 1e-9)
    assert abs(found - expected) <= 4.0 * deviation, (msg, found, expected)


@pytest.mark.parametrize("name", [*AUTO_AUGMENT, "randaugment"])
def test_operations_come_as_often_as_the_table_says(name):
    menu, count = policies.menu(name), 3000
    found = draws(count, menu).operations
    chances = frequencies(menu)
    if name == "randaugment":
        chances |= {(1, op): chance for (_, op), chance in chances.items()}
    in_boxes = [operations.NAMES.index(n) for n in operations.BOX_CONTENTS]
    statistic, degrees = 0.0, 0
    for slot in range(menu.slots):
        counts = np.bincount(found[:, slot], minlength=len(operations.NAMES))
        for index, operation in enumerate(operations.NAMES[1:], 1):
            if index in in_boxes:
                continue
            chance = chances.get((slot, operation), 0.0)
            if chance == 0.0:
                assert counts[index] == 0, operation
                continue
            assert_share(counts[index] / count, chance, count, operation)
            statistic += (counts[index] - count * chance) ** 2 / (count * chance)
            degrees += 1
    # A chi-square of d degrees has the mean d and the deviation sqrt(2 d).
    assert statistic < degrees + 5.0 * (2.0 * degrees) ** 0.5


def test_both_layers_of_rand_augment_draw_on_their_own_and_with_replacement():
    found = draws(4000, policies.menu("randaugment")).operations
    assert_share(np.mean(found[:, 0] == found[:, 1]), 1 / 16, 4000)
    assert not np.any(found == 0)


@pytest.mark.parametrize("probability", [0.0, 0.2, 1.0])
def test_a_step_is_done_with_its_probability(probability):
    found = draws(1000, single("Invert", probability=probability)).operations
    happened = np.mean(found == operations.NAMES.index("Invert"))
    assert_share(happened, probability, 1000)
    assert np.all((found == 0) | (found == operations.NAMES.index("Invert")))


def test_the_steps_of_a_row_happen_on_their_own_and_in_their_order():
    row = (Step("Color", 0.5, 3), Step("Invert", 0.5, 3), Step("Equalize", 0.5, 3))
    found = draws(2000, Menu(rows=(row,))).operations
    happened = found > 0
    for slot, name in enumerate(("Color", "Invert", "Equalize")):
        chosen = found[:, slot][happened[:, slot]]
        assert np.all(chosen == operations.NAMES.index(name))
    assert abs(np.corrcoef(happened.T) - np.eye(3)).max() < 0.08


def test_a_short_row_is_filled_up_with_nothing():
    rows = ((Step("Invert", 1.0, 2),), (Step("Color", 1.0, 2),) * 3)
    found = draws(300, Menu(rows=rows)).operations
    short = found[found[:, 0] == operations.NAMES.index("Invert")]
    assert len(short) > 100 and not np.any(short[:, 1:])


@pytest.mark.parametrize("name", operations.MOVES)
def test_moves_go_either_way_alike(name):
    found = arguments_of(name, 5, count=1000)
    strength = operations.argument(Step(name, 1.0, 5), Menu(), authors_quirks=False)
    np.testing.assert_allclose(np.abs(found), strength, rtol=1e-6)
    assert_share(np.mean(found > 0), 0.5, 1000)


@pytest.mark.parametrize("name", ["Color", "Solarize", "Cutout", "Posterize"])
def test_other_operations_have_no_sign(name):
    found = arguments_of(name, 6)
    expected = operations.argument(Step(name, 1.0, 6), Menu(), authors_quirks=False)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "size, scale", [((480, 640), 1), ((320, 200), 0.5), ((96, 1280), 2)]
)
@pytest.mark.parametrize(
    "name, published_px", [("TranslateX", 250), ("TranslateY", 250), ("Cutout", 100)]
)
def test_lengths_grow_with_the_longer_side(name, published_px, size, scale):
    found = np.abs(arguments_of(name, size=size, count=3))
    np.testing.assert_allclose(found, published_px * scale, rtol=1e-6)
    quirky = np.abs(arguments_of(name, size=size, count=3, authors_quirks=True))
    np.testing.assert_allclose(quirky, published_px, rtol=1e-6)


@pytest.mark.parametrize("size, scale", [((480, 640), 1), ((320, 200), 0.5)])
@pytest.mark.parametrize(
    "name, published",
    [
        ("TranslateY_Only_BBoxes", 120),
        ("Cutout_Only_BBoxes", 50),
    ],
)
def test_lengths_in_boxes_grow_with_the_picture(name, published, size, scale):
    found = draws(20, single(name), size=size, boxes=BOXES / 4).contents.arguments
    assert set(np.abs(found).ravel()) == {0.0, published * scale}
    quirky = draws(20, single(name), size=size, boxes=BOXES / 4, authors_quirks=True)
    assert set(np.abs(quirky.contents.arguments).ravel()) == {0.0, published}


@pytest.mark.parametrize("name, published", [("Rotate", 30), ("ShearX", 0.3)])
def test_angles_do_not_grow_with_the_picture(name, published):
    found = np.abs(arguments_of(name, size=(320, 200), count=3))
    np.testing.assert_allclose(found, published, rtol=1e-6)


def test_a_cut_is_a_square_around_a_place_anywhere():
    # Half of 100 px at magnitude 5, in a picture half as large: 25 px.
    found = draws(3000, single("Cutout", 5), size=(200, 320)).cuts_yxyx[:, 0]
    np.testing.assert_array_equal(found, np.round(found))
    assert found.min() >= 0 and np.all(found.max(axis=0) <= [175, 295, 200, 320])
    side = found[:, 2:] - found[:, :2]
    assert side.max() == 50 and side.min() >= 25
    # The square is whole where its centre is 25 px inside: 150 of 200, 270 of 320.
    assert_share(np.mean(np.all(side == 50, axis=1)), 0.75 * 270 / 320, 3000)


def test_what_is_no_cut_cuts_nothing():
    rows = ((Step("Cutout", 0.3, 9), Step("Rotate", 1.0, 9)),)
    found = draws(500, Menu(rows=rows))
    happened = found.operations[:, 0] > 0
    assert_share(np.mean(happened), 0.3, 500)
    assert np.all(found.cuts_yxyx[happened, 0, 2:] > 0)
    assert not found.cuts_yxyx[~happened].any() and not found.cuts_yxyx[:, 1].any()


def test_a_cut_of_a_box_is_its_share_of_one_box_drawn_alike():
    # Boxes of 100 x 200, 60 x 180 and 40 x 30: halves of 0.375 are 37, 67 and so on.
    found = draws(1500, single("BBox_Cutout", 10)).cuts_yxyx[:, 0]
    halves = [[37, 75], [22, 67], [15, 11]]
    counts = []
    for box, half in zip(BOXES, halves, strict=True):
        center = (found[:, :2] + found[:, 2:]) / 2
        is_whole = np.all(found[:, 2:] - found[:, :2] == 2 * np.array(half), axis=1)
        is_inside = np.all((center >= box[:2]) & (center < box[2:]), axis=1)
        counts.append(np.sum(is_whole & is_inside))
    # The first and the last box lie near edges, where cuts are clipped.
    assert counts[1] / 1500 == pytest.approx(1 / 3, abs=0.05)
    assert min(counts) > 100 and sum(counts) <= 1500


def test_padding_is_never_cut():
    padded = np.zeros([20, 4], np.float32)
    padded[[2, 7, 8]] = BOXES
    menu = single("BBox_Cutout", 10)
    expected = draws(100, menu).cuts_yxyx
    np.testing.assert_array_equal(draws(100, menu, boxes=padded).cuts_yxyx, expected)
    assert not draws(5, menu, boxes=np.full([3, 4], 50.0)).cuts_yxyx.any()


@pytest.mark.parametrize("name", ["BBox_Cutout", *operations.BOX_CONTENTS])
@pytest.mark.parametrize("authors_quirks", [False, True])
def test_a_picture_without_boxes_is_left_alone(name, authors_quirks):
    found = draws(5, single(name), boxes=[], authors_quirks=authors_quirks)
    assert not found.cuts_yxyx.any()
    if name != "BBox_Cutout":
        assert found.contents.boxes_yxyx.shape == (5, 1, 0, 4)
        assert found.contents.arguments.shape == (5, 1, 0)


@pytest.mark.parametrize("probability", [0.3, 0.9])
@pytest.mark.parametrize("name", ["TranslateY_Only_BBoxes", "Equalize_Only_BBoxes"])
def test_each_box_is_chosen_with_a_third_of_the_probability(name, probability):
    count = 2000
    found = draws(count, single(name, 4, probability)).contents.boxes_yxyx[:, 0]
    chosen = found[:, :, 2] > 0
    per_box = [np.any(np.all(found == box, axis=2), axis=1) for box in BOXES]
    for is_chosen in per_box:
        assert_share(np.mean(is_chosen), probability / 3, count)
    assert np.abs(np.corrcoef(per_box) - np.eye(3)).max() < 0.08
    # They come first, each once; the rest is zeros.
    np.testing.assert_array_equal(chosen.sum(axis=1), np.sum(per_box, axis=0))
    assert np.all(chosen[:, :-1] >= chosen[:, 1:]) and not found[~chosen].any()


def test_chosen_boxes_come_in_any_order():
    found = draws(3000, single("Rotate_Only_BBoxes")).contents.boxes_yxyx[:, 0]
    both = found[:, 1, 2] > 0
    firsts = [np.mean(np.all(found[both, 0] == box, axis=1)) for box in BOXES]
    np.testing.assert_allclose(firsts, [1 / 3] * 3, atol=0.06)


def test_every_box_has_its_own_sign():
    found = draws(3000, single("ShearX_Only_BBoxes", 5)).contents
    arguments = found.arguments[:, 0]
    both = found.boxes_yxyx[:, 0, 1, 2] > 0
    np.testing.assert_allclose(np.abs(arguments[both, :2]), 0.15, rtol=1e-6)
    assert both.sum() > 500
    assert np.mean(arguments[both, 0] > 0) == pytest.approx(0.5, abs=0.06)
    assert abs(np.corrcoef(arguments[both, :2].T)[0, 1]) < 0.1


@pytest.mark.parametrize("name", ["Cutout_Only_BBoxes", "Solarize_Only_BBoxes"])
def test_in_boxes_too_only_moves_have_a_sign(name):
    found = draws(200, single(name, 5)).contents.arguments
    assert found.min() >= 0 and found.max() > 0


def test_a_box_without_area_has_no_contents():
    boxes = np.concatenate([BOXES[:1], [[30, 50, 30, 90], [0, 0, 0, 0]]])
    found = draws(300, single("Equalize_Only_BBoxes"), boxes=boxes).contents
    assert found.boxes_yxyx[:, 0, 0].any() and not found.boxes_yxyx[:, 0, 1:].any()


@pytest.mark.parametrize("name", ["TranslateY_Only_BBoxes", "BBox_Cutout"])
def test_of_a_box_that_reaches_out_the_part_in_the_picture_is_changed(name):
    height, width = SIZE
    boxes = [[-5, 10, 12, 30], [height, 3, height + 4, 9], [5, -9, 8, -1]]
    found = draws(300, single(name, 5), boxes=boxes)
    if name == "BBox_Cutout":
        cut = found.cuts_yxyx[:, 0]
        assert cut.any() and cut[:, 2].max() < 60  # The second is at 480.
        return
    chosen = found.contents.boxes_yxyx[:, 0]
    np.testing.assert_array_equal(np.unique(chosen[:, 0], axis=0)[-1], [0, 10, 12, 30])
    assert not chosen[:, 1:].any()


def test_a_menu_without_contents_of_boxes_has_none():
    assert draws(2, policies.menu("randaugment")).contents == ()
    assert draws(2, policies.menu("none")).operations.shape == (2, 0)


def test_no_choice_knows_of_another():
    move = (Step("TranslateX_BBox", 0.5, 8), Step("ShearY_BBox", 1.0, 4))
    cut = (Step("Cutout", 1.0, 3), Step("Rotate_BBox", 1.0, 2))
    found = draws(
        5000,
        Menu(rows=(move, cut), draws=2),
        scale=(0.5, 2.0),
        flip=0.5,
        color_strength=0.3,
    )
    # No move changes an area, so the map's is that of the jitter, mirrored if negative.
    area = np.linalg.det(found.geometry.matrix[:, :, :2])
    choices = {"flip": area < 0, "scale": np.sqrt(np.abs(area))}
    for column, name in ((4, "brightness"), (5, "contrast"), (6, "saturation")):
        choices[name] = found.arguments[:, column]
    for first in (0, 2):  # Of the slots of a layer; the second is always used.
        is_cut = found.operations[:, first] == operations.NAMES.index("Cutout")
        happens = found.operations[:, first] > 0
        choices[f"row in {first}"] = is_cut
        choices[f"sign in {first + 1}"] = found.arguments[:, first + 1] > 0
        # What a row does not have is left out: it is put at the mean.
        conditional = {
            "happens": (~is_cut, happens),
            "sign": (~is_cut & happens, found.arguments[:, first] > 0),
            "y of cut": (is_cut, found.cuts_yxyx[:, first, ::2].mean(axis=1)),
            "x of cut": (is_cut, found.cuts_yxyx[:, first, 1::2].mean(axis=1)),
        }
        for name, (counts, value) in conditional.items():
            value = value.astype(float)
            choices[f"{name} in {first}"] = np.where(
                counts, value, value[counts].mean()
            )
    values = np.array(list(choices.values())).astype(float)
    assert len(values) == 17 and np.all(values.std(axis=1) > 0.1)
    correlation = np.abs(np.corrcoef(values) - np.eye(len(values)))
    worst = [list(choices)[i] for i in divmod(correlation.argmax(), len(values))]
    assert correlation.max() < 0.05, worst


def test_color_jitter_comes_after_the_menu_in_its_range():
    found = draws(1000, single("Invert"), color_strength=0.3)
    names = [operations.NAMES[i] for i in found.operations[0]]
    assert names == ["Invert", "Brightness", "Contrast", "Color"]
    factors = found.arguments[:, 1:]
    assert factors.min() >= 0.7 and factors.max() < 1.3
    np.testing.assert_allclose(factors.mean(axis=0), 1.0, atol=0.03)
    np.testing.assert_allclose(factors.std(axis=0), 0.6 / 12**0.5, atol=0.015)


def test_the_moves_are_done_in_order_before_the_picture_is_shown():
    row = (Step("TranslateX_BBox", 1.0, 4), Step("Rotate_BBox", 1.0, 10))
    # 480 x 640 into 320 x 480 at 1: two thirds.
    found, plain = draws(4, Menu(rows=(row,))), draws(4, Menu())
    for one in range(4):
        shift, degrees = found.arguments[one]
        angle = np.deg2rad(degrees)
        # The centre of the picture is moved first and then turned about it; turning
        # clockwise, what is right of the centre goes down.
        center = np.array([240, 320]) + shift * np.array([np.sin(angle), np.cos(angle)])
        shown = found.geometry.matrix[one] @ [240, 320, 1]
        offset = plain.geometry.matrix[one, :, 2]
        np.testing.assert_allclose(shown, center * 2 / 3 + offset, atol=0.5)


def test_the_picture_covers_what_is_changed():
    found = draws(2, single("Invert"), size=(33, 700))
    np.testing.assert_array_equal(found.window_yxyx, [[0, 0, 33, 700]] * 2)


def test_another_seed_draws_something_else():
    found = draws(50, policies.menu("randaugment"))
    assert len(np.unique(found.operations, axis=0)) > 30
    assert len(np.unique(found.geometry.matrix, axis=0)) > 5


def test_is_one_of_looks_names_up():
    ids = tf.constant([operations.NAMES.index(n) for n in ("Rotate", "Invert")])
    assert changes.is_one_of(ids, operations.MOVES).numpy().tolist() == [True, False]
