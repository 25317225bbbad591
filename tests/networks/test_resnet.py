"""Residual networks: formulas, sizes, initial weights, seeds, spectra."""

import keras
import numpy as np
import pytest
from helpers import numpy
from training_passes import make_passes

from keras_monoflow import gradients
from keras_monoflow.networks import (
    ConditionalBatchNormalization,
    resnet_discriminator,
    resnet_generator,
)

SMALL = {"image_shape": (4, 8, 2), "filters": 4, "stages": 1, "seed": 0}


def batch(model, n=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, *model.input_shape[1:])).astype("float32")


def layers_of(model, kind):
    """All layers of a kind, those inside wrappers too, in their order."""
    return [x for x in model._flatten_layers() if isinstance(x, kind)]


def set_random_weights(model, rng):
    """Variances must be positive; all else may be anything."""
    model.set_weights(
        [
            0.5 + rng.random(w.shape)
            if "variance" in w.name
            else 0.5 * rng.normal(size=w.shape)
            for w in model.weights
        ]
    )


# ------------------------------------------------------- recomputed in NumPy


def convolve(x, layer):
    """A 3x3 convolution with a border of zeros, or a 1x1 convolution."""
    kernel = numpy(layer.kernel)
    size = kernel.shape[0]
    height, width = x.shape[1:3]
    x = np.pad(x, [(0, 0), *[(size // 2, size // 2)] * 2, (0, 0)])
    out = sum(
        x[:, i : i + height, j : j + width] @ kernel[i, j]
        for i in range(size)
        for j in range(size)
    )
    return out + numpy(layer.bias) if layer.use_bias else out


def relu(x):
    return np.maximum(x, 0)


def upsample(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


def pool(x):
    pairs = x[:, ::2] + x[:, 1::2]
    return (pairs[:, :, ::2] + pairs[:, :, 1::2]) / 4


def in_order(model):
    """The 3x3 and the 1x1 convolutions, one after another."""
    convolutions = layers_of(model, keras.layers.Conv2D)
    by_size = [
        [x for x in convolutions if x.kernel_size == (size, size)]
        for size in (3, 1)
    ]
    return map(iter, by_size)


def normalize_like(layer, x, y):
    if isinstance(layer, ConditionalBatchNormalization):
        inner = layer.normalization
        scale = numpy(layer.scale.embeddings)[y][:, None, None]
        offset = numpy(layer.offset.embeddings)[y][:, None, None]
    else:
        inner, scale, offset = layer, numpy(layer.gamma), numpy(layer.beta)
    deviation = np.sqrt(numpy(inner.moving_variance) + 1e-5)
    return (x - numpy(inner.moving_mean)) / deviation * scale + offset


@pytest.mark.slow
@pytest.mark.parametrize("classes", [None, 3])
def test_generator_is_the_formula(classes):
    rng = np.random.default_rng(0)
    model = resnet_generator(5, (4, 8, 2), (3, 4), 2, classes=classes)
    set_random_weights(model, rng)
    z, y = rng.normal(size=(4, 5)).astype("float32"), np.array([2, 0, 1, 2])
    dense = layers_of(model, keras.layers.Dense)[0]
    x = z @ numpy(dense.kernel) + numpy(dense.bias)
    x = x.reshape(4, 1, 2, 3)
    kinds = keras.layers.BatchNormalization, ConditionalBatchNormalization
    norms = iter([m for m in model.layers if isinstance(m, kinds)])
    large, small = in_order(model)
    for _ in range(2):
        h = upsample(relu(normalize_like(next(norms), x, y)))
        h = convolve(h, next(large))
        h = convolve(relu(normalize_like(next(norms), h, y)), next(large))
        x = h + convolve(upsample(x), next(small))
    x = np.tanh(convolve(relu(normalize_like(next(norms), x, y)), next(large)))
    assert not list(norms)
    inputs = z if classes is None else [z, y]
    np.testing.assert_allclose(numpy(model(inputs)), x, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_discriminator_is_the_formula(pooling):
    rng = np.random.default_rng(0)
    model = resnet_discriminator((4, 8, 2), (3, 4), 2, 1, pooling)
    set_random_weights(model, rng)
    image = x = batch(model)
    large, small = in_order(model)
    for halve in (True, True, False):
        h = x if x is image else relu(x)
        h = convolve(relu(convolve(h, next(large))), next(large))
        x = pool(h) + pool(convolve(x, next(small))) if halve else h + x
    assert not list(large)
    assert not list(small)
    x = getattr(relu(x), pooling)(axis=(1, 2))
    (dense,) = layers_of(model, keras.layers.Dense)
    expected = x @ numpy(dense.kernel) + numpy(dense.bias)
    np.testing.assert_allclose(numpy(model(image)), expected, rtol=1e-4)


# ------------------------------------------------------------ sizes and shapes


@pytest.mark.slow
def test_the_cifar_nets_of_the_authors():
    """Kernels of table 4 of Miyato et al., counted by hand.

    And the biases of the dense and last layers, of all 3x3 convolutions of
    the discriminator, and two numbers a channel and normalization.
    """
    generator = resnet_generator()
    count = 129 * 16 * 256 + 3 * (9 + 9 + 1) * 256**2 + (9 * 256 + 1) * 3
    trained = sum(np.prod(w.shape) for w in generator.trainable_variables)
    assert trained == count + 7 * 2 * 256
    discriminator = resnet_discriminator()
    first = (9 * 3 + 1 + 9 * 128 + 1 + 3) * 128
    others = 3 * 2 * (9 * 128 + 1) * 128 + 128**2
    assert discriminator.count_params() == first + others + 128 + 1


@pytest.mark.parametrize(
    ("image_shape", "stages"),
    [((28, 28, 1), 2), ((32, 32, 3), 3), ((16, 8, 1), 1)],
)
def test_shapes(image_shape, stages):
    sizes = {"image_shape": image_shape, "stages": stages, "filters": 2}
    generator = resnet_generator(5, **sizes)
    discriminator = resnet_discriminator(flat_blocks=0, **sizes)
    assert generator.input_shape == (None, 5)
    assert generator.output_shape == (None, *image_shape)
    assert discriminator.input_shape == (None, *image_shape)
    assert discriminator.output_shape == (None, 1)
    assert generator.name == "generator"
    assert discriminator.name == "discriminator"
    base = (image_shape[0] // 2**stages, image_shape[1] // 2**stages, 2)
    reshape = layers_of(generator, keras.layers.Reshape)[0]
    assert reshape.target_shape == base


def test_all_convolutions_have_stride_1():
    for model in (resnet_generator(**SMALL), resnet_discriminator(**SMALL)):
        for layer in layers_of(model, keras.layers.Conv2D):
            assert layer.strides == (1, 1)
        assert not layers_of(model, keras.layers.Conv2DTranspose)


@pytest.mark.slow
def test_outputs_are_channels_last_whatever_the_configuration():
    keras.config.set_image_data_format("channels_first")
    try:
        models = resnet_generator(**SMALL), resnet_discriminator(**SMALL)
    finally:
        keras.config.set_image_data_format("channels_last")
    assert [m.output_shape for m in models] == [(None, 4, 8, 2), (None, 1)]
    images = numpy(models[0](batch(models[0])))
    assert models[1](images).shape == (3, 1)


# -------------------------------------------------------------------- weights


@pytest.mark.parametrize("build", [resnet_generator, resnet_discriminator])
def test_initial_weights(build):
    """Uniform, as Glorot and Bengio, twice the variance inside the blocks."""
    model = build(filters=16, seed=0)
    for layer in layers_of(model, (keras.layers.Conv2D, keras.layers.Dense)):
        kernel = numpy(layer.kernel)
        gain = 2 if kernel.ndim == 4 and kernel.shape[0] == 3 else 1
        fans = kernel[..., 0].size + kernel.size // kernel.shape[-2]
        bound = np.sqrt(3 * gain * 2 / fans)
        assert np.abs(kernel).max() <= bound * 1.0001
        error = 5 / np.sqrt(kernel.size)
        assert abs(kernel.std() / bound * np.sqrt(3) - 1) < error
    for norm in layers_of(model, keras.layers.BatchNormalization):
        assert (norm.momentum, norm.epsilon) == (0.9, 1e-5)
        assert (numpy(norm.gamma) == 1).all()


@pytest.mark.parametrize("spectral", [False, True])
def test_seed(spectral):
    """The start of the power iterations comes from it, too."""

    def build(seed):
        model = resnet_discriminator(
            (4, 4, 1), 3, 1, spectral_normalization=spectral, seed=seed
        )
        return model.get_weights()

    first, again, other = build(1), build(1), build(2)
    for a, b, c in zip(first, again, other):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c) or not a.any()
    generators = [resnet_generator(**SMALL).get_weights() for _ in range(2)]
    for a, b in zip(*generators):
        np.testing.assert_array_equal(a, b)


def test_generators_and_discriminators_differ():
    generator, discriminator = (
        build(image_shape=(4, 4, 4), filters=4, stages=1, seed=0)
        for build in (resnet_generator, resnet_discriminator)
    )
    weights = [
        w
        for model in (generator, discriminator)
        for w in model.get_weights()
        if w.ndim == 4
    ]
    for i, one in enumerate(weights):
        for other in weights[:i]:
            if one.shape == other.shape:
                assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    "build",
    [
        resnet_generator,
        lambda **k: resnet_generator(batch_norm=False, **k),
        resnet_discriminator,
        lambda **k: resnet_discriminator(spectral_normalization=True, **k),
    ],
    ids=["generator", "plain", "discriminator", "spectral"],
)
def test_gradients_reach_all_weights(build):
    """No bias is there that a normalization would undo."""
    model = build(**SMALL)
    set_random_weights(model, np.random.default_rng(1))
    x = batch(model, 6)
    rng = np.random.default_rng(2)
    weights = keras.ops.convert_to_tensor(
        rng.normal(size=(6, *model.output_shape[1:])), "float32"
    )
    _, grads = gradients.value_and_grad(
        lambda: keras.ops.sum(model(x, training=True) * weights),
        model.trainable_variables,
    )
    for variable, gradient in zip(model.trainable_variables, grads):
        assert np.abs(numpy(gradient)).max() > 1e-4, variable.path


@pytest.mark.slow
def test_samples_are_judged_alone():
    model = resnet_discriminator(**SMALL)
    x = batch(model, 4)
    whole, part = (numpy(model(v, training=True)) for v in (x, x[:2]))
    np.testing.assert_allclose(whole[:2], part, rtol=1e-4)


# ----------------------------------------------------- spectral normalization


def spectra(model):
    """The largest singular value of every kernel, as one matrix."""
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    kernels = [numpy(layer.kernel) for layer in layers_of(model, kinds)]
    return np.array(
        [
            np.linalg.svd(k.reshape(-1, k.shape[-1]), compute_uv=False)[0]
            for k in kernels
        ]
    )


@pytest.mark.parametrize("classes", [None, 3])
def test_spectral_normalization_bounds_all_kernels(classes):
    model = resnet_discriminator(
        spectral_normalization=True, classes=classes, **SMALL
    )
    assert spectra(model).max() > 1.5
    x = np.random.default_rng(0).normal(size=(2, 4, 8, 2)).astype("float32")
    inputs = x if classes is None else [x, np.array([0, 2])]
    make_passes(model, inputs, 60)
    largest = spectra(model)
    # Three blocks, two with a shortcut of their own, and the output.
    assert len(largest) == (8 if classes is None else 9)
    np.testing.assert_allclose(largest, 1, atol=0.01)
    before = model.get_weights()
    model(inputs)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_spectral_normalization_keeps_kernels_in_float32():
    """Rounded to float16, they would lose the small steps of optimizers."""
    keras.config.set_dtype_policy("mixed_float16")
    model = resnet_discriminator(spectral_normalization=True, **SMALL)
    out = model(batch(model), training=True)
    assert keras.backend.standardize_dtype(out.dtype) == "float32"
    for layer in layers_of(model, keras.layers.Conv2D):
        assert layer.compute_dtype == "float16"
        kernel = numpy(layer.kernel)
        assert kernel.dtype == np.float32
        assert np.any(kernel != kernel.astype("float16"))


# --------------------------------------------------------- saving and errors


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [
        resnet_generator,
        lambda **k: resnet_discriminator(spectral_normalization=True, **k),
    ],
    ids=["generator", "discriminator"],
)
def test_round_trip(build, tmp_path):
    model = build(**SMALL)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = batch(model)
    # Training passes use all state, the vectors of power iterations too.
    for training in (False, True):
        np.testing.assert_allclose(
            numpy(model(x, training=training)),
            numpy(loaded(x, training=training)),
            rtol=1e-5,
            atol=1e-6,
        )


def test_generator_is_float32_under_mixed_policies():
    keras.config.set_dtype_policy("mixed_float16")
    model = resnet_generator(**SMALL)
    out = model(batch(model))
    assert keras.backend.standardize_dtype(out.dtype) == "float32"
    assert layers_of(model, keras.layers.Dense)[0].compute_dtype == "float16"


@pytest.mark.parametrize("build", [resnet_generator, resnet_discriminator])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (30, 28, 1), "stages": 2}, r"divisible by 4 .*\(30"),
        ({"image_shape": (28, 28)}, r"`image_shape` must be .*\(28, 28\)"),
        ({"filters": 0}, "`filters` must be at least 1"),
        ({"filters": (8, 0, 8)}, "`filters` must be at least 1"),
        ({"filters": (8, 8), "stages": 3}, r"each of the 3 stages.*\(8, 8\)"),
        ({"stages": 0}, "`stages` must be at least 1"),
        ({"seed": -1}, "`seed` must be at least 0"),
    ],
)
def test_values_out_of_range(build, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


def test_values_of_one_network():
    with pytest.raises(ValueError, match="`latent_dim` must be at least 1"):
        resnet_generator(0)
    with pytest.raises(ValueError, match="`flat_blocks` must be at least 0"):
        resnet_discriminator(flat_blocks=-1)
    with pytest.raises(ValueError, match=r"`pooling` must be .*pooling='max'"):
        resnet_discriminator(pooling="max")
    with pytest.raises(TypeError, match=r"`filters` must be an integer.*2\.0"):
        resnet_generator(filters=2.0)
