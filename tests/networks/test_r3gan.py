"""The networks of R3GAN, and the standard deviation of a batch."""

import keras
import numpy as np
import pytest
from helpers import numpy

import keras_monoflow as kmf
from keras_monoflow.backend import replicas
from keras_monoflow.networks import (
    MinibatchStandardDeviation,
    r3gan_discriminator,
    r3gan_generator,
)

SMALL = {"filters": 4, "stages": 2, "blocks": 1, "group_width": 2}


def resampled(x, axis, halve):
    """Bilinear interpolation to twice or half the size, zeros outside."""
    x = np.moveaxis(x, axis, 0)
    zero = np.zeros_like(x[:1])
    before, after = (
        np.concatenate([zero, x[:-1]]),
        np.concatenate([x[1:], zero]),
    )
    if halve:
        smooth = (before[::2] + 3 * x[::2] + 3 * x[1::2] + after[1::2]) / 8
    else:
        pairs = [(before + 3 * x) / 4, (3 * x + after) / 4]
        smooth = np.stack(pairs, 1).reshape(-1, *x.shape[1:])
    return np.moveaxis(smooth, 0, axis)


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def convolved(x, kernel, bias=0.0, groups=1):
    """3x3 or 1x1, by loops over pixels of the kernel."""
    size = len(kernel)
    pad = size // 2
    wide = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    inputs = x.shape[-1] // groups
    outputs = kernel.shape[-1] // groups
    parts = []
    for g in range(groups):
        w = kernel[..., g * outputs : (g + 1) * outputs]
        rows = wide[..., g * inputs : (g + 1) * inputs]
        parts.append(
            sum(
                rows[:, i : i + x.shape[1], j : j + x.shape[2]] @ w[i, j]
                for i in range(size)
                for j in range(size)
            )
        )
    return np.concatenate(parts, -1) + bias


def block(x, weights, groups):
    (k1, b1), (k2, b2), (k3,) = weights
    h = leaky(convolved(x, k1, b1))
    h = leaky(convolved(h, k2, b2, groups))
    return x + convolved(h, k3)


def all_weights(model, rng=None):
    """Weights in the order of the layers, all of them changed by `rng`."""
    if rng is not None:
        model.set_weights(
            [rng.normal(size=w.shape) for w in model.get_weights()]
        )
    return [
        [np.array(w, "float64") for w in layer.get_weights()]
        for layer in model.layers
        if layer.weights
    ]


@pytest.mark.parametrize("changed", [False, True])
def test_the_generator_in_numpy(rng, changed):
    model = r3gan_generator(3, (8, 12, 2), seed=0, **SMALL)
    w = all_weights(model, rng if changed else None)
    z = rng.normal(size=(5, 3))
    x = (z @ w[0][0])[:, None, None] * w[1][0]
    x = block(x, w[2:5], groups=4)
    x = resampled(resampled(x, 1, False), 2, False)
    x = block(x, w[5:8], groups=4)
    x = convolved(x, w[8][0])
    np.testing.assert_allclose(
        numpy(model(np.float32(z))), x, rtol=1e-3, atol=1e-3 * x.std()
    )


@pytest.mark.parametrize("changed", [False, True])
def test_the_discriminator_in_numpy(rng, changed):
    sizes = {**SMALL, "filters": (4, 6)}
    model = r3gan_discriminator((8, 12, 2), seed=0, **sizes)
    w = all_weights(model, rng if changed else None)
    images = rng.normal(size=(5, 8, 12, 2))
    x = block(convolved(images, w[0][0]), w[1:4], groups=4)
    x = resampled(resampled(x, 1, True), 2, True)
    x = block(convolved(x, w[4][0]), w[5:8], groups=6)
    x = np.einsum("bhwc,hwc->bc", x, w[8][0]) @ w[9][0]
    np.testing.assert_allclose(
        numpy(model(np.float32(images))), x, rtol=1e-3, atol=1e-3 * x.std()
    )


@pytest.mark.parametrize(("size", "stages"), [(28, 3), (32, 4), (64, 5)])
def test_sizes(size, stages):
    sizes = {"filters": 8, "stages": stages, "blocks": 1}
    generator = r3gan_generator(4, (size, size, 3), **sizes)
    discriminator = r3gan_discriminator((size, size, 3), **sizes)
    assert generator.output_shape == (None, size, size, 3)
    images = generator(np.zeros((2, 4)))
    assert discriminator(images).shape == (2, 1)


def test_the_authors_size():
    """Counted by hand for CIFAR-10: kernels, and biases before the ReLUs."""
    blocks = 2 * (768 * 1536 + 1536 + 9 * 16 * 1536 + 1536 + 1536 * 768)
    count = 64 * 768 + 16 * 768 + 4 * blocks + 768 * 3
    model = r3gan_generator(filters=768)
    assert model.count_params() == count


def test_outputs_start_with_the_variance_of_inputs():
    sizes = {"filters": 64, "stages": 3, "seed": 0}
    discriminator = r3gan_discriminator((28, 28, 1), **sizes)
    layer = next(
        layer for layer in discriminator.layers if "conv2d" in layer.name
    )
    assert abs(np.std(layer.get_weights()[0]) - 1) < 0.3
    kernels = [w for w in discriminator.get_weights() if w.ndim == 4]
    sizes = [np.std(w) * np.sqrt(np.prod(w.shape[:3])) for w in kernels[1:4]]
    gain = np.sqrt(2 / 1.04 / np.sqrt(6))
    np.testing.assert_allclose(sizes, [gain, gain, 0], rtol=0.1)


def test_the_same_seed_gives_the_same_weights():
    for make in (r3gan_generator, r3gan_discriminator):
        options = {"image_shape": (8, 8, 1), **SMALL}
        one, same, other = (make(seed=s, **options) for s in (1, 1, 2))
        for a, b in zip(one.get_weights(), same.get_weights()):
            np.testing.assert_array_equal(a, b)
        assert any(
            (a != b).any()
            for a, b in zip(one.get_weights(), other.get_weights())
        )


@pytest.mark.parametrize(
    "policy",
    ["float32", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)],
)
def test_all_weights_learn(rng, tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    try:
        options = {"image_shape": (8, 8, 1), "classes": 3, "seed": 0, **SMALL}
        generator = r3gan_generator(3, **options)
        discriminator = r3gan_discriminator(minibatch_std=True, **options)
    finally:
        keras.config.set_dtype_policy("float32")
    gan = kmf.MonoFlowGAN(generator, discriminator, seed=0)
    gan.compile(
        keras.optimizers.Adam(1e-2),
        keras.optimizers.Adam(1e-2),
        mapping="relativistic",
        discriminator_loss="relativistic",
        penalty=["r1", "r2"],
    )
    before = gan.get_weights()
    x = np.float32(rng.normal(size=(24, 8, 8, 1)))
    gan.fit(x, np.arange(24) % 3, batch_size=8, verbose=0)
    after = gan.get_weights()
    assert all(np.isfinite(w).all() for w in after)
    assert all((a != b).any() for a, b in zip(after, before))
    assert (
        keras.ops.convert_to_numpy(
            generator([np.zeros((2, 3)), np.zeros(2)])
        ).dtype
        == np.float32
    )
    gan.save(tmp_path / "gan.keras")
    copy = keras.saving.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(copy.sample(4, seed=0), gan.sample(4, seed=0))


def test_what_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="`stages=4`: lower `stages`"):
        r3gan_generator(image_shape=(28, 28, 1))
    with pytest.raises(ValueError, match="`image_shape` must be"):
        r3gan_generator(image_shape=28)
    with pytest.raises(ValueError, match="divisible by 4"):
        r3gan_generator(image_shape=(30, 30, 1), stages=3)
    with pytest.raises(ValueError, match="`group_width` must divide"):
        r3gan_discriminator(filters=10)
    with pytest.raises(ValueError, match="one for each of the 4 stages"):
        r3gan_discriminator(filters=(16, 16))


@pytest.mark.parametrize("shape", [(6, 3), (6, 2, 4, 3)])
def test_the_standard_deviation_of_a_batch(rng, shape):
    x = rng.normal(size=shape)
    layer = MinibatchStandardDeviation()
    y = numpy(layer(np.float32(x)))
    np.testing.assert_allclose(y[..., :-1], x, rtol=1e-5)
    np.testing.assert_allclose(y[..., -1], np.std(x, axis=0).mean(), rtol=1e-5)
    assert layer.compute_output_shape(shape) == y.shape
    same = np.float32(np.tile(x[:1], (6, *[1] * (len(shape) - 1))))
    np.testing.assert_allclose(numpy(layer(same))[..., -1], 0, atol=1e-3)


def test_a_part_of_a_batch_is_refused(monkeypatch):
    monkeypatch.setattr(replicas, "count", lambda: 2)
    with pytest.raises(ValueError, match="needs the whole batch"):
        MinibatchStandardDeviation()(np.zeros((4, 2), "float32"))
