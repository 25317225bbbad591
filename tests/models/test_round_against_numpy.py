"""One full round of MonoFlowGAN against finite differences in NumPy."""

import keras
import numpy as np
import pytest
from helpers import slow_except
from keras import layers, ops
from numpy_networks import descend, input_gradient, output, run, softplus

import keras_monoflow as kmf

TIMES = np.linspace(0.05, 0.95, 16)
LATENT = np.array([0.7, -0.4])
GENERATOR_RATE, DISCRIMINATOR_RATE = 0.3, 0.2


class FixedTimes(kmf.penalties.GradientPenalty):
    """A gradient penalty at given interpolation times."""

    def times(self, x, seed):
        return ops.convert_to_tensor(TIMES.reshape(-1, 1), dtype=x.dtype)


def r1(weights, real, generated):
    return 2.0 / 2 * np.mean(np.sum(input_gradient(weights, real) ** 2, -1))


def two_sided(weights, real, generated):
    t = TIMES.reshape(-1, 1)
    gradient = input_gradient(weights, t * real + (1 - t) * generated)
    return 3.0 * np.mean((np.linalg.norm(gradient, axis=-1) - 1) ** 2)


def expected_round(g, d, real, h, penalty, steps):
    z = np.tile(LATENT, (len(real), 1))
    generated = run(g, z)

    def discriminator_loss(w):
        loss = np.mean(softplus(-output(w, real)))
        loss += np.mean(softplus(output(w, generated)))
        return loss + penalty(w, real, generated)

    for _ in range(steps):
        d = descend(discriminator_loss, d, DISCRIMINATOR_RATE)
    g = descend(
        lambda w: -np.mean(h(output(d, run(w, z)))),
        g,
        GENERATOR_RATE,
    )
    return g, d


@pytest.mark.parametrize("reuse_generated", slow_except([False], [False, True]))
@pytest.mark.parametrize("steps", slow_except([3], [1, 3]))
@pytest.mark.parametrize(
    ("penalty", "expected_penalty"),
    [(kmf.penalties.R1(2.0), r1), (FixedTimes(3.0), two_sided)],
    ids=["R1", "GradientPenalty"],
)
def test_weights_after_one_round(
    rng, penalty, expected_penalty, steps, reuse_generated
):
    generator = keras.Sequential(
        [layers.Input((2,)), layers.Dense(4, "tanh"), layers.Dense(2)]
    )
    discriminator = keras.Sequential(
        [layers.Input((2,)), layers.Dense(5, "tanh"), layers.Dense(1)]
    )
    for network in (generator, discriminator):
        network.set_weights(
            [rng.normal(size=w.shape) for w in network.get_weights()]
        )
    real = rng.normal(1.0, size=(16, 2)).astype("float32")
    g, d = (
        [w.astype("float64") for w in network.get_weights()]
        for network in (generator, discriminator)
    )
    before = g + d
    expected = expected_round(
        g, d, real, lambda u: softplus(u + 1), expected_penalty, steps
    )

    # A prior of equal rows: the latent batch is known whatever the seed.
    gan = kmf.MonoFlowGAN(
        generator, discriminator, prior=np.tile(LATENT, (3, 1))
    )
    gan.compile(
        generator_optimizer=keras.optimizers.SGD(GENERATOR_RATE),
        discriminator_optimizer=keras.optimizers.SGD(DISCRIMINATOR_RATE),
        mapping=kmf.mappings.Vanilla(1.0),
        penalty=penalty,
        discriminator_steps=steps,
        reuse_generated=reuse_generated,
    )
    gan.fit(real, batch_size=16, epochs=1, shuffle=False, verbose=0)

    after = generator.get_weights() + discriminator.get_weights()
    for old, new, want in zip(before, after, expected[0] + expected[1]):
        assert np.linalg.norm(want - old) > 1e-3 * np.linalg.norm(old)
        error = np.linalg.norm(new - want)
        assert error <= 1e-5 * np.linalg.norm(want)
