"""Rejection by the density ratio, and paths between latent points."""

import re

import keras
import numpy as np
import pytest
from helpers import tanh_network
from keras import layers, ops

import keras_monoflow as kmf
from keras_monoflow.models import rejection

#: Data N(MEAN, DEVIATION^2), generated samples N(0, 1).
MEAN, DEVIATION = 0.5, 0.6


def ratio_network(scale=1.0, shift=0.0):
    """`log(p_data / p_gen)` in closed form, or a distorted one."""
    x = keras.Input((1,))
    u = x**2 / 2 - ((x - MEAN) / DEVIATION) ** 2 / 2 - np.log(DEVIATION)
    network = keras.Model(x, layers.Dense(1)(u))
    network.set_weights([np.full((1, 1), scale), np.full((1,), shift)])
    return network


def identity(size=1):
    network = keras.Sequential([layers.Input((size,)), layers.Dense(size)])
    network.set_weights([np.eye(size), np.zeros(size)])
    return network


def make_gan(**arguments):
    gan = kmf.MonoFlowGAN(identity(), ratio_network(**arguments), seed=0)
    gan.compile("sgd", "sgd")
    return gan


def held_out(n, seed=5):
    rng = np.random.default_rng(seed)
    return np.float32(rng.normal(MEAN, DEVIATION, (n, 1)))


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (3.0, -1.0)])
def test_accepted_samples_are_those_of_the_data(scale, shift, capsys):
    """Also where the discriminator is too sure: calibration mends it."""
    gan = make_gan(scale=scale, shift=shift)
    found = gan.calibrate(held_out(4000))
    np.testing.assert_allclose(found.slope, 1 / scale, rtol=0.15)
    np.testing.assert_allclose(found.offset, -shift / scale, atol=0.15)
    n = 2000
    x = gan.sample(n, seed=3, batch_size=500, accept="rejection")
    assert x.shape == (n, 1)
    assert abs(x.mean() - MEAN) < 5 * DEVIATION / n**0.5
    assert abs(x.std() - DEVIATION) < 0.05
    # The chance is 1 / sup(p/q), and the supremum is at the ratio's maximum.
    top = MEAN / (1 - DEVIATION**2)
    supremum = (
        np.exp(top**2 / 2 - ((top - MEAN) / DEVIATION) ** 2 / 2) / DEVIATION
    )
    printed = capsys.readouterr().out
    assert f"{n}/{n}" in printed  # the progress bar
    drawn = int(re.search(rf"Accepted {n} of (\d+)", printed)[1])
    np.testing.assert_allclose(n / drawn, 1 / supremum, rtol=0.2)
    np.testing.assert_allclose(found.acceptance, 1 / supremum, rtol=0.1)
    plain = gan.sample(n, seed=3)
    assert abs(plain.mean()) < 0.1
    again = gan.sample(n, seed=3, batch_size=500, accept="rejection")
    np.testing.assert_array_equal(x, again)


def test_a_lower_bound_accepts_more():
    """With the chances `min(1, w / b)`, by quadrature."""
    gan = make_gan()
    found = gan.calibrate(held_out(4000), quantile=0.3)
    z = np.linspace(-6.0, 6.0, 20001)
    density = np.exp(-(z**2) / 2)
    density /= density.sum()
    ratio = np.exp(z**2 / 2 - ((z - MEAN) / DEVIATION) ** 2 / 2) / DEVIATION
    order = np.argsort(ratio)
    at = np.searchsorted(np.cumsum(density[order]), 0.3)
    chances = np.minimum(ratio / ratio[order][at], 1.0)
    acceptance = np.sum(density * chances)
    np.testing.assert_allclose(found.acceptance, acceptance, atol=0.04)
    n = 4000
    x = gan.sample(n, seed=3, accept="rejection")
    mean = np.sum(z * density * chances) / acceptance
    assert MEAN - mean > 0.1
    np.testing.assert_allclose(x.mean(), mean, atol=0.05)


def test_calibration_is_logistic_regression(rng):
    linear = pytest.importorskip("sklearn.linear_model")
    real, fake = rng.normal(1.0, 2.0, 300), rng.normal(-0.5, 1.0, 300)
    found = rejection.calibrate(real, fake)
    model = linear.LogisticRegression(C=1e6, tol=1e-8)
    u = np.concatenate([real, fake])[:, None]
    model.fit(u, np.repeat([1, 0], 300))
    np.testing.assert_allclose(found.slope, model.coef_[0, 0], rtol=1e-3)
    np.testing.assert_allclose(found.offset, model.intercept_[0], atol=1e-3)
    chances = found.chances(fake)
    assert chances.max() == 1.0
    np.testing.assert_allclose(
        np.log(chances), found.slope * (fake - fake.max()), rtol=1e-6
    )
    apart = rejection.calibrate(real + 100.0, fake)
    assert np.isfinite(apart.slope)
    with pytest.warns(UserWarning, match="no better than chance"):
        upside_down = rejection.calibrate(fake, real)
    np.testing.assert_array_equal(upside_down.chances(fake), 1.0)


def test_each_label_has_its_samples():
    """Of `G(z, c) = z + c` and a ratio that prefers z > 0."""
    z, x, c = (keras.Input((1,)) for _ in range(3))
    generator = keras.Model([z, c], identity()(z) + c)
    judge = layers.Dense(1)
    discriminator = keras.Model([x, c], judge(ops.tanh(3.0 * (x - c))))
    judge.set_weights([np.full((1, 1), 3.0), np.zeros(1)])
    gan = kmf.MonoFlowGAN(generator, discriminator, seed=0)
    gan.compile("sgd", "sgd")
    gan.calibration = rejection.Calibration(1.0, 0.0, 3.0)
    labels = np.float32([[0.0], [10.0], [20.0]] * 20)
    x = gan.sample(60, seed=0, labels=labels, accept="rejection")
    moved = x - labels
    assert np.all(np.abs(moved) < 6)
    assert moved.mean() > 0.5


def test_paths(rng):
    start, end = np.float32(rng.normal(size=(2, 4, 3)))
    gan = kmf.MonoFlowGAN(identity(3), tanh_network(rng, 1, inputs=3))
    paths = gan.interpolate(start, end, steps=5)
    assert paths.shape == (4, 5, 3)
    for a, b, path in zip(start, end, paths):
        w = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        for t, point in zip(np.linspace(0, 1, 5), path):
            want = (np.sin((1 - t) * w) * a + np.sin(t * w) * b) / np.sin(w)
            np.testing.assert_allclose(point, want, rtol=1e-4, atol=1e-5)
    same = gan.interpolate(start, 2 * start, steps=3)
    np.testing.assert_allclose(same[:, 1], 1.5 * start, rtol=1e-5)
    gan = kmf.MonoFlowGAN(
        identity(3), tanh_network(rng, 1, inputs=3), prior="uniform"
    )
    straight = gan.interpolate(start, end, steps=3)
    np.testing.assert_allclose(
        straight[:, 1], (start + end) / 2, rtol=1e-4, atol=1e-6
    )


def test_each_path_has_its_label(rng):
    z, c = keras.Input((3,)), keras.Input((1,))
    generator = keras.Model([z, c], identity(3)(z) + c)
    x, c = keras.Input((3,)), keras.Input((1,))
    judge = layers.Dense(1)(layers.Concatenate()([x, c]))
    gan = kmf.MonoFlowGAN(generator, keras.Model([x, c], judge))
    start, end = np.float32(rng.normal(size=(2, 2, 3)))
    plain = kmf.MonoFlowGAN(identity(3), tanh_network(rng, 1, inputs=3))
    labels = np.float32([[10.0], [20.0]])
    np.testing.assert_allclose(
        gan.interpolate(start, end, steps=4, labels=labels),
        plain.interpolate(start, end, steps=4) + labels[:, None],
        rtol=1e-5,
    )


def test_no_points_have_no_paths():
    gan = make_gan()
    none = np.zeros((0, *gan.latent_shape), "float32")
    paths = gan.interpolate(none, none, steps=3)
    assert paths.shape == (0, 3, *gan.sample_shape)


def test_what_is_refused(rng):
    gan = make_gan()
    with pytest.raises(ValueError, match="Call `calibrate"):
        gan.sample(3, accept="rejection")
    with pytest.raises(ValueError, match="quantile=0"):
        gan.calibrate(held_out(20), quantile=0)
    with pytest.raises(ValueError, match="accept"):
        gan.sample(3, accept="yes")
    gan.calibration = rejection.Calibration(1.0, 0.0, 1000.0)
    with pytest.raises(ValueError, match="0 of 1 were accepted"):
        gan.sample(1, batch_size=1000, accept="rejection")
    with pytest.raises(ValueError, match="must both have the shape"):
        gan.interpolate(np.zeros((2, 1)), np.zeros((3, 1)))
    translator = kmf.MonoFlowGAN(identity(), ratio_network(), prior=None)
    with pytest.raises(ValueError, match="with `prior=None` there are none"):
        translator.interpolate(np.zeros((2, 1)), np.zeros((2, 1)))
    packed = kmf.MonoFlowGAN(identity(), tanh_network(rng, 1, inputs=2), pack=2)
    packed.compile("sgd", "sgd")
    with pytest.raises(ValueError, match="pack=2"):
        packed.calibrate(held_out(4))
    critic = kmf.W1FE(identity(), tanh_network(rng, 1, inputs=1))
    critic.compile("sgd", "sgd")
    with pytest.raises(ValueError, match="no density ratio"):
        critic.calibrate(held_out(4))
