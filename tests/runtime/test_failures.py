"""What a run says when it must stop."""

import math

import pytest

from st_keras.runtime.failures import NonFiniteError, check_finite

SETTINGS = {
    "step": 41_200,
    "image_ids": lambda: {"human": ["7", "9"], "pseudo": ["x"]},
    "checkpoint": "runs/t/checkpoints/ckpt-41000",
}


def test_finite_numbers_pass_without_looking_at_images():
    def fail():
        raise AssertionError("Images were read although nothing is wrong.")

    settings = dict(SETTINGS, image_ids=fail)
    check_finite({"loss": 1.0, "learning_rate": 0.1}, **settings)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_first_bad_number_is_named_with_all_that_is_needed(value):
    values = {"human/class": 1.0, "human/box": value, "loss": value}
    with pytest.raises(NonFiniteError) as stopped:
        check_finite(values | {"learning_rate": 0.08}, **SETTINGS)
    message = str(stopped.value)
    assert f"`human/box` is {value} at step 41_200" in message
    assert "learning rate 0.08" in message
    assert "human: 7, 9; pseudo: x" in message
    assert "runs/t/checkpoints/ckpt-41000" in message
