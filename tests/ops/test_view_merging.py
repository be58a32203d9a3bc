"""What merging promises: the right place, no seam, and bounded memory."""

import numpy as np
import pytest

from st_keras.ops import host_xla, view_merging
from st_keras.types import View

VIEW = (32, 48)  # Height and width.
STRIDE = 4
PICTURE = (40, 90)


def view(scale=(1.0, 1.0), offset=(0.0, 0.0), mirrored=False, picture=PICTURE):
    return View(
        image=None,
        scale_yx=np.float32(scale),
        offset_yx=np.float32(offset),
        is_mirrored=np.bool_(mirrored),
        picture_size_px=np.int32(picture),
    )


def margin(y, x):
    """By how much the second class is ahead, at points of the picture."""
    return 0.09 * y - 0.05 * x + 0.3


def truth(picture=PICTURE):
    y, x = np.meshgrid(*(np.arange(side) + 0.5 for side in picture), indexing="ij")
    return margin(y, x)


def logits_of(view, legacy=False):
    """What a network says that knows `margin`, at the cells of a view."""
    rows, columns = VIEW[0] // STRIDE, VIEW[1] // STRIDE
    first = 0.5 if legacy else STRIDE / 2
    y = np.arange(rows) * STRIDE + first
    x = np.arange(columns) * STRIDE + first
    if view.is_mirrored:
        x = VIEW[1] - x
    y = (y + view.offset_yx[0]) / view.scale_yx[0]
    x = (x + view.offset_yx[1]) / view.scale_yx[1]
    ahead = margin(*np.meshgrid(y, x, indexing="ij"))
    return np.stack([np.zeros_like(ahead), ahead], -1).astype(np.float32)


def merge(views, **settings):
    legacy = settings.get("legacy", False)
    logits = [logits_of(one, legacy) for one in views]
    return view_merging.merge(logits, views, view_size_px=VIEW, **settings)


def confidence(ahead):
    """Of two classes, that of the likelier one, in 1/255."""
    return 255 / (1 + np.exp(-np.abs(ahead)))


def assert_is_truth(found, edge=4):
    """Within `edge` pixels of the border, cells are only repeated, not interpolated."""
    inside = np.s_[edge:-edge, edge:-edge]
    expected = truth()
    assert found.class_ids.dtype == found.confidences.dtype == np.uint8
    assert found.class_ids.shape == PICTURE
    clear = np.abs(expected[inside]) > 0.01
    np.testing.assert_array_equal(
        found.class_ids[inside][clear], (expected > 0)[inside][clear]
    )
    error = np.abs(found.confidences[inside] - confidence(expected[inside]))
    assert error.max() <= 1.0


# 40 x 90 pixels fit 32 x 48 at 48 / 90.
WHOLE = view((48 / 90, 48 / 90))
TILES = [view((1.0, 1.0), (y, x)) for y in (0, 8) for x in (0, 21, 42)]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_view_of_the_whole_picture_is_enlarged_in_place(mirrored, legacy):
    one = WHOLE._replace(is_mirrored=np.bool_(mirrored))
    # A cell is 7.5 pixels of the picture; in the legacy form the last is that far away
    # from the border, on one side.
    assert_is_truth(merge([one], legacy=legacy), edge=8)


def test_without_xla_one_view_gives_the_same(monkeypatch):
    compiled = merge([WHOLE])
    monkeypatch.setattr(host_xla, "_is_allowed", False)
    monkeypatch.setattr(view_merging, "_LOOKS", {False: view_merging._LOOKS[False]})
    found = merge([WHOLE])
    np.testing.assert_array_equal(found.class_ids, compiled.class_ids)
    confidences = np.int32(found.confidences), np.int32(compiled.confidences)
    np.testing.assert_allclose(*confidences, atol=1)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
def test_tiles_fit_together(mirrored, legacy):
    views = [one._replace(is_mirrored=np.bool_(mirrored)) for one in TILES]
    if legacy:
        # Where a tile ends, its last cells are repeated over up to 4 pixels, and weigh
        # little; the other tile is right there.
        found = merge(views, legacy=True)
        error = np.abs(found.confidences - confidence(truth()))[4:-4, 4:-4]
        assert error.max() <= 4.0
        assert np.mean(error) < 0.5
    else:
        assert_is_truth(merge(views))


def test_sizes_and_mirror_images_all_weigh_the_same():
    """However many tiles a size takes."""
    mirrored = WHOLE._replace(is_mirrored=np.bool_(True))
    views = [WHOLE, mirrored, *TILES]
    logits = [np.zeros([8, 12, 2], np.float32) for _ in views]
    logits[0][..., 1] = 2.0
    found = view_merging.merge(logits, views, view_size_px=VIEW)
    # (sigmoid(2) + 1/2 + 1/2) / 3 = (0.8808 + 1) / 3 = 0.6269, times 255: 159.9.
    assert np.all(found.class_ids == 1)
    assert np.all(found.confidences == 160)


def test_two_scales_that_round_to_one_size_are_no_surer_than_one():
    logits = [np.float32([3.0, 0.0]) * np.ones([8, 12, 2], np.float32)] * 8
    once = view_merging.merge(logits[:3], TILES[:3], view_size_px=VIEW)
    twice = view_merging.merge(logits[:6], TILES[:3] * 2, view_size_px=VIEW)
    # sigmoid(3) is 0.9526, times 255: 242.9.
    assert np.all(once.confidences == 243)
    np.testing.assert_array_equal(twice.confidences, once.confidences)


def test_overlapping_tiles_weigh_by_the_distance_to_their_edge():
    """Along x: 0 to 48 and 42 to 90. At 45.5, 2.5 and 3.5 px from the edges."""
    views = [view((1.0, 1.0), (0, x), picture=(32, 90)) for x in (0, 42)]
    logits = [np.zeros([8, 12, 2], np.float32) for _ in views]
    logits[0][..., 0] = 50.0  # Certain of class 0; the other tile of class 1.
    logits[1][..., 1] = 50.0
    found = view_merging.merge(logits, views, view_size_px=VIEW)
    assert np.all(found.class_ids[:, :45] == 0) and np.all(found.class_ids[:, 45:] == 1)
    # 3.5 / 6 of 255 is 148.75.
    assert np.all(found.confidences[:, 45] == 149)
    assert np.all(found.confidences[:, :42] == 255)


def test_the_tiles_of_the_picture_make_no_difference():
    whole, in_tiles = merge([WHOLE, *TILES]), merge([WHOLE, *TILES], tile_px=7)
    np.testing.assert_array_equal(whole.class_ids, in_tiles.class_ids)
    np.testing.assert_array_equal(whole.confidences, in_tiles.confidences)


def test_a_tile_without_the_middle_of_a_pixel_has_no_say():
    """2 pixels as 144: their middles are at 36 and 108, so not in the tile at 48."""
    tiles = [view((16, 72), (0.0, x), picture=(2, 2)) for x in (0.0, 48.0, 96.0)]
    found, without = merge(tiles), merge([tiles[0], tiles[2]])
    np.testing.assert_array_equal(found.class_ids, without.class_ids)
    np.testing.assert_array_equal(found.confidences, without.confidences)
    assert found.confidences.min() > 127


def test_a_picture_thinner_than_a_pixel_of_the_view_has_its_label():
    thin = view((32 / 900, 1 / 3), picture=(900, 3))
    logits = np.zeros([8, 12, 3], np.float32)
    logits[..., 2] = 1.0
    found = view_merging.merge([logits], [thin], view_size_px=VIEW)
    assert found.class_ids.shape == (900, 3)
    assert np.all(found.class_ids == 2)


@pytest.mark.parametrize("num_classes", [2, 8, 11, 21])
def test_one_view_gives_what_a_softmax_gives_however_many_classes_go_together(
    num_classes,
):
    """Of 11, six go together: the twelfth is not there."""
    logits = np.random.default_rng(0).normal(0, 3, [8, 12, num_classes])
    height, width = 150, 301
    one = view((32 / height, 48 / width), picture=(height, width))
    found = view_merging.merge([logits], [one], view_size_px=VIEW)

    def between(values, count):
        """Along the first axis: cell i has its middle at i + 1/2."""
        at = (np.arange(count) + 0.5) * len(values) / count - 0.5
        at = np.clip(at, 0, len(values) - 1)
        low = at.astype(int)
        high = np.minimum(low + 1, len(values) - 1)
        share = (at - low)[:, None, None]
        return values[low] * (1 - share) + values[high] * share

    large = between(logits, height).swapaxes(0, 1)
    large = between(large, width).swapaxes(0, 1)
    shares = np.exp(large) / np.exp(large).sum(axis=-1, keepdims=True)
    first, second = np.sort(large, axis=-1)[..., :-3:-1].transpose(2, 0, 1)
    is_clear = first - second > 1e-4
    expected = large.argmax(axis=-1)
    np.testing.assert_array_equal(found.class_ids[is_clear], expected[is_clear])
    error = np.abs(found.confidences - 255.0 * shares.max(axis=-1))
    assert error.max() < 0.51  # Half is rounding.
