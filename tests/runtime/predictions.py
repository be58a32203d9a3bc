"""How predictions of two models of the same run are compared."""

import numpy as np


def assert_same(found, wanted, atol=1e-5, rtol=1e-5):
    np.testing.assert_allclose(found.scores, wanted.scores, atol=atol)
    np.testing.assert_allclose(found.boxes_yxyx, wanted.boxes_yxyx, rtol, 10 * atol)
    np.testing.assert_array_equal(found.class_ids, wanted.class_ids)
