"""The published tables, written down a second time in their short notation."""

import re

import pytest

from st_keras.config import augment as config
from st_keras.data.augment import operations, policies, rand_augment
from st_keras.data.augment.auto_augment import AUTO_AUGMENT
from st_keras.data.augment.operations import Menu
from st_keras.data.augment.policies import Policy

# operation(probability,magnitude), `+` between the steps of a sub-policy and `|`
# between sub-policies. Bx: the boxes move along; OB: only the contents of boxes change.
V0 = """
TranslateX-Bx(.6,4)+Equalize(.8,10) | TranslateY-OB(.2,2)+Cutout(.8,8) |
Sharpness(0,8)+ShearX-Bx(.4,0) | ShearY-Bx(1,2)+TranslateY-OB(.6,6) |
Rotate-Bx(.6,10)+Color(1,6)
"""
PUBLISHED = {
    "autoaugment_v0": V0,
    "autoaugment_v1": V0
    + """
| Color(0,0)+ShearX-OB(.8,4) | ShearY-OB(.8,2)+Flip-OB(0,10) |
Equalize(.6,10)+TranslateX-Bx(.2,2) | Color(1,10)+TranslateY-OB(.4,6) |
Rotate-Bx(.8,10)+Contrast(0,10) | Cutout(.2,2)+Brightness(.8,10) |
Color(1,6)+Equalize(1,2) | Cutout-OB(.4,6)+TranslateY-OB(.8,2) |
Color(.2,8)+Rotate-Bx(.8,10) | Sharpness(.4,4)+TranslateY-OB(0,4) |
Sharpness(1,4)+SolarizeAdd(.4,4) | Rotate-Bx(1,8)+Sharpness(.2,8) |
ShearY-Bx(.6,10)+Equalize-OB(.6,8) | ShearX-Bx(.2,6)+TranslateY-OB(.2,10) |
SolarizeAdd(.6,8)+Brightness(.8,10)
""",
    "autoaugment_v2": """
Color(0,6)+Cutout(.6,8)+Sharpness(.4,8) |
Rotate-Bx(.4,8)+Sharpness(.4,2)+Rotate-Bx(.8,10) |
TranslateY-Bx(1,8)+AutoContrast(.8,2) |
AutoContrast(.4,6)+ShearX-Bx(.8,8)+Brightness(0,10) |
SolarizeAdd(.2,6)+Contrast(0,10)+AutoContrast(.6,0) |
Cutout(.2,0)+Solarize(.8,8)+Color(1,4) |
TranslateY-Bx(0,4)+Equalize(.6,8)+Solarize(0,10) |
TranslateY-Bx(.2,2)+ShearY-Bx(.8,8)+Rotate-Bx(.8,8) |
Cutout(.8,8)+Brightness(.8,8)+Cutout(.2,2) |
Color(.8,4)+TranslateY-Bx(1,6)+Rotate-Bx(.6,6) |
Rotate-Bx(.6,10)+BBox_Cutout(1,4)+Cutout(.2,8) |
Rotate-Bx(0,0)+Equalize(.6,6)+ShearY-Bx(.6,8) |
Brightness(.8,8)+AutoContrast(.4,2)+Brightness(.2,2) |
TranslateY-Bx(.4,8)+Solarize(.4,6)+SolarizeAdd(.2,10) |
Contrast(1,10)+SolarizeAdd(.2,8)+Equalize(.2,4)
""",
    "autoaugment_v3": """
Posterize(.8,2)+TranslateX-Bx(1,8) | BBox_Cutout(.2,10)+Sharpness(1,8) |
Rotate-Bx(.6,8)+Rotate-Bx(.8,10) | Equalize(.8,10)+AutoContrast(.2,10) |
SolarizeAdd(.2,2)+TranslateY-Bx(.2,8) | Sharpness(0,2)+Color(.4,8) |
Equalize(1,8)+TranslateY-Bx(1,8) | Posterize(.6,2)+Rotate-Bx(0,10) |
AutoContrast(.6,0)+Rotate-Bx(1,6) | Equalize(0,4)+Cutout(.8,10) |
Brightness(1,2)+TranslateY-Bx(1,6) | Contrast(0,2)+ShearY-Bx(.8,0) |
AutoContrast(.8,10)+Contrast(.2,10) | Rotate-Bx(1,10)+Cutout(1,10) |
SolarizeAdd(.8,6)+Equalize(.8,8)
""",
}
SUB_POLICIES = {
    "autoaugment_v0": 5,
    "autoaugment_v1": 20,
    "autoaugment_v2": 15,
    "autoaugment_v3": 15,
}
STEP = re.compile(r"(\w+)(-Bx|-OB)?\(([\d.]+),(\d+)\)")
ENDINGS = {None: "", "-Bx": "_BBox", "-OB": "_Only_BBoxes"}


def read(text):
    rows = []
    for row in text.split("|"):
        steps = [STEP.fullmatch(step.strip()).groups() for step in row.split("+")]
        rows.append(
            tuple(
                (name + ENDINGS[ending], float(probability), float(magnitude))
                for name, ending, probability, magnitude in steps
            )
        )
    return tuple(rows)


@pytest.mark.parametrize("name", PUBLISHED)
def test_autoaugment_is_the_published_table(name):
    menu = AUTO_AUGMENT[name]
    rows = tuple(tuple(tuple(step) for step in row) for row in menu.rows)
    assert rows == read(PUBLISHED[name])
    assert len(rows) == SUB_POLICIES[name]


@pytest.mark.parametrize("name", AUTO_AUGMENT)
def test_one_sub_policy_is_drawn_with_the_published_lengths(name):
    menu = AUTO_AUGMENT[name]
    assert (menu.draws, menu.slots) == (1, 3 if name.endswith("v2") else 2)
    assert (menu.translate_px, menu.translate_in_box_px) == (250.0, 120.0)
    assert (menu.cutout_px, menu.cutout_in_box_px) == (100.0, 50.0)


@pytest.mark.parametrize("name", AUTO_AUGMENT)
def test_every_step_can_be_done(name):
    menu = AUTO_AUGMENT[name]
    for row in menu.rows:
        for step in row:
            operations.argument(step, menu, authors_quirks=False)
            assert 0.0 <= step.probability <= 1.0


def test_segmentation_has_no_operation_that_asks_for_boxes():
    found = AUTO_AUGMENT["autoaugment_segmentation"].operations
    assert found == {
        *("TranslateX", "TranslateY", "ShearX", "ShearY", "Rotate"),
        *("Equalize", "Sharpness", "Color", "Cutout"),
    }
    for policy in policies.SEGMENTATION.values():
        menu = policies.menu(policy.operations)
        assert menu.operations.isdisjoint([*operations.BOX_CONTENTS, "BBox_Cutout"])


def test_segmentation_moves_the_picture_as_far_and_a_third_as_often_as_a_box():
    of_boxes = AUTO_AUGMENT["autoaugment_v0"]
    of_picture = AUTO_AUGMENT["autoaugment_segmentation"]
    compared = 0
    for rows in zip(of_boxes.rows, of_picture.rows, strict=True):
        for box, picture in zip(*rows, strict=True):
            if not box.operation.endswith("_Only_BBoxes"):
                assert picture == box
                continue
            assert picture.operation == box.operation.replace("_Only_BBoxes", "_BBox")
            assert picture.probability == pytest.approx(box.probability / 3)
            lengths = [
                operations.argument(step, menu, authors_quirks=False)
                for step, menu in ((box, of_boxes), (picture, of_picture))
            ]
            assert lengths[0] == pytest.approx(lengths[1])
            compared += 1
    assert compared == 2


def test_rand_augment_draws_from_sixteen_operations_alike():
    assert set(rand_augment.OPERATIONS) == {
        *("AutoContrast", "Equalize", "Invert", "Rotate", "Posterize", "Solarize"),
        *("Color", "Contrast", "Brightness", "Sharpness", "ShearX", "ShearY"),
        *("TranslateX", "TranslateY", "Cutout", "SolarizeAdd"),
    }
    assert len(rand_augment.OPERATIONS) == 16
    menu = rand_augment.rand_augment(3, 7.0)
    assert [row[0].operation for row in menu.rows] == list(rand_augment.OPERATIONS)
    assert all(len(row) == 1 and row[0][1:] == (1.0, 7.0) for row in menu.rows)
    assert (menu.draws, menu.slots) == (3, 3)
    # The constants of the code it came from.
    assert (menu.translate_px, menu.cutout_px) == (100.0, 40.0)


@pytest.mark.parametrize(
    "name, scale_min, scale_max, operations_name",
    [
        ("S1", 0.8, 1.2, "none"),
        ("S2", 0.8, 1.2, "autoaugment_v0"),
        ("S3", 0.5, 2.0, "autoaugment_v0"),
        ("S4", 0.5, 2.0, "randaugment"),
        ("spinenet", 0.1, 1.9, "none"),
        ("pascal", 0.2, 1.5, "none"),
    ],
)
def test_a_policy_is_a_jitter_and_operations(
    name, scale_min, scale_max, operations_name
):
    expected = Policy(
        scale_min=scale_min, scale_max=scale_max, operations=operations_name
    )
    assert policies.DETECTION[name] == expected
    of_segmentation = policies.SEGMENTATION[name]
    assert (of_segmentation.scale_min, of_segmentation.scale_max) == (
        scale_min,
        scale_max,
    )
    assert of_segmentation.operations == {
        "autoaugment_v0": "autoaugment_segmentation"
    }.get(operations_name, operations_name)


def test_the_policies_share_their_names():
    assert len(policies.DETECTION) == 6
    assert list(policies.SEGMENTATION) == list(policies.DETECTION)


def test_s4_is_two_layers_at_magnitude_10():
    menu = policies.menu(policies.DETECTION["S4"].operations)
    assert menu.draws == 2
    assert {step.magnitude for (step,) in menu.rows} == {10.0}


def test_the_config_knows_the_same_names():
    assert set(config.POLICIES) == set(policies.DETECTION)
    assert set(config.OPERATIONS) == {"none", "randaugment", *AUTO_AUGMENT}
    for name in config.OPERATIONS:
        assert isinstance(policies.menu(name), Menu)
    default = config.AugmentConfig()
    assert default.policy == "S1"
    assert (default.layers, default.magnitude) == (policies.LAYERS, policies.MAGNITUDE)


def test_a_menu_is_found_by_its_name():
    assert policies.menu("none").slots == 0
    assert policies.menu("autoaugment_v2") is AUTO_AUGMENT["autoaugment_v2"]
    menu = policies.menu("randaugment", layers=3, magnitude=4.5)
    assert menu == rand_augment.rand_augment(3, 4.5)


def test_an_unknown_menu_is_refused_with_those_there_are():
    with pytest.raises(
        ValueError, match=r"`operations`.*none, autoaugment_v0.*got 'autoaugment_v4'"
    ):
        policies.menu("autoaugment_v4")
