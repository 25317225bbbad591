"""Batches of a few classes, in an order that a restart repeats."""

import numpy as np
import pytest

from keras_monoflow.datasets import ClassBatches


@pytest.fixture
def labels(rng):
    return rng.permutation(np.repeat(np.arange(10), 30))


def test_each_batch_has_rows_of_a_few_classes(labels):
    x = np.arange(300.0)
    data = ClassBatches(x, labels, classes=3, rows=4, seed=1)
    assert len(data) == 25
    seen = []
    for i in range(len(data)):
        rows, classes = data[i]
        assert rows.shape == classes.shape == (12,)
        assert sorted(np.unique(classes, return_counts=True)[1]) == [4, 4, 4]
        np.testing.assert_array_equal(labels[rows.astype(int)], classes)
        assert len(np.unique(rows)) == 12
        seen.append(rows)
    # Most rows are served once in an epoch, those of a class in any order.
    seen = np.concatenate(seen)
    assert len(np.unique(seen)) > 200
    of_class = seen[labels[seen.astype(int)] == 0]
    assert (np.diff(of_class) < 0).sum() > 2
    assert (np.diff(of_class) > 0).any()


def test_the_order_is_a_function_of_seed_and_epoch(labels):
    def batches(seed, epoch):
        data = ClassBatches(np.arange(300), labels, 3, 4, seed)
        data.set_epoch(epoch)
        return np.concatenate([data[i][0] for i in range(len(data))])

    np.testing.assert_array_equal(batches(1, 5), batches(1, 5))
    assert (batches(1, 5) != batches(1, 6)).any()
    assert (batches(1, 5) != batches(2, 5)).any()


def test_small_classes_start_over(rng):
    labels = np.array([0] * 3 + [1] * 50)
    data = ClassBatches(np.arange(53), labels, rows=8)
    rows, classes = data[0]
    assert (classes == 0).sum() == 8
    assert len(np.unique(rows[classes == 0])) == 3


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"classes": 11}, ValueError, "at most 10"),
        ({"rows": 1}, ValueError, "rows"),
        ({"rows": 2.5}, TypeError, "rows=2.5"),
        ({"y": np.zeros(300)}, TypeError, "`y` must hold integers"),
        ({"y": np.eye(300, dtype=int)}, TypeError, "`y` must hold integers"),
        ({"y": np.zeros(299, int)}, ValueError, "299"),
    ],
)
def test_bad_input(labels, arguments, error, message):
    with pytest.raises(error, match=message):
        ClassBatches(**{"x": np.arange(300), "y": labels, **arguments})


def test_samples_of_several_parts(labels):
    x = {"a": np.arange(300.0), "b": -np.arange(300.0)}
    data = ClassBatches(x, labels, classes=3, rows=4, seed=1)
    assert len(data) == 25
    rows, classes = data[24]
    np.testing.assert_array_equal(rows["a"], -rows["b"])
    np.testing.assert_array_equal(labels[rows["a"].astype(int)], classes)
