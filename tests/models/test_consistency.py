"""The penalty on outputs that an augmentation changes."""

import json

import keras
import numpy as np
import pytest
from helpers import everything, numpy, tanh_network
from keras import ops
from numpy_networks import output

import keras_monoflow as kmf
from keras_monoflow.gradients import value_and_grad
from keras_monoflow.penalties import Consistency


@keras.saving.register_keras_serializable("tests")
def shift(x, seed):
    return x + 0.5


@keras.saving.register_keras_serializable("tests")
def noise(x, seed):
    return x + keras.random.normal(ops.shape(x), dtype=x.dtype, seed=seed)


def test_value_and_gradient(rng):
    x, y = np.float32(rng.normal(size=(2, 7, 2)))
    network = tanh_network(rng, 1)
    penalty = Consistency(3.0, shift)
    weights = [np.array(w, "float64") for w in network.get_weights()]

    def expected(weights):
        gaps = [output(weights, a + 0.5) - output(weights, a) for a in (x, y)]
        return 3 * sum((gap**2).mean() for gap in gaps)

    value, slopes = value_and_grad(
        lambda: penalty(network, ops.array(x), ops.array(y), seed=0),
        network.trainable_variables,
    )
    np.testing.assert_allclose(numpy(value), expected(weights), rtol=1e-5)
    for i, slope in enumerate(slopes):
        direction = rng.normal(size=weights[i].shape)
        moved = [
            [
                w + s * 1e-5 * direction if j == i else w
                for j, w in enumerate(weights)
            ]
            for s in (1, -1)
        ]
        rise = (expected(moved[0]) - expected(moved[1])) / 2e-5
        np.testing.assert_allclose(
            np.sum(numpy(slope) * direction), rise, rtol=1e-3, atol=1e-5
        )


def test_real_and_generated_are_changed_independently():
    """With D(x) = x and noise of variance 1, each part is 1 on average, and
    their product is that of independent ones."""
    x = np.zeros((4, 1), "float32")
    parts = []
    for seed in range(200):
        looks = []

        def critic(x, looks=looks):
            looks.append(numpy(x))
            return x

        Consistency(1.0, noise)(critic, x, x, seed=seed)
        parts.append([looks[1].ravel(), looks[3].ravel()])
    real, generated = np.moveaxis(parts, 1, 0).reshape(2, -1)
    assert abs(np.corrcoef(real, generated)[0, 1]) < 0.1
    np.testing.assert_allclose([real.var(), generated.var()], 1, rtol=0.2)


def test_a_network_that_does_not_depend_on_it_is_free(rng):
    images = np.float32(rng.uniform(-1, 1, size=(5, 8, 8, 3)))
    augment = kmf.augmentation.DiffAugment("color")

    def blind(x):  # to brightness
        gaps = x[:, 1:] - x[:, :-1]
        return ops.sum(gaps * 0.0, axis=(1, 2, 3))

    penalty = Consistency(10.0, augment)
    assert float(numpy(penalty(blind, images, images, seed=0))) == 0

    def bright(x):
        return ops.mean(x, axis=(1, 2, 3))

    assert float(numpy(penalty(bright, images, images, seed=0))) > 0.01


@pytest.mark.parametrize("augment", ["diff_augment", noise])
def test_a_model_trains_and_goes_on_with_it(rng, tmp_path, augment):
    x = np.float32(rng.uniform(-1, 1, size=(24, 8, 8, 1)))
    networks = kmf.networks
    gan = kmf.MonoFlowGAN(
        networks.dcgan_generator(3, (8, 8, 1), filters=2, seed=0),
        networks.dcgan_discriminator((8, 8, 1), filters=2, seed=0),
        seed=0,
    )
    gan.compile("sgd", "sgd", penalty=["r1", Consistency(augment=augment)])
    gan.fit(x, batch_size=8, verbose=0)
    gan.save(tmp_path / "gan.keras")
    copy = keras.saving.load_model(tmp_path / "gan.keras")
    for model in (gan, copy):
        logs = model.fit(x, batch_size=8, shuffle=False, verbose=0).history
    assert logs["penalty"][0] > 0
    for a, b in zip(everything(gan), everything(copy)):
        np.testing.assert_array_equal(a, b)


def test_configuration():
    penalty = Consistency(2.0, kmf.augmentation.DiffAugment("cutout"), 4)
    config = json.loads(json.dumps(penalty.get_config()))
    copy = Consistency.from_config(config)
    assert copy.get_config() == penalty.get_config()
    assert copy.augment.policy == penalty.augment.policy


@pytest.mark.parametrize(
    "augment", [None, "ada", keras.layers.GaussianNoise(0.1)]
)
def test_what_keeps_a_state_is_refused(augment):
    with pytest.raises(ValueError, match="`augment` of Consistency"):
        Consistency(augment=augment)


def test_a_probability_by_schedule_is_refused():
    """A penalty does not know the round, and would take the first for ever."""
    schedule = kmf.schedules.Cosine(0.0, 1.0, duration=10)
    augment = kmf.augmentation.DiffAugment(probability=schedule)
    with pytest.raises(ValueError, match="constant `probability`"):
        Consistency(augment=augment)


def test_points_have_no_colors(rng):
    x = np.float32(rng.normal(size=(4, 2)))
    with pytest.raises(ValueError, match="images"):
        Consistency()(lambda x: x[:, 0], x, x, seed=0)
