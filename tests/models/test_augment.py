"""Models whose discriminator sees changed samples."""

import keras
import numpy as np
import pytest
from helpers import tanh_network
from keras import layers, ops
from numpy_networks import descend, input_gradient, output, run, softplus

import keras_monoflow as kmf

LATENT = np.array([0.7, -0.4])


@keras.saving.register_keras_serializable("tests")
class Shift(kmf.augmentation.Augment):
    def change(self, x, probability, seed):
        return x + probability


@keras.saving.register_keras_serializable("tests")
def double(x, seed):
    return 2.0 * x


@keras.saving.register_keras_serializable("tests")
def jitter(x, seed):
    return x + keras.random.normal(ops.shape(x), seed=seed)


def test_both_networks_learn_through_it(rng):
    gan = kmf.MonoFlowGAN(
        tanh_network(rng, 2),
        tanh_network(rng, 1),
        prior=np.tile(LATENT, (3, 1)),
    )
    gan.compile(
        keras.optimizers.SGD(0.1),
        keras.optimizers.SGD(0.1),
        penalty=kmf.penalties.R1(1.0),
        augment=double,
    )
    g, d = (
        [np.array(w, "float64") for w in n.get_weights()]
        for n in (gan.generator, gan.discriminator)
    )
    real = np.float32(rng.normal(1.0, size=(8, 2)))
    z = np.tile(LATENT, (8, 1))
    y = run(g, z)

    def objective(w):
        loss = softplus(-output(w, 2 * real)) + softplus(output(w, 2 * y))
        # The gradient at what the discriminator sees.
        slopes = np.sum(input_gradient(w, 2 * real) ** 2, -1)
        return loss.mean() + slopes.mean() / 2

    d = descend(objective, d, 0.1)
    g = descend(lambda w: softplus(-output(d, 2 * run(w, z))).mean(), g, 0.1)
    gan.fit(real, batch_size=8, shuffle=False, verbose=0)
    after = gan.generator.get_weights() + gan.discriminator.get_weights()
    for new, want in zip(after, [*g, *d]):
        np.testing.assert_allclose(new, want, rtol=1e-4, atol=1e-5)
    # A look asks the discriminator itself.
    np.testing.assert_allclose(
        gan.log_ratio(real), output(d, real), rtol=1e-4, atol=1e-5
    )


def image_gan(augment, **choices):
    shape = (8, 8, 1)
    gan = kmf.MonoFlowGAN(
        keras.Sequential(
            [layers.Input((3,)), layers.Dense(64), layers.Reshape(shape)]
        ),
        keras.Sequential(
            [
                layers.Input(shape),
                layers.Conv2D(4, 3, 2, activation="silu"),
                layers.Flatten(),
                layers.Dense(1),
            ]
        ),
        seed=0,
    )
    gan.compile(
        keras.optimizers.Adam(1e-3),
        keras.optimizers.Adam(1e-3),
        augment=augment,
        **choices,
    )
    return gan


AUGMENTS = {
    "diff_augment": "diff_augment",
    "ada": kmf.augmentation.AdaptiveAugment(ramp=200, every=2, start=0.5),
    "scheduled": kmf.augmentation.DiffAugment(
        probability=kmf.schedules.Cosine(0.0, 0.55, 20)
    ),
    "layer": keras.layers.GaussianNoise(0.2),
    # Neither built, nor with a seed.
    "unbuilt layer": keras.layers.RandomFlip("horizontal"),
    "dropout": keras.layers.Dropout(0.3),
    "function": jitter,
}


@pytest.mark.parametrize("name", AUGMENTS)
def test_a_resumed_run_goes_on_exactly(name, rng, tmp_path):
    x = np.float32(rng.uniform(-1, 1, size=(48, 8, 8, 1)))
    penalties = [kmf.penalties.R1(1.0, every=2), "lecam"]
    gan = image_gan(
        AUGMENTS[name], penalty=penalties, persistency=2, step_size=1.0
    )
    gan.fit(x, batch_size=8, shuffle=False, verbose=0)
    gan.save(tmp_path / "gan.keras")
    copy = keras.saving.load_model(tmp_path / "gan.keras")
    if name == "ada":
        p = [float(m.augment_state.probability) for m in (gan, copy)]
        assert p[0] == p[1] != 0.5
    for model in (gan, copy):
        model.fit(x, batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(gan.get_weights(), copy.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_it_changes_what_is_learned(rng):
    x = np.float32(rng.uniform(-1, 1, size=(32, 8, 8, 1)))
    gans = [image_gan(None), image_gan("diff_augment")]
    gans[1].set_weights(gans[0].get_weights())
    before = gans[0].get_weights()
    for gan in gans:
        gan.fit(x, batch_size=8, shuffle=False, verbose=0)
    for a, b, old in zip(*(gan.get_weights() for gan in gans), before):
        assert np.abs(a - b).max() > 1e-5
        assert np.abs(b - old).max() > 1e-5


def test_compiled_anew_nothing_is_left(rng):
    gan = image_gan("ada")
    weights = len(gan.weights)
    optimizers = keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)
    gan.compile(*optimizers, augment="ada")
    assert len(gan.weights) == weights
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    assert len(gan.weights) == weights - 2
    assert gan.augment is None


def test_what_is_refused(rng):
    gan = kmf.MonoFlowGAN(tanh_network(rng, 2), tanh_network(rng, 1))
    with pytest.raises(ValueError, match="changes images of shape"):
        gan.compile("sgd", "sgd", augment="ada")
    with pytest.warns(UserWarning, match="augment"):
        gan.compile("sgd", "sgd", augment=lambda x, seed: x)


@pytest.mark.parametrize("pack", [1, 2])
def test_the_strength_counts_samples(pack, rng):
    """Those of a pack count each."""
    gan = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2, seed=0),
        kmf.networks.mlp_discriminator(2 * pack, seed=0),
        pack=pack,
        seed=0,
    )
    gan.compile(
        "sgd",
        "sgd",
        augment=kmf.augmentation.AdaptiveAugment(
            Shift(), every=1, ramp=640, start=0.5
        ),
    )
    gan.fit(np.float32(rng.normal(size=(64, 2))), batch_size=64, verbose=0)
    change = float(ops.convert_to_numpy(gan.augment_state.probability)) - 0.5
    assert abs(change) == pytest.approx(64 / 640, rel=1e-5)
