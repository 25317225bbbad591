"""U-Nets, discriminators of patches, and of several scales."""

import keras
import numpy as np
import pytest
from helpers import numpy

import keras_monoflow as kmf
from keras_monoflow.gradients import input_gradient
from keras_monoflow.networks import (
    multi_scale,
    patch_discriminator,
    unet_generator,
)


@pytest.mark.parametrize(("size", "stages"), [(28, 2), (32, 3)])
def test_shapes_of_images(size, stages):
    generator = unet_generator((size, size, 2), 3, filters=4, stages=stages)
    judge = patch_discriminator(
        (size, size, 3), (size, size, 2), filters=4, stages=stages
    )
    assert generator.output_shape == (None, size, size, 3)
    patches = size // 2**stages
    assert judge.output_shape == (None, patches, patches, 1)
    source = np.random.default_rng(0).normal(size=(2, size, size, 2))
    result = numpy(generator(np.float32(source)))
    assert np.abs(result).max() <= 1
    assert judge([result, source]).shape == (2, patches, patches, 1)


def test_shapes_of_signals():
    generator = unet_generator((16, 1), 2, filters=4, stages=2)
    assert generator.output_shape == (None, 16, 2)
    assert patch_discriminator((16, 2), (16, 1)).output_shape == (None, 4, 1)
    judges = multi_scale(lambda s: patch_discriminator(s, filters=2), (16, 2))
    assert [tuple(s) for s in judges.output_shape] == [
        (None, 4, 1),
        (None, 2, 1),
    ]


def test_details_of_the_source_reach_the_result(rng):
    """By the shortcut of the first stage, if nothing comes from further down:
    a pixel changes those around it."""
    generator = unet_generator((16, 16, 1), filters=4, activation="linear")
    for layer in generator.layers:
        if getattr(layer, "strides", None) == (2, 2):
            layer.set_weights([0 * w for w in layer.get_weights()])
    x = np.float32(rng.normal(size=(1, 16, 16, 1)))
    moved = x.copy()
    moved[0, 5, 9] += 0.1
    change = np.abs(numpy(generator(moved)) - numpy(generator(x)))[0, ..., 0]
    expected = np.zeros((16, 16), bool)
    expected[4:7, 8:11] = True
    np.testing.assert_array_equal(change > 1e-5, expected)


@pytest.mark.parametrize(("stages", "seen"), [(1, 10), (2, 22)])
def test_what_a_patch_has_seen(stages, seen):
    judge = patch_discriminator((64, 1), filters=4, stages=stages, seed=0)
    x = np.random.default_rng(0).normal(size=(1, 64, 1)).astype("float32")
    middle = judge.output_shape[1] // 2
    slope = numpy(input_gradient(lambda x: judge(x)[:, middle, 0], x))
    places = np.flatnonzero(slope[0, :, 0])
    assert places[-1] - places[0] + 1 == seen
    assert seen == 3 * 2 ** (stages + 1) - 2


def test_scales_see_averages(rng):
    made = []

    def make(shape):
        made.append(patch_discriminator(shape, filters=2))
        return made[-1]

    judge = multi_scale(make, (16, 16, 1), scales=3)
    x = np.float32(rng.normal(size=(2, 16, 16, 1)))
    for network, output in zip(made, judge(x)):
        np.testing.assert_allclose(numpy(network(x)), numpy(output), rtol=1e-4)
        pooled = x.reshape(2, len(x[0]) // 2, 2, -1, 2, 1)
        x = pooled.mean(axis=(2, 4))


def test_a_translation_trains_and_goes_on(rng, tmp_path):
    sources = np.float32(rng.normal(size=(16, 8, 8, 1)))
    targets = np.tanh(2 * sources)
    model = kmf.MonoFlowGAN(
        unet_generator((8, 8, 1), filters=4, stages=2, seed=0),
        patch_discriminator((8, 8, 1), (8, 8, 1), filters=4, seed=0),
        prior=None,
        seed=0,
    )
    model.compile(
        keras.optimizers.Adam(1e-2),
        keras.optimizers.Adam(1e-3),
        generator_terms=kmf.terms.Reconstruction("l1", 10.0),
        penalty=kmf.penalties.R1(0.01),
    )
    history = model.fit(
        targets, sources, batch_size=8, epochs=20, verbose=0
    ).history["reconstruction"]
    assert history[-1] < 0.6 * history[0]
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        copy.predict(sources, verbose=0), model.predict(sources, verbose=0)
    )


def test_scales_in_a_model(rng, tmp_path):
    judge = multi_scale(
        lambda shape: patch_discriminator(shape, filters=2), (8, 8, 1)
    )
    gan = kmf.MonoFlowGAN(
        kmf.networks.dcgan_generator(2, (8, 8, 1), filters=2), judge
    )
    gan.compile("sgd", "sgd", head_weights=[1.0, 0.5])
    gan.fit(np.float32(rng.normal(size=(8, 8, 8, 1))), verbose=0)
    gan.save(tmp_path / "gan.keras")
    copy = keras.saving.load_model(tmp_path / "gan.keras")
    for a, b in zip(gan.get_weights(), copy.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_seeds():
    for make in (unet_generator, patch_discriminator):
        one, same, other = (make((8, 8, 1), seed=s) for s in (1, 1, 2))
        a, b, c = (m.get_weights()[0] for m in (one, same, other))
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()


def test_shapes_that_are_refused():
    with pytest.raises(ValueError, match="sides that 8 divides"):
        unet_generator((28, 28, 1))
    with pytest.raises(ValueError, match="height, width, channels"):
        patch_discriminator((8, 8, 8, 1))
    with pytest.raises(ValueError, match="must have the sides"):
        patch_discriminator((8, 8, 1), (16, 16, 1))
    with pytest.raises(ValueError, match="sides that 4 divides"):
        multi_scale(patch_discriminator, (10, 10, 1), scales=3)
