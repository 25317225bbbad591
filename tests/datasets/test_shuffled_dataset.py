"""The order of the batches, alone and in `fit`."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_monoflow.datasets import ShuffledDataset

X = np.random.default_rng(1).normal(size=(12, 2)).astype("float32")
Y = np.random.default_rng(2).normal(size=(12, 1)).astype("float32")


def fitted_weights(data, weights=None, **options):
    """Return the weights after a `fit`, which depend on the order of rows."""
    dense = keras.layers.Dense(1, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((2,)), dense])
    model.compile(keras.optimizers.SGD(0.3), "mse")
    if weights is not None:
        model.set_weights(weights)
    model.fit(*data, shuffle=False, verbose=0, **options)
    return model.get_weights()


def expected_weights(seed, epochs):
    """Return the weights after batches of 4 rows in the documented order."""
    order = np.concatenate(
        [np.random.default_rng((seed, e)).permutation(12) for e in epochs]
    )
    return fitted_weights((X[order], Y[order]), batch_size=4)


def following(data):
    """Return a callback that tells `data` the epoch, as our models do."""
    return keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: data.set_epoch(epoch)
    )


def assert_same(weights, expected):
    for one, other in zip(weights, expected):
        np.testing.assert_allclose(one, other, atol=1e-6)


@given(
    n=st.integers(1, 50),
    batch_size=st.integers(1, 20),
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 1000),
)
def test_order_is_the_documented_permutation(n, batch_size, seed, epoch):
    x = np.arange(n)
    data = ShuffledDataset(x, -x, batch_size=batch_size, seed=seed)
    data.set_epoch(epoch)
    order = np.random.default_rng((seed, epoch)).permutation(n)
    assert len(data) == -(-n // batch_size)
    batches = list(data)
    np.testing.assert_array_equal(
        np.concatenate([b[0] for b in batches]), order
    )
    np.testing.assert_array_equal(
        np.concatenate([b[1] for b in batches]), -order
    )
    assert all(len(b[0]) == batch_size for b in batches[:-1])


def test_batches_are_pure():
    data = ShuffledDataset(np.arange(20), batch_size=6, seed=5)
    last, first = data[3], data[0]
    np.testing.assert_array_equal(data[0][0], first[0])
    np.testing.assert_array_equal(data[3][0], last[0])
    data.set_epoch(1)
    assert not np.array_equal(data[0][0], first[0])
    data.set_epoch(0)
    np.testing.assert_array_equal(data[0][0], first[0])


def test_shapes_and_dtypes_are_kept():
    x = np.zeros((10, 4, 4, 3), "uint8")
    (batch,) = ShuffledDataset(x, batch_size=4)[0]
    assert batch.shape == (4, 4, 4, 3)
    assert batch.dtype == "uint8"


def test_tensors_are_accepted():
    data = ShuffledDataset(keras.ops.arange(6), batch_size=6)
    np.testing.assert_array_equal(np.sort(data[0][0]), np.arange(6))


def test_drop_remainder():
    data = ShuffledDataset(np.arange(10), batch_size=4, drop_remainder=True)
    assert [len(batch[0]) for batch in data] == [4, 4]
    assert len(ShuffledDataset(np.arange(8), None, 4, 0, True)) == 2
    with pytest.raises(ValueError, match="10 rows, batch_size=11"):
        ShuffledDataset(np.arange(10), batch_size=11, drop_remainder=True)


def test_the_end_of_an_epoch_starts_the_next():
    data = ShuffledDataset(np.arange(10), seed=3)
    assert data.epoch == 0
    data.on_epoch_end()
    assert data.epoch == 1
    order = np.random.default_rng((3, 1)).permutation(10)
    np.testing.assert_array_equal(data[0][0], order)


def test_fit_visits_each_row_once_an_epoch_in_order():
    data = ShuffledDataset(X, Y, batch_size=4, seed=7)
    expected = expected_weights(7, range(3))
    weights = fitted_weights((data,), epochs=3, callbacks=[following(data)])
    assert_same(weights, expected)
    # The comparison can tell orders apart.
    other = expected_weights(8, range(3))
    assert np.abs(other[0] - expected[0]).max() > 1e-3


def test_a_resumed_fit_sees_the_same_batches():
    data = ShuffledDataset(X, Y, batch_size=4, seed=7)
    killed = fitted_weights((data,), epochs=2, callbacks=[following(data)])
    # A new process makes a new data set.
    data = ShuffledDataset(X, Y, batch_size=4, seed=7)
    resumed = fitted_weights(
        (data,),
        killed,
        initial_epoch=2,
        epochs=4,
        callbacks=[following(data)],
    )
    assert_same(resumed, expected_weights(7, range(4)))


def test_fit_alone_goes_from_epoch_to_epoch():
    class Served(ShuffledDataset):
        def __getitem__(self, index):
            served.append((self.epoch, index))
            return super().__getitem__(index)

    served = []
    fitted_weights((Served(X, Y, batch_size=4),), epochs=3)
    epochs = sorted({epoch for epoch, index in served if index == 2})
    assert len(epochs) >= 3
    assert epochs[-3:] == list(range(epochs[-1] - 2, epochs[-1] + 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.zeros((0, 2))}, r"`x` .* shape \(0, 2\)"),
        ({"x": 1.0}, r"`x` .* shape \(\)"),
        ({"x": np.zeros(3), "y": np.zeros(2)}, "3 rows of x, 2 of y"),
        ({"x": np.zeros(3), "batch_size": 0}, "`batch_size` .* batch_size=0"),
        ({"x": np.zeros(3), "seed": -1}, "`seed` .* seed=-1"),
        ({"x": np.zeros(3), "part": (0,)}, r"pair .* part=\(0,\)"),
        ({"x": np.zeros(3), "part": 3}, r"pair .* part=\(3,\)"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ShuffledDataset(**arguments)


def test_bad_epoch_and_index():
    data = ShuffledDataset(np.arange(3))
    with pytest.raises(ValueError, match=r"`epoch` .* epoch=-1"):
        data.set_epoch(-1)
    with pytest.raises(IndexError, match="index=1"):
        data[1]
