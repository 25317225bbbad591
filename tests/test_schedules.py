"""Schedules, and Adam with a scheduled decay."""

import keras
import numpy as np
import pytest
from helpers import numpy
from keras import ops

import keras_monoflow as kmf
from keras_monoflow.gradients import apply_gradients


def test_cosine():
    schedule = kmf.schedules.Cosine(0.0, 5.0, 200)
    values = [float(numpy(schedule(t))) for t in (0, 50, 100, 200, 900)]
    expected = [0, 5 * (1 - np.cos(np.pi / 4)) / 2, 2.5, 5, 5]
    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_in_samples():
    cosine = kmf.schedules.Cosine(2e-4, 5e-5, 2e7)
    schedule = kmf.schedules.InSamples(cosine, 512)
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(schedule)
    )
    for step in (0, 10_000, 30_000):
        want = 5e-5 + 7.5e-5 * (1 + np.cos(np.pi * step * 512 / 2e7))
        for s in (schedule, copy):
            value = numpy(s(ops.convert_to_tensor(step)))
            np.testing.assert_allclose(value, want, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: kmf.schedules.Cosine(1, 0, 0), ValueError, "`duration`"),
        (lambda: kmf.schedules.Cosine("a", 0, 1), TypeError, "`start`"),
        (lambda: kmf.schedules.InSamples(0.1, 5), TypeError, "schedule=0.1"),
        (
            lambda: kmf.schedules.InSamples(kmf.schedules.Cosine(1, 0, 1), 0),
            ValueError,
            "`samples` of InSamples",
        ),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("restored", [False, True])
def test_adam_follows_the_schedule_of_its_decay(restored):
    schedule = kmf.schedules.Cosine(0.5, 0.9, 4)
    optimizer = kmf.optimizers.Adam(0.1, 0.3, schedule, epsilon=1e-3)
    if restored:
        optimizer = keras.optimizers.deserialize(
            keras.optimizers.serialize(optimizer)
        )
    variable = keras.Variable(np.float32([1.0, -2.0]))
    optimizer.build([variable])
    w, m, v = np.float64([1.0, -2.0]), 0.0, 0.0
    for t in range(6):
        g = np.array([0.5 + t, -0.1 * t + 0.3])
        beta = 0.9 - 0.4 * (1 + np.cos(np.pi * min(t / 4, 1))) / 2
        m, v = 0.3 * m + 0.7 * g, beta * v + (1 - beta) * g**2
        rate = 0.1 * np.sqrt(1 - beta ** (t + 1)) / (1 - 0.3 ** (t + 1))
        w = w - rate * m / (np.sqrt(v) + 1e-3)
        apply_gradients(
            optimizer, [ops.convert_to_tensor(np.float32(g))], [variable]
        )
        np.testing.assert_allclose(numpy(variable), w, rtol=1e-4)


def test_the_preset_of_r3gan_can_be_written_down(rng, tmp_path):
    """CIFAR-10, arXiv 2501.05441, by numbers of samples; here a few."""
    batch, burn_in = 8, 64

    def cosine(start, end):
        schedule = kmf.schedules.Cosine(start, end, burn_in)
        return kmf.schedules.InSamples(schedule, batch)

    def adam():
        return kmf.optimizers.Adam(cosine(2e-4, 5e-5), 0.0, cosine(0.9, 0.99))

    gan = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2, seed=0),
        kmf.networks.mlp_discriminator(2, seed=1),
        seed=0,
    )
    mapping, loss = kmf.losses.named_gan("r3gan")
    gamma = cosine(0.05, 0.005)
    gan.compile(
        adam(),
        adam(),
        mapping=mapping,
        discriminator_loss=loss,
        penalty=[kmf.penalties.R1(gamma), kmf.penalties.R2(gamma)],
        ema_half_life=cosine(0.0, 5_000_000),
    )
    x = np.float32(rng.normal(size=(64, 2)))
    gan.fit(x, batch_size=batch, shuffle=False, verbose=0)
    gan.save(tmp_path / "gan.keras")
    copy = keras.saving.load_model(tmp_path / "gan.keras")
    for model in (gan, copy):
        model.fit(x, batch_size=batch, shuffle=False, verbose=0)
    for a, b in zip(gan.get_weights(), copy.get_weights()):
        np.testing.assert_array_equal(a, b)
    beta_2 = gan.optimizer.discriminator.beta_2
    np.testing.assert_allclose(numpy(beta_2), 0.99, rtol=1e-6)
