"""Looks at data leave them as they are."""

import numpy as np

from keras_monoflow import data


def test_some_rows_of_an_array_are_taken_without_a_copy_of_all():
    # 12 terabytes, if it were copied.
    x = np.broadcast_to(np.float32([1, 2, 3]), (10**12, 3))
    y = np.broadcast_to(np.int32(7), (10**12,))
    rows, labels = data.first_rows(x, y, 5)
    np.testing.assert_array_equal(rows, np.tile([1, 2, 3], (5, 1)))
    np.testing.assert_array_equal(labels, np.full(5, 7))


def test_rows_come_from_all_over_an_array():
    rows, labels = data.first_rows(np.arange(100.0), None, 4)
    assert labels is None
    np.testing.assert_array_equal(rows, [0, 33, 66, 99])
