"""DCGANs: shapes, sizes, initial weights, seeds, saving."""

from itertools import pairwise

import keras
import numpy as np
import pytest

from keras_monoflow.networks import dcgan_discriminator, dcgan_generator

BLOCKS = ["dcgan", "depth_to_space"]
SMALL = {"image_shape": (8, 12, 2), "filters": 4, "seed": 0}


def latents(model, n=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, *model.input_shape[1:])).astype("float32")


def layers_of(model, *kinds):
    return [layer for layer in model.layers if isinstance(layer, kinds)]


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize(
    "image_shape",
    [
        pytest.param((28, 28, 1), marks=pytest.mark.slow),
        pytest.param((32, 32, 3), marks=pytest.mark.slow),
        (8, 12, 2),
        (4, 4, 1),
    ],
)
def test_shapes_and_ranges(image_shape, blocks):
    generator = dcgan_generator(5, image_shape, filters=4, blocks=blocks)
    discriminator = dcgan_discriminator(image_shape, filters=4, blocks=blocks)
    assert generator.built
    assert generator.input_shape == (None, 5)
    assert generator.output_shape == (None, *image_shape)
    assert discriminator.input_shape == (None, *image_shape)
    assert discriminator.output_shape == (None, 1)
    images = keras.ops.convert_to_numpy(generator(100 * latents(generator)))
    assert images.shape == (3, *image_shape)
    assert np.abs(images).max() <= 1.0
    assert discriminator(images).shape == (3, 1)


# Counted by hand, kernels as height * width * inputs * outputs. Batch
# normalization has four numbers a channel, two of them trained.
@pytest.mark.parametrize(
    ("model", "count"),
    [
        (
            dcgan_generator,
            100 * 49 * 128 + 4 * 128 + 16 * 128 * 64 + 4 * 64 + 16 * 64,
        ),
        (
            dcgan_discriminator,
            (16 + 1) * 64 + (16 * 64 + 1) * 128 + (49 * 128 + 1),
        ),
    ],
)
def test_size_of_the_papers_nets(model, count):
    assert model().count_params() == count


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "count"),
    [
        (
            dcgan_generator,
            100 * 49 * 96 + 4 * 96 + 9 * 96 * 192 + 4 * 48 + 9 * 48 * 4,
        ),
        (
            dcgan_discriminator,
            (9 * 4 + 1) * 48 + (9 * 192 + 1) * 96 + (49 * 96 + 1),
        ),
    ],
)
def test_size_of_the_depth_to_space_nets(model, count):
    assert model(blocks="depth_to_space").count_params() == count
    assert 0.8 < count / model().count_params() < 1.3


@pytest.mark.slow
def test_the_cifar_nets_of_the_authors():
    """Kernels of MonoFlow's torch nets: 4x4, no biases, 512 to 64 maps."""
    generator = dcgan_generator(100, (32, 32, 3), filters=128, stages=3)
    maps = [512, 256, 128, 3]
    kernels = 100 * 16 * 512 + sum(16 * a * b for a, b in pairwise(maps))
    # Gammas and betas.
    norms = 2 * (512 + 256 + 128)
    assert sum(w.size for w in generator.get_weights()) == kernels + 2 * norms
    discriminator = dcgan_discriminator((32, 32, 3), stages=3, batch_norm=True)
    maps = [3, 64, 128, 256]
    kernels = sum(16 * a * b for a, b in pairwise(maps)) + 16 * 256
    norms = 2 * (128 + 256)
    trained = sum(np.prod(w.shape) for w in discriminator.trainable_variables)
    assert trained == kernels + norms


def test_discriminator_is_the_formula():
    """A 4x4 convolution with stride 2 and one pixel of padding, by hand."""
    model = dcgan_discriminator((4, 4, 1), filters=2, stages=1, seed=0)
    kernel, bias, dense, dense_bias = model.get_weights()
    rng = np.random.default_rng(0)
    bias = rng.normal(size=bias.shape)
    model.set_weights([100 * kernel, bias, 100 * dense, dense_bias])
    image = rng.normal(size=(4, 4))
    padded = np.pad(image, 1)
    maps = np.array(
        [
            [
                np.tensordot(
                    padded[i : i + 4, j : j + 4], 100 * kernel[:, :, 0]
                )
                for j in (0, 2)
            ]
            for i in (0, 2)
        ]
    )
    maps = maps + bias
    maps = np.where(maps > 0, maps, 0.2 * maps)
    expected = maps.reshape(-1) @ (100 * dense) + dense_bias
    out = model(image[None, :, :, None].astype("float32"))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(out)[0], expected, rtol=1e-4
    )


def test_generator_rearranges_depth_into_space():
    """With a kernel that copies channels, pixels are known by hand."""
    model = dcgan_generator(
        4,
        (2, 2, 1),
        filters=4,
        stages=1,
        blocks="depth_to_space",
        batch_norm=False,
    )
    copy = np.zeros((3, 3, 4, 4))
    copy[1, 1] = np.eye(4)
    model.set_weights([np.eye(4), np.zeros(4), copy, np.zeros(4)])
    out = model(np.array([[0.1, 0.2, 0.3, 0.4]], "float32"))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(out)[0, :, :, 0],
        np.tanh([[0.1, 0.2], [0.3, 0.4]]),
        rtol=1e-5,
    )


def test_discriminator_rearranges_space_into_depth():
    model = dcgan_discriminator(
        (2, 2, 1), filters=4, stages=1, blocks="depth_to_space"
    )
    copy = np.zeros((3, 3, 4, 4))
    copy[1, 1] = np.eye(4)
    read = np.array([[1.0], [10.0], [100.0], [1000.0]])
    model.set_weights([copy, np.zeros(4), read, np.zeros(1)])
    image = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")
    out = model(image[None, :, :, None])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(out), [[4321.0]])


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("build", [dcgan_generator, dcgan_discriminator])
def test_initial_weights(build, blocks):
    model = build(blocks=blocks, batch_norm=True, seed=0)
    kinds = (
        keras.layers.Dense,
        keras.layers.Conv2D,
        keras.layers.Conv2DTranspose,
    )
    kernels = [layer.kernel for layer in layers_of(model, *kinds)]
    assert len(kernels) == 3
    for kernel in kernels:
        values = keras.ops.convert_to_numpy(kernel)
        error = 5 / np.sqrt(values.size)
        assert abs(values.mean()) < 0.02 * error
        assert abs(values.std() / 0.02 - 1) < error
    norms = layers_of(model, keras.layers.BatchNormalization)
    assert len(norms) == (2 if build is dcgan_generator else 1)
    for norm in norms:
        gamma = keras.ops.convert_to_numpy(norm.gamma)
        assert abs(gamma.mean() - 1) < 0.02
        assert 0.01 < gamma.std() < 0.03
        assert norm.momentum == 0.9
        assert norm.epsilon == 1e-5


@pytest.mark.parametrize("blocks", BLOCKS)
def test_strides(blocks):
    """The second kind has no strided and no transposed convolution."""
    generator = dcgan_generator(blocks=blocks, **SMALL)
    discriminator = dcgan_discriminator(blocks=blocks, **SMALL)
    transposed = layers_of(generator, keras.layers.Conv2DTranspose)
    strided = [
        layer
        for layer in layers_of(discriminator, keras.layers.Conv2D)
        if layer.strides != (1, 1)
    ]
    expected = 2 if blocks == "dcgan" else 0
    assert len(transposed) == len(strided) == expected


@pytest.mark.slow
def test_only_batch_norm_mixes_the_samples():
    images = np.random.default_rng(0).normal(size=(4, 8, 12, 2))
    for batch_norm in (False, True):
        model = dcgan_discriminator(batch_norm=batch_norm, **SMALL)
        whole, part = (
            keras.ops.convert_to_numpy(model(x, training=True))
            for x in (images, images[:2])
        )
        same = np.allclose(whole[:2], part, rtol=1e-4, atol=1e-7)
        assert same is not batch_norm


@pytest.mark.parametrize("build", [dcgan_generator, dcgan_discriminator])
def test_seed(build):
    first, again = (build(**SMALL).get_weights() for _ in range(2))
    other = build(**{**SMALL, "seed": 1}).get_weights()
    for a, b in zip(first, again):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0], other[0])


@pytest.mark.slow
@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("build", [dcgan_generator, dcgan_discriminator])
def test_round_trip(build, blocks, tmp_path):
    model = build(blocks=blocks, batch_norm=True, **SMALL)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = latents(model)
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), loaded.predict(x, verbose=0)
    )


@pytest.mark.slow
@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("build", [dcgan_generator, dcgan_discriminator])
def test_outputs_are_float32_under_mixed_policies(build, blocks):
    keras.config.set_dtype_policy("mixed_float16")
    model = build(blocks=blocks, **SMALL)
    out = model(latents(model))
    assert keras.backend.standardize_dtype(out.dtype) == "float32"
    dense = layers_of(model, keras.layers.Dense)[0]
    assert dense.compute_dtype == "float16"


@pytest.mark.parametrize("blocks", BLOCKS)
def test_outputs_are_channels_last_whatever_the_configuration(blocks):
    keras.config.set_image_data_format("channels_first")
    try:
        generator = dcgan_generator(blocks=blocks, **SMALL)
        discriminator = dcgan_discriminator(blocks=blocks, **SMALL)
    finally:
        keras.config.set_image_data_format("channels_last")
    assert generator.output_shape == (None, 8, 12, 2)
    assert discriminator.output_shape == (None, 1)


@pytest.mark.parametrize("build", [dcgan_generator, dcgan_discriminator])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (30, 28, 1)}, r"divisible by 4 .*\(30, 28, 1\)"),
        ({"image_shape": (28, 28, 1), "stages": 3}, "divisible by 8"),
        ({"image_shape": (28, 28)}, r"`image_shape` must be .*\(28, 28\)"),
        ({"image_shape": (28, 28, 0)}, "`image_shape` must be at least 1"),
        ({"filters": 0}, "`filters` must be at least 1"),
        ({"stages": 0}, "`stages` must be at least 1"),
        ({"blocks": "resnet"}, "`blocks` must be one of .*'resnet'"),
        ({"seed": -1}, "`seed` must be at least 0"),
    ],
)
def test_values_out_of_range(build, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


@pytest.mark.parametrize("blocks", BLOCKS)
def test_sizes_with_labels(blocks):
    """A vector of five numbers a class, or of all features at the end."""
    options = {"blocks": blocks, "batch_norm": True, **SMALL}
    plain, seeing = (
        dcgan_generator(classes=classes, **options) for classes in (None, 5)
    )
    # 8 x 12 pixels halved twice, of 2 * 4 maps.
    base = 2 * 3 * 8
    added = seeing.count_params() - plain.count_params()
    assert added == 5 * 5 + 5 * base
    plain, seeing = (
        dcgan_discriminator(classes=classes, **options) for classes in (None, 5)
    )
    assert seeing.input_shape == [(None, 8, 12, 2), (None,)]
    assert seeing.count_params() - plain.count_params() == 5 * base
