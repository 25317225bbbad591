"""Draws of classes that let gradients through."""

import keras
import numpy as np
import pytest
from helpers import numpy
from keras import layers, ops

import keras_monoflow as kmf

GumbelSoftmax = kmf.networks.GumbelSoftmax


@pytest.mark.parametrize("hard", [False, True])
def test_classes_have_the_chances_of_a_softmax(hard):
    logits = np.array([0.5, -1.0, 1.5], "float32")
    layer = GumbelSoftmax(0.2, hard=hard, seed=0)
    n = 20_000
    drawn = numpy(layer(ops.convert_to_tensor(np.tile(logits, (n, 1)))))
    np.testing.assert_allclose(drawn.sum(-1), 1.0, rtol=1e-5)
    if hard:
        np.testing.assert_allclose(drawn.max(-1), 1.0, rtol=1e-5)
    shares = np.bincount(drawn.argmax(-1), minlength=3) / n
    chances = np.exp(logits) / np.exp(logits).sum()
    deviation = np.sqrt(chances * (1 - chances) / n)
    assert np.all(np.abs(shares - chances) < 4 * deviation)


def test_the_gradient_of_hard_rows_is_that_of_soft_ones(rng):
    logits = np.float32(rng.normal(size=(4, 3)))
    direction = ops.convert_to_tensor(np.float32(rng.normal(size=(4, 3))))

    def along(x, hard):
        # (The same seed gives the same noise.)
        layer = GumbelSoftmax(0.7, hard=hard, seed=1)
        return ops.sum(layer(x) * direction)

    x = ops.convert_to_tensor(logits)
    slope = numpy(kmf.gradients.input_gradient(lambda x: along(x, True), x))
    eps = 1e-2
    for index in np.ndindex(logits.shape):
        ends = []
        for sign in (1, -1):
            moved = logits.copy()
            moved[index] += sign * eps
            ends.append(float(along(ops.convert_to_tensor(moved), False)))
        difference = (ends[0] - ends[1]) / (2 * eps)
        np.testing.assert_allclose(slope[index], difference, atol=2e-3)


def test_in_a_generator_that_is_saved(rng, tmp_path):
    z = keras.Input((2,))
    x = {
        "number": layers.Dense(1)(z),
        "class": GumbelSoftmax(0.5, hard=True, seed=0)(layers.Dense(3)(z)),
    }
    a = keras.Input((1,), name="number")
    b = keras.Input((3,), name="class")
    gan = kmf.MonoFlowGAN(
        keras.Model(z, x),
        keras.Model(
            {"number": a, "class": b},
            layers.Dense(1)(layers.Concatenate()([a, b])),
        ),
        seed=0,
    )
    gan.compile("sgd", "sgd")
    data = {
        "number": np.float32(rng.normal(size=(8, 1))),
        "class": np.eye(3, dtype="float32")[rng.integers(3, size=8)],
    }
    before = gan.generator.get_weights()
    gan.fit(data, verbose=0)
    for a, b in zip(before, gan.generator.get_weights()):
        assert np.abs(a - b).max() > 0
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    for model in (gan, loaded):
        model.fit(data, shuffle=False, verbose=0)
    for a, b in zip(gan.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="`temperature` of GumbelSoftmax"):
        GumbelSoftmax(0.0)
