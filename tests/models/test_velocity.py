"""What moves samples may be anything: the seam for flows of their own."""

import keras
import numpy as np
from keras import layers, ops

import keras_monoflow as kmf
from keras_monoflow.models.round import Round


class ToTheMean(Round):
    """Moves samples towards the mean of the real batch, by no discriminator."""

    def velocity(self, y, batch):
        return ops.mean(batch.samples, axis=0) - y


class MeanFlow(kmf.W1FE):
    round_class = ToTheMean


def test_a_velocity_from_samples_alone(rng):
    generator = keras.Sequential(
        [layers.Input((2,)), layers.Dense(2, use_bias=True)]
    )
    kernel, bias = rng.normal(size=(2, 2)), rng.normal(size=2)
    generator.set_weights([kernel, bias])
    z = np.array([[0.5, -1.0]])
    x = rng.normal(1.0, size=(8, 2)).astype("float32")
    model = MeanFlow(
        generator,
        kmf.networks.mlp_discriminator(2),
        prior=np.tile(z, (3, 1)),
    )
    model.compile(
        keras.optimizers.SGD(0.3),
        keras.optimizers.SGD(0.1),
        step_size=0.25,
        persistency=3,
    )
    history = model.fit(x, batch_size=8, verbose=0).history

    target = z @ kernel + bias
    speed = np.linalg.norm(x.mean(0) - target)
    target = target + 0.25 * (x.mean(0) - target)
    for _ in range(3):
        residual = target - (z @ kernel + bias)
        kernel, bias = kernel + 0.3 * z.T @ residual, bias + 0.3 * residual[0]
    for weight, expected in zip(generator.get_weights(), (kernel, bias)):
        np.testing.assert_allclose(weight, expected, rtol=1e-5)
    assert np.isclose(history["velocity_norm"][0], speed, rtol=1e-5)
