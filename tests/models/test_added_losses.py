"""What layers pass to `add_loss` counts, against NumPy."""

import keras
import numpy as np
import pytest
from helpers import numpy
from keras import layers, ops

import keras_monoflow as kmf

RATE, WEIGHT = 0.1, 0.7
LATENT = np.array([[1.0, -2.0]], "float32")


class Shrink(layers.Layer):
    def call(self, x):
        self.add_loss(WEIGHT * ops.mean(x**2))
        return x


def linear(units, inputs, kernel, adds):
    end = [Shrink()] if adds else []
    network = keras.Sequential(
        [layers.Input((inputs,)), layers.Dense(units, use_bias=False), *end]
    )
    network.set_weights([np.asarray(kernel, "float32")])
    return network


def train(generator, discriminator, x, **arguments):
    gan = kmf.MonoFlowGAN(generator, discriminator, prior=LATENT, seed=0)
    gan.compile(
        keras.optimizers.SGD(RATE),
        keras.optimizers.SGD(RATE),
        mapping="identity",
        **arguments,
    )
    gan.fit(x, batch_size=len(x), verbose=0)
    return gan


@pytest.mark.parametrize("persistency", [1, 3])
def test_in_the_generator(persistency, rng):
    kernel = rng.normal(size=(2, 3))
    x = rng.normal(size=(4, 3)).astype("float32")
    gan = train(
        linear(3, 2, kernel, adds=True),
        linear(1, 3, np.zeros((3, 1)), adds=False),
        x,
        persistency=persistency,
        # The discriminator learns, but samples hardly move.
        step_size=1e-7,
    )
    z = np.repeat(LATENT, 4, axis=0)
    target = z @ kernel
    for _ in range(persistency):
        y = z @ kernel
        regression = z.T @ (y - target) / len(z)
        added = WEIGHT * z.T @ (2 * y) / y.size
        kernel = kernel - RATE * (regression + added)
    found = numpy(gan.generator.trainable_variables[0])
    np.testing.assert_allclose(found, kernel, rtol=1e-5, atol=1e-6)


def test_in_the_discriminator(rng):
    kernel = rng.normal(size=(3, 1))
    fixed = rng.normal(size=(2, 3))
    x = rng.normal(size=(4, 3)).astype("float32")
    gan = train(
        linear(3, 2, fixed, adds=False), linear(1, 3, kernel, adds=True), x
    )
    y = np.repeat(LATENT, 4, axis=0) @ fixed

    def sigmoid(u):
        return 1 / (1 + np.exp(-u))

    logistic = y.T @ sigmoid(y @ kernel) - x.T @ sigmoid(-(x @ kernel))
    added = WEIGHT * 2 * (x.T @ x + y.T @ y) @ kernel
    expected = kernel - RATE * (logistic + added) / len(x)
    found = numpy(gan.discriminator.trainable_variables[0])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_activity_regularizers_count(rng):
    x = rng.normal(size=(8, 3)).astype("float32")
    weights = []
    for regularizer in (None, keras.regularizers.L2(10.0)):
        keras.utils.set_random_seed(1)
        generator = keras.Sequential(
            [
                layers.Input((2,)),
                layers.Dense(3, activity_regularizer=regularizer),
            ]
        )
        discriminator = linear(1, 3, np.ones((3, 1)), adds=False)
        weights.append(train(generator, discriminator, x).get_weights()[0])
    assert np.abs(weights[0] - weights[1]).max() > 0.1
