"""A small model with the methods that the callbacks rely on."""

import keras
import numpy as np
import pytest


class StandIn(keras.Model):
    """Learns to map noise to zeros; draws training noise in every step."""

    def __init__(self, sample_shape, latent_size=3):
        super().__init__()
        self.latent_size = latent_size
        self.noise = keras.layers.GaussianNoise(0.5)
        self.net = keras.Sequential(
            [
                keras.layers.Dense(
                    int(np.prod(sample_shape)), activation="tanh"
                ),
                keras.layers.Reshape(sample_shape),
            ]
        )
        self.build((None, latent_size))

    def build(self, input_shape):
        self.net.build(input_shape)
        self.built = True

    def call(self, z, training=False):
        return self.net(self.noise(z, training=training))

    def sample(self, n, seed=None):
        latents = keras.random.normal((n, self.latent_size), seed=seed)
        return self.predict_on_batch(latents)

    def velocity(self, x):
        return -np.asarray(x)

    def fit_noise(self, callbacks, epochs=2, initial_epoch=0):
        """Fit it in shuffled order, so that all global noise matters."""
        z = np.random.default_rng(7).normal(size=(20, self.latent_size))
        y = np.zeros((20, *self.net.output_shape[1:]))
        self.compile(keras.optimizers.SGD(0.1), "mse")
        return self.fit(
            z,
            y,
            batch_size=8,
            epochs=epochs,
            initial_epoch=initial_epoch,
            callbacks=callbacks,
            verbose=0,
        )


@pytest.fixture
def stand_in():
    """The class, for tests that make models of their own."""
    return StandIn
