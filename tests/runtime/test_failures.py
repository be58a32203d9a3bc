"""What a run says of a step with a number that is not finite."""

import math

import pytest

from st_keras.runtime.failures import describe, not_finite


def test_finite_numbers_pass():
    assert not_finite({"loss": 1.0, "learning_rate": 0.1}) == {}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_first_bad_number_is_named_with_all_that_is_needed(value):
    values = {"human/class": 1.0, "human/box": value, "loss": value}
    assert list(not_finite(values)) == ["human/box", "loss"]
    said = describe(
        values | {"learning_rate": 0.08},
        step=41_200,
        image_ids={"human": ["7", "9"], "pseudo": ["x"]},
    )
    assert said == (
        f"`human/box` is {value} at step 41_200 (learning rate 0.08). "
        "Images of the step: human: 7, 9; pseudo: x."
    )
