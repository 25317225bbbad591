"""Latent points that climb the potential of their samples."""

import keras
import numpy as np
import pytest
from helpers import tanh_network
from keras import layers

import keras_monoflow as kmf


def linear(rng, inputs, size):
    network = keras.Sequential([keras.Input((inputs,)), layers.Dense(size)])
    network.set_weights(
        [rng.normal(size=w.shape) for w in network.get_weights()]
    )
    return network


@pytest.fixture
def gan(rng):
    """Linear networks: `V(G(z)) = c.(A z + b)`, so that points with density
    `exp(V(G(z)))` times that of N(0, I) are N(A^T c, I)."""
    gan = kmf.MonoFlowGAN(linear(rng, 3, 2), linear(rng, 2, 1), seed=0)
    gan.compile("sgd", "sgd", mapping="identity")
    return gan


def mode(gan):
    a, b = gan.generator.get_weights()
    c = gan.discriminator.get_weights()[0][:, 0]
    return (a @ c) @ a + b, a


def test_without_noise_it_ends_at_the_mode(gan):
    z = gan.sample_latent(5, seed=0)
    before = z.copy()
    moved = gan.refine(
        z, space="latent", temperature=0, steps=100, step_size=0.1
    )
    expected, _ = mode(gan)
    np.testing.assert_allclose(moved, np.tile(expected, (5, 1)), rtol=1e-3)
    np.testing.assert_array_equal(z, before)


def test_the_noise_is_not_the_latent_points_again(gan):
    """With the same seed both came from the same stream."""
    z = gan.sample_latent(1000, seed=0)
    options = {"space": "latent", "steps": 1, "batch_size": 1000, "seed": 0}
    noise = gan.refine(z, **options) - gan.refine(z, temperature=0, **options)
    a, _ = gan.generator.get_weights()
    for drawn, point in zip(noise.T, (z @ a).T):
        assert abs(np.corrcoef(drawn, point)[0, 1]) < 0.15


def test_with_noise_it_has_the_density(gan):
    """Of forward Euler with the step e, the variance is 1 / (1 - e / 2)."""
    moved = gan.refine(
        gan.sample_latent(4000, seed=0),
        space="latent",
        steps=60,
        step_size=0.1,
        seed=1,
        batch_size=1500,
    )
    expected, a = mode(gan)
    spread = a.T @ a / 0.95
    errors = np.sqrt(np.diag(spread) / 4000)
    assert np.all(np.abs(moved.mean(0) - expected) < 4 * errors)
    np.testing.assert_allclose(np.cov(moved.T), spread, rtol=0.1, atol=0.1)


def test_no_steps_are_the_samples(gan):
    z = gan.sample_latent(7, seed=3)
    moved = gan.refine(z, space="latent", steps=0, batch_size=4)
    np.testing.assert_allclose(moved, gan.predict(z, verbose=0), rtol=1e-5)


def test_a_flow_from_samples_does_so_too(rng):
    x = np.float32(rng.normal(size=(64, 2)))
    flow = kmf.SampleFlow(tanh_network(rng, 2), seed=0)
    flow.compile("sgd", velocity="kernel_ratio")
    flow.fit(x, batch_size=32, verbose=0)
    z = flow.sample_latent(8, seed=0)
    moved = flow.refine(z, space="latent", steps=3, temperature=0)
    assert moved.shape == (8, 2)
    assert np.abs(moved - flow.predict(z, verbose=0)).max() > 1e-3


def test_each_latent_point_has_its_label(rng):
    """`V(G(z, k)) = k c.(A z + b) + e k`, so that the mode is at `k A^T c`."""
    z, k = keras.Input((3,)), keras.Input((1,))
    affine = linear(rng, 3, 2)
    generator = keras.Model([z, k], k * affine(z))
    x, k = keras.Input((2,)), keras.Input((1,))
    judge = linear(rng, 3, 1)
    discriminator = keras.Model([x, k], judge(layers.Concatenate()([x, k])))
    gan = kmf.MonoFlowGAN(generator, discriminator, seed=0)
    gan.compile("sgd", "sgd", mapping="identity")
    labels = np.float32([[0.0], [1.0], [-2.0]])
    options = {"temperature": 0, "steps": 100, "step_size": 0.1}
    z = gan.sample_latent(3, seed=0)
    moved = gan.refine(z, labels, space="latent", **options)
    a, b = affine.get_weights()
    mode = labels * (a @ judge.get_weights()[0][:2, 0])
    expected = labels * (mode @ a + b)
    np.testing.assert_allclose(moved, expected, rtol=1e-3, atol=1e-3)


def test_what_is_refused(rng, gan):
    with pytest.raises(ValueError, match="Unknown `space`: 'pixels'"):
        gan.refine(np.zeros((2, 3)), space="pixels")
    with pytest.raises(ValueError, match="generator"):
        gan.refine(np.zeros((2, 2)), space="latent")
    uniform = kmf.MonoFlowGAN(
        linear(rng, 3, 2), linear(rng, 2, 1), prior="uniform"
    )
    uniform.compile("sgd", "sgd")
    with pytest.raises(ValueError, match="prior='uniform'"):
        uniform.refine(np.zeros((2, 3)), space="latent")
    particles = kmf.ParticleFlow(linear(rng, 2, 1), np.zeros((4, 2)))
    particles.compile("sgd", step_size=0.1)
    with pytest.raises(ValueError, match="has no latent points"):
        particles.refine(np.zeros((2, 2)), space="latent")
