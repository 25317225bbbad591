"""Penalties that change from round to round, and what they remember."""

import keras
import numpy as np
import pytest
from helpers import tanh_network
from numpy_networks import output

import keras_monoflow as kmf

LATENT = np.array([0.7, -0.4])
SCHEDULE = keras.optimizers.schedules.PiecewiseConstantDecay(
    [0, 1], [3.0, 2.0, 1.0]
)


def make_gan(rng, penalty, rate=0.1, **arguments):
    """A GAN whose generated samples are all one point."""
    networks = (tanh_network(rng, size, units=4) for size in (2, 1))
    gan = kmf.MonoFlowGAN(*networks, prior=np.tile(LATENT, (3, 1)), seed=0)
    recompile(gan, penalty, rate, **arguments)
    return gan


def recompile(gan, penalty, rate=0.1, **arguments):
    optimizers = keras.optimizers.SGD(rate), keras.optimizers.SGD(rate)
    gan.compile(*optimizers, penalty=penalty, **arguments)


def train(gan, x):
    """As many rounds as `x` has batches; returns the logs."""
    history = gan.fit(x, batch_size=8, shuffle=False, verbose=0)
    return {name: values[0] for name, values in history.history.items()}


@pytest.fixture
def data(rng):
    return np.float32(rng.normal(1.0, size=(4, 8, 2)))


@pytest.mark.parametrize("steps", [1, 2])
def test_a_lazy_penalty_is_every_k_rounds_k_times_as_strong(data, steps):
    rngs = (np.random.default_rng(3) for _ in range(2))
    choices = {"discriminator_steps": steps}
    always = kmf.penalties.R2(0.5)
    lazy = make_gan(
        next(rngs), [kmf.penalties.R1(0.2, every=2), always], **choices
    )
    expected = make_gan(next(rngs), None, **choices)
    logs = train(lazy, data.reshape(-1, 2))
    penalties = []
    for i, x in enumerate(data):
        due = [kmf.penalties.R1(0.4)] if i % 2 == 0 else []
        recompile(expected, [*due, always], **choices)
        penalties.append(train(expected, x)["penalty"])
    for a, b in zip(lazy.get_weights(), expected.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logs["penalty"], np.mean(penalties), rtol=1e-5)


@pytest.mark.parametrize("name", ["R1", "Centering"])
def test_the_weight_can_follow_a_schedule_of_the_round(data, name):
    rngs = (np.random.default_rng(3) for _ in range(2))
    penalty = getattr(kmf.penalties, name)
    scheduled = make_gan(next(rngs), penalty(SCHEDULE))
    expected = make_gan(next(rngs), None)
    train(scheduled, data[:3].reshape(-1, 2))
    for x, weight in zip(data, [3.0, 2.0, 1.0]):
        recompile(expected, penalty(weight))
        train(expected, x)
    for a, b in zip(scheduled.get_weights(), expected.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_averages_of_lecam(data, rng):
    # (The rate is too small to change anything.)
    gan = make_gan(rng, kmf.penalties.LeCam(2.0, decay=0.6), rate=1e-12)
    logs = train(gan, data.reshape(-1, 2))
    d = [np.array(w, "float64") for w in gan.discriminator.get_weights()]
    fake = output(d, gan.sample(1, seed=0))
    mean, penalties = None, []
    for x, decay in zip(data, [0, 0.5, 0.6, 0.6]):
        real = output(d, x)
        mean = real.mean() if mean is None else mean
        mean = decay * mean + (1 - decay) * real.mean()
        above = np.maximum(0, real - fake) ** 2
        below = np.maximum(0, mean - fake) ** 2
        penalties.append(2 * (above.mean() + below.mean()))
    (state,) = gan.penalty_states
    np.testing.assert_allclose(state.means, [mean, fake[0]], rtol=1e-5)
    np.testing.assert_allclose(logs["penalty"], np.mean(penalties), rtol=1e-4)
    # Another `compile` begins anew, and leaves nothing behind.
    weights = len(gan.weights)
    recompile(gan, kmf.penalties.LeCam(2.0))
    assert len(gan.weights) == weights
    assert not np.any(gan.penalty_states[0].means)


def test_all_of_it_is_resumed_exactly(data, rng, tmp_path):
    penalties = [
        kmf.penalties.R1(SCHEDULE, every=3, finite_difference=0.1),
        kmf.penalties.R2(0.1, finite_difference=0.1),
        kmf.penalties.LeCam(0.5, decay=0.7),
        "centering",
    ]
    gan = make_gan(rng, penalties)
    train(gan, data[:2].reshape(-1, 2))
    gan.save(tmp_path / "gan.keras")
    copy = keras.saving.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(
        copy.penalty_states[0].means, gan.penalty_states[0].means
    )
    before = gan.discriminator.get_weights()
    for model in (gan, copy):
        train(model, data.reshape(-1, 2))
    assert np.abs(gan.discriminator.get_weights()[0] - before[0]).max() > 1e-3
    for a, b in zip(gan.get_weights(), copy.get_weights()):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(
        copy.penalty_states[0].means, gan.penalty_states[0].means
    )


def test_what_is_refused(rng):
    r1, r2 = kmf.penalties.R1(1.0, every=4), kmf.penalties.R2(1.0, every=8)
    with pytest.raises(ValueError, match="every=4 and every=8"):
        make_gan(rng, [r1, r2])
    make_gan(rng, [r1, "lecam"])
    with pytest.raises(ValueError, match="`every` must be at least 1"):
        kmf.penalties.R1(every=0)
    with pytest.raises(TypeError, match=r"every=2\.5"):
        kmf.penalties.LeCam(every=2.5)
    with pytest.raises(ValueError, match="`finite_difference` of R2"):
        kmf.penalties.R2(finite_difference=0.0)
    with pytest.raises(ValueError, match="`decay` of LeCam"):
        kmf.penalties.LeCam(decay=1.0)
    mlp = kmf.networks.mlp_discriminator
    flow = kmf.W2FE(kmf.networks.mlp_generator(2, 2), mlp(2), mlp(2))
    with pytest.raises(ValueError, match="gradients alone"):
        flow.compile("sgd", "sgd", penalty="lecam")


@keras.saving.register_keras_serializable("tests")
class OneForEach(kmf.penalties.WeightedTerm):
    def value(self, discriminator, real, generated, seed=None):
        return discriminator(real) ** 2


def test_a_penalty_of_each_sample_is_refused(data, rng):
    """Its gradient would be that of the sum, its log that of the mean."""
    gan = make_gan(rng, OneForEach(1.0))
    with pytest.raises(ValueError, match=r"OneForEach must be one number"):
        train(gan, data[0])


def test_differences_of_patches_are_not_taken_in_half_precision(rng):
    """Their sum is in float32, and what was rounded is lost."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    patches = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 3)]
    )
    generator = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(16, dtype="float32"),
            keras.layers.Reshape((4, 4, 1), dtype="float32"),
        ]
    )
    gan = kmf.MonoFlowGAN(generator, patches, seed=0)
    gan.compile("sgd", "sgd", penalty=kmf.penalties.R1(finite_difference=0.01))
    with pytest.raises(ValueError, match="in half precision"):
        gan.fit(rng.normal(size=(8, 4, 4, 1)), batch_size=8, verbose=0)
