"""Features that are trained on the data themselves."""

import keras
import numpy as np
import pytest
from helpers import numpy
from sklearn.datasets import load_digits

import keras_monoflow as kmf
from keras_monoflow.features import train_features


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return np.float32(x.reshape(-1, 8, 8, 1) / 8 - 1), y


def nearest_mean(rows, y):
    """The share of samples that are nearest to the mean of their class."""
    rows = rows.reshape(len(rows), -1)
    means = np.stack([rows[y == c].mean(0) for c in range(10)])
    distances = np.linalg.norm(rows[:, None] - means, axis=-1)
    return (distances.argmin(1) == y).mean()


def test_a_classifier_tells_classes_apart(digits):
    x, y = digits
    features = train_features(x, y, epochs=15, verbose=0)
    assert [tuple(o.shape) for o in features(x[:3])] == [
        (3, 4, 4, 32),
        (3, 64),
    ]
    # More so than pixels do, which have 0.90.
    assert nearest_mean(numpy(features(x)[-1]), y) > 0.92
    assert nearest_mean(x, y) < 0.91
    assert not features.trainable_variables


@pytest.mark.slow
def test_the_same_seed_gives_the_same_features(digits):
    x, y = digits[0][:200], digits[1][:200]
    one, same, other = (
        train_features(x, y, epochs=1, seed=seed, verbose=0).get_weights()
        for seed in (1, 1, 2)
    )
    for a, b in zip(one, same):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert any(np.abs(a - b).max() > 1e-2 for a, b in zip(one, other))


@pytest.mark.parametrize("shape", [(9, 7, 2), (5,), (1, 12, 1), (12, 1, 1)])
def test_an_autoencoder_takes_samples_of_any_size(shape, rng):
    x = rng.normal(size=(40, *shape))
    features = train_features(x, units=6, filters=4, epochs=1, verbose=0)
    assert tuple(features(x[:2])[-1].shape) == (2, 6)


def test_channels_come_last_whatever_keras_says(rng):
    x = rng.normal(size=(40, 9, 7, 2)).astype("float32")
    keras.config.set_image_data_format("channels_first")
    try:
        features = train_features(x, units=6, filters=4, epochs=1, verbose=0)
    finally:
        keras.config.set_image_data_format("channels_last")
    before, _ = features.outputs
    assert tuple(before.shape[1:3]) == (5, 4)
    assert tuple(features(x[:2])[-1].shape) == (2, 6)


def test_an_autoencoder_keeps_what_varies_most(rng):
    signal = rng.normal(size=1000)
    x = rng.normal(size=(1000, 20))
    x[:, 3] = 4 * signal
    features = train_features(x, units=2, epochs=20, verbose=0)
    known = np.column_stack([numpy(features(x)[-1]), np.ones(1000)])
    fit = known @ np.linalg.lstsq(known, signal, rcond=None)[0]
    assert np.corrcoef(fit, signal)[0, 1] > 0.85  # Untrained: up to 0.7.


def test_bad_input(rng):
    x = rng.normal(size=(6, 4, 4, 1))
    with pytest.raises(TypeError, match="`y` must hold integers"):
        train_features(x, np.zeros(6))
    with pytest.raises(ValueError, match="6 and 5"):
        train_features(x, np.zeros(5, int))
    with pytest.raises(ValueError, match="epochs"):
        train_features(x, epochs=0)


@pytest.mark.slow
def test_a_flow_moves_in_them(digits):
    import keras
    from keras import layers

    x, y = digits
    features = train_features(x, y, epochs=5, verbose=0)
    generator = keras.Sequential(
        [
            layers.Input((16,)),
            layers.Dense(128, "relu"),
            layers.Dense(64, "tanh"),
            layers.Reshape((8, 8, 1)),
        ]
    )
    flow = kmf.SampleFlow(generator, features, seed=0)
    flow.compile(
        keras.optimizers.Adam(1e-3, 0.5),
        "sinkhorn",
        persistency=3,
        step_size=0.5,
    )
    frechet = kmf.metrics.FrechetDistance()

    def distance():
        samples = flow.sample(500, seed=0).reshape(500, -1)
        return frechet(x[:500].reshape(500, -1), samples)

    before = distance()
    flow.fit(x, batch_size=128, epochs=10, verbose=0)
    assert distance() < 0.5 * before


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.where(np.eye(8) > 0, np.nan, 0.0), None, "`x`.*finite"),
        (np.zeros((0, 8)), None, r"`x`.*\(0, 8\)"),
        (np.zeros((3, 8)), np.array([-1, 0, 1]), "`y`.*from 0 on.*-1"),
    ],
)
def test_bad_data(x, y, words):
    with pytest.raises(ValueError, match=words):
        kmf.features.train_features(x, y, epochs=1, verbose=0)
