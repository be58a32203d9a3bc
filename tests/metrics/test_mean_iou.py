"""What mean IoU promises: pencil, an independent oracle, and tf-models-official."""

import json

import numpy as np
import pytest
import tensorflow as tf

from st_keras.metrics.mean_iou import MeanIoU, confusion
from st_keras.types import IGNORED, LabelMap

NAMES = ("sky", "road", "car", "sign")


def label_map(rows):
    ids = np.array(rows, np.uint8)
    return LabelMap(ids, np.full_like(ids, 255))


def measured(*pictures, names=NAMES):
    metric = MeanIoU(names)
    for number, (truth, predicted) in enumerate(pictures):
        metric.add(str(number), label_map(truth), label_map(predicted))
    return metric


def random_maps(seed, shape, num_classes, ignored=0.1):
    random = np.random.default_rng(seed)
    truth = random.integers(0, num_classes, shape)
    predicted = np.where(
        random.random(shape) < 0.6, truth, random.integers(0, num_classes, shape)
    )
    truth = np.where(random.random(shape) < ignored, IGNORED, truth)
    return truth, predicted


def test_intersection_over_union_by_pencil():
    #  truth      0 0 1 1 2     said      0 1 1 1 1
    found = measured(([[0, 0, 1], [1, 2, IGNORED]], [[0, 1, 1], [1, 1, 3]])).result()
    iou = {name: row["IoU"] for name, row in found["per_class"].items()}
    # Sky 1 of 2; road 2 of 4 (two right, two too many); car 0 of 1. Nobody says sign:
    # it was said only where the truth is not known.
    assert iou == {"sky": 50.0, "road": 50.0, "car": 0.0, "sign": -100.0}
    assert found["mIoU"] == pytest.approx(100 / 3)
    assert found["pixel_accuracy"] == 60.0
    assert found["mean_accuracy"] == pytest.approx((50 + 100 + 0) / 3)
    shares = [row["pixels"] for row in found["per_class"].values()]
    assert shares == [40.0, 40.0, 20.0, 0.0]


def test_a_class_that_only_the_model_says_counts_as_nothing():
    found = measured(([[0, 0]], [[0, 3]])).result()
    assert found["per_class"]["sign"]["IoU"] == 0.0
    assert found["per_class"]["sign"]["accuracy"] == -100.0
    assert found["mIoU"] == 25.0  # Sky 50, sign 0; road and car are nowhere.


def test_where_nothing_is_said_it_is_wrong_for_the_true_class_alone():
    found = measured(([[0, 0, 1]], [[0, IGNORED, 1]])).result()
    assert found["per_class"]["sky"]["IoU"] == 50.0
    assert found["per_class"]["road"]["IoU"] == 100.0
    assert found["mIoU"] == 75.0


def test_pixels_are_summed_over_pictures_before_anything_is_divided():
    one = ([[0] * 9 + [1]], [[0] * 10])
    other = ([[1, 1]], [[1, 1]])
    found = measured(one, other).result()
    # Sky: 9 of 10; road: 2 of 3. The mean of the pictures' own would be another.
    assert found["mIoU"] == pytest.approx(100 * (9 / 10 + 2 / 3) / 2)


def test_it_is_what_sets_of_pixels_say():
    """Plain Python, a set per class."""
    metric, truths, said = MeanIoU(tuple("abcdefg")), {}, {}
    for number, shape in enumerate([(7, 11), (20, 3), (1, 50)]):
        truth, predicted = random_maps(number, shape, 7)
        metric.add(str(number), label_map(truth), label_map(predicted))
        for place in np.ndindex(shape):
            if truth[place] != IGNORED:
                truths.setdefault(int(truth[place]), set()).add((number, place))
                said.setdefault(int(predicted[place]), set()).add((number, place))
    found = metric.result()
    for class_id, name in enumerate("abcdefg"):
        both = truths[class_id] & said[class_id]
        either = truths[class_id] | said[class_id]
        row = found["per_class"][name]
        assert row["IoU"] == pytest.approx(100 * len(both) / len(either))
        assert row["accuracy"] == pytest.approx(100 * len(both) / len(truths[class_id]))


def ours_and_theirs(name):
    """Nobody says `sign`."""
    from official.vision.evaluation import segmentation_metrics

    theirs = getattr(segmentation_metrics, name)(num_classes=len(NAMES))
    ours = MeanIoU(NAMES)
    for number in range(3):
        truth, predicted = random_maps(number, (9, 14), 3)
        ours.add(str(number), label_map(truth), label_map(predicted))
        masks = tf.constant(truth[None, ..., None], tf.float32)
        theirs.update_state(
            {
                "masks": masks,
                "valid_masks": masks != IGNORED,
                "image_info": tf.zeros([1, 4, 2]),
            },
            tf.one_hot(predicted, len(NAMES))[None],
        )
    return ours.result(), np.asarray(theirs.result())


def test_it_is_the_mean_iou_of_tf_models_official():
    ours, theirs = ours_and_theirs("MeanIoU")
    np.testing.assert_allclose(ours["mIoU"] / 100, theirs, rtol=1e-6)


def test_a_class_that_nobody_says_is_0_in_their_classes_and_second_mean():
    ours, theirs = ours_and_theirs("PerClassIoU")
    ious = [row["IoU"] / 100 for row in ours["per_class"].values()]
    np.testing.assert_allclose(ious[:3], theirs[:3], rtol=1e-6)
    assert (ious[3], theirs[3]) == (-1.0, 0.0)
    ours, theirs = ours_and_theirs("MeanIoUV2")
    np.testing.assert_allclose(ours["mIoU"] / 100 * 3 / 4, theirs, rtol=1e-6)


def test_parts_that_were_counted_elsewhere_can_be_added():
    whole = MeanIoU(NAMES)
    for number in range(4):
        truth, predicted = map(label_map, random_maps(number, (9, 14), 4))
        whole.add_confusion(confusion(truth, predicted, len(NAMES)))
    together = measured(*(random_maps(number, (9, 14), 4) for number in range(4)))
    assert whole.result() == together.result()


def test_a_result_can_be_stored():
    found = measured(([[0, 1]], [[0, 0]])).result()
    assert json.loads(json.dumps(found)) == found
    assert list(found)[0] == MeanIoU.headline


def test_pictures_without_a_known_pixel_have_no_number():
    assert measured(([[IGNORED]], [[2]])).result()["mIoU"] == -100.0


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match="No picture"):
        MeanIoU(NAMES).result()
    with pytest.raises(ValueError, match=r"\(1, 2\) pixels, the predicted one \(2, 1"):
        measured(([[0, 1]], [[0], [1]]))
    with pytest.raises(ValueError, match=r"in \[0, 4\) or 255, got 4"):
        measured(([[0, 4]], [[0, 0]]))
    metric = measured(([[0]], [[0]]))
    with pytest.raises(ValueError, match="`0` was added twice"):
        metric.add("0", label_map([[0]]), label_map([[0]]))


def test_a_negative_id_is_refused_and_counts_for_no_other_class():
    unknown = LabelMap(np.array([[0, 0, 1, -1, -1]]), np.full([1, 5], 255))
    known = label_map([[0, 0, 1, 0, 1]])
    for truth, predicted in ((unknown, known), (known, unknown)):
        metric = MeanIoU(("sky", "road"))
        with pytest.raises(ValueError, match="negative, got -1; .* is 255"):
            metric.add("a", truth, predicted)
        metric.add("a", known, known)
        assert metric.result()["mIoU"] == 100.0


def test_a_picture_that_was_refused_can_still_be_added():
    metric = MeanIoU(NAMES)
    with pytest.raises(ValueError):
        metric.add("a", label_map([[0, 1]]), label_map([[0]]))
    metric.add("a", label_map([[0, 1]]), label_map([[0, 0]]))
    assert metric.result()["pixel_accuracy"] == 50.0
