"""What the contrastive accuracy promises."""

import numpy as np
import pytest

from st_keras.metrics.contrast import ContrastiveAccuracy
from st_keras.types import Embeddings

NOTHING = Embeddings(np.zeros([0, 0]))


def at(*degrees, length=1.0):
    angles = np.deg2rad(degrees)
    return Embeddings(length * np.stack([np.cos(angles), np.sin(angles)], -1))


def measured(*pairs, among=256):
    metric = ContrastiveAccuracy(among)
    for number, pair in enumerate(pairs):
        metric.add(str(number), NOTHING, pair)
    return metric.result()["contrastive_accuracy"]


def test_views_count_whose_nearest_is_the_other_of_their_picture():
    # Nearest of 0 is 10; of 10, 12; of 12, 10; of 90, 12, for 200 is behind it.
    assert measured(at(0, 10), at(12, 200)) == 25
    assert measured(at(0, 10), at(90, 100)) == 100


def test_lengths_do_not_matter():
    assert measured(at(0, 10), at(90, 100), at(45, 50, length=9.0)) == 100


def test_pictures_are_compared_in_groups():
    pairs = [at(0, 10), at(90, 100), at(1, 11), at(91, 101)]
    assert measured(*pairs, among=2) == 100  # Never with their neighbours by a degree.
    assert measured(*pairs, among=4) < 50


def test_a_rest_counts_only_where_there_is_no_group():
    rest = [at(0, 180), at(1, 181)]
    assert measured(at(0, 10), at(90, 100), *rest[:1], among=2) == 100
    assert measured(*rest, among=3) == 0


def test_mistakes_are_named():
    metric = ContrastiveAccuracy()
    with pytest.raises(ValueError, match="No picture"):
        metric.result()
    metric.add("a", NOTHING, at(0, 1))
    with pytest.raises(ValueError, match="`a` was added twice"):
        metric.add("a", NOTHING, at(0, 1))
