"""Particles against closed forms of their motion, and the public behavior."""

import keras
import numpy as np
import pytest
from helpers import make_flow, make_networks, slow_except
from keras import layers, ops

import keras_monoflow as kmf

SLOPE = np.array([0.6, -0.8])


def linear_discriminator():
    """`D(x) = SLOPE . x`, whose gradient is the same everywhere."""
    dense = layers.Dense(1, use_bias=False)
    network = keras.Sequential([layers.Input((2,)), dense])
    network.set_weights([SLOPE[:, None].astype("float32")])
    return network


class HalfSquare(layers.Layer):
    """`-|x|^2 / 2`, the log density of a normal distribution."""

    def call(self, x):
        return -ops.sum(x**2, axis=-1, keepdims=True) / 2


def quadratic_discriminator():
    # The dense layer gives the optimizer a weight; its rate is 0.
    one = layers.Dense(1, use_bias=False, kernel_initializer="ones")
    return keras.Sequential([layers.Input((2,)), HalfSquare(), one])


def run(discriminator, particles, rounds, fit_arguments=None, **arguments):
    """Moves particles with a discriminator at rest."""
    flow = kmf.ParticleFlow(discriminator, particles, seed=5)
    defaults = {
        "discriminator_optimizer": keras.optimizers.SGD(0.0),
        "mapping": "identity",
        "step_size": 0.1,
    }
    flow.compile(**{**defaults, **arguments})
    data = np.zeros((4 * rounds, 2), "float32")
    flow.fit(data, batch_size=4, verbose=0, **(fit_arguments or {}))
    return flow


@pytest.mark.parametrize(
    "mapping",
    slow_except(["arcsinh", "vanilla"], sorted(kmf.mappings.NAMED)),
)
def test_one_step_of_every_mapping(rng, mapping):
    """x <- x + step_size h'(u) grad u, with h' by central differences."""
    x = rng.normal(size=(12, 2))
    flow = run(linear_discriminator(), x, rounds=1, mapping=mapping)
    h = kmf.mappings.get(mapping)

    def value(u):
        return ops.convert_to_numpy(h(ops.convert_to_tensor(u, "float32")))

    u, eps = x @ SLOPE, 1e-2
    slope = (value(u + eps) - value(u - eps)).astype("float64") / (2 * eps)
    want = x + 0.1 * slope[:, None] * SLOPE
    np.testing.assert_allclose(flow.particles, want, atol=2e-4)


def test_wasserstein_particles_climb_the_critic(rng):
    x = rng.normal(size=(12, 2))
    flow = run(
        linear_discriminator(),
        x,
        rounds=3,
        mapping=None,
        discriminator_loss="wasserstein",
    )
    np.testing.assert_allclose(flow.particles, x + 0.3 * SLOPE, atol=1e-5)
    (penalty,) = flow.penalties
    assert isinstance(penalty, kmf.penalties.LipschitzPenalty)
    assert "log_ratio_real" not in flow.evaluate(x, verbose=0, return_dict=True)
    with pytest.raises(ValueError, match="no density ratio"):
        flow.log_ratio(x)


def test_step_size_schedule_counts_rounds(rng):
    x = rng.normal(size=(6, 2))
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [2, 4], [0.1, 0.02, 0.0]
    )
    flow = run(
        linear_discriminator(),
        x,
        rounds=7,
        step_size=schedule,
        discriminator_steps=3,
    )
    # Rounds 0 to 2 with 0.1, 3 and 4 with 0.02, then none.
    np.testing.assert_allclose(flow.particles, x + 0.34 * SLOPE, atol=1e-5)
    assert flow.rounds == 7


def test_velocity_is_normalized_over_the_particles(rng):
    x = rng.normal(size=(50, 2))
    flow = run(quadratic_discriminator(), x, 1, normalize_velocity=True)
    step = np.linalg.norm(flow.particles - x, axis=1)
    np.testing.assert_allclose(step.mean(), 0.1, rtol=1e-5)
    assert step.std() > 0.01


def test_langevin_noise_has_the_closed_form_variance():
    """x <- (1 - s) x + sqrt(2 t s) xi: the variance of this recursion."""
    n, rounds, s, t = 4000, 6, 0.2, 0.7
    flow = run(
        quadratic_discriminator(),
        np.full((n, 2), 1.5),
        rounds,
        step_size=s,
        temperature=t,
    )
    shrink = (1 - s) ** rounds
    variance = 2 * t * s * (1 - shrink**2) / (1 - (1 - s) ** 2)
    x = flow.particles
    error = 4 / np.sqrt(n)  # four standard errors
    assert abs(x.mean() - 1.5 * shrink) < error * np.sqrt(variance)
    np.testing.assert_allclose(x.var(axis=0), variance, rtol=error * 1.5)
    # Both coordinates and all particles have noise of their own.
    assert abs(np.corrcoef(x.T)[0, 1]) < error
    again = run(
        quadratic_discriminator(),
        np.full((n, 2), 1.5),
        rounds,
        step_size=s,
        temperature=t,
    )
    np.testing.assert_array_equal(again.particles, x)


def test_warmup_lets_the_particles_wait(rng):
    x = rng.normal(size=(6, 2)).astype("float32")
    flow = run(linear_discriminator(), x, rounds=3, discriminator_warmup=3)
    np.testing.assert_array_equal(flow.particles, x)
    flow.fit(np.zeros((4, 2)), batch_size=4, verbose=0)
    np.testing.assert_allclose(flow.particles, x + 0.1 * SLOPE, atol=1e-5)


def test_discriminator_learns_from_particles(rng):
    """One SGD step equals the gradient of the logistic loss in NumPy."""
    # Equal particles, so that it does not matter which are drawn.
    x, data = np.full((8, 2), [0.5, -0.25]), np.full((4, 2), [1.0, 2.0])
    flow = kmf.ParticleFlow(linear_discriminator(), x)
    flow.compile(
        discriminator_optimizer=keras.optimizers.SGD(0.3), step_size=0.1
    )
    flow.fit(data, batch_size=4, verbose=0)

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    gradient = (
        sigmoid(x[0] @ SLOPE) * x[0] - sigmoid(-data[0] @ SLOPE) * data[0]
    )
    (kernel,) = flow.discriminator.get_weights()
    np.testing.assert_allclose(kernel[:, 0], SLOPE - 0.3 * gradient, rtol=1e-5)


@pytest.mark.slow
def test_flow_finds_the_data():
    """A learning discriminator brings a distant cloud to the data."""
    rng = np.random.default_rng(1)
    data = (0.3 * rng.normal(size=(6400, 2)) + [1.0, -1.0]).astype("float32")
    start = 0.3 * rng.normal(size=(300, 2)) + [-1.0, 1.0]
    flow = kmf.ParticleFlow(kmf.networks.mlp_discriminator(2, seed=0), start)
    flow.compile(
        discriminator_optimizer=keras.optimizers.Adam(2e-3, beta_1=0.5),
        mapping="identity",
        discriminator_steps=3,
        step_size=0.05,
    )
    flow.fit(data, batch_size=64, verbose=0)
    distance = kmf.metrics.WassersteinDistance()
    assert distance(data[:300], start) > 2.5
    assert distance(data[:300], flow.particles) < 0.4


# ------------------------------------------------------------- trajectory


@pytest.mark.slow
def test_trajectory(rng):
    x = rng.normal(size=(5, 2))
    flow = run(linear_discriminator(), x, 7, {"record_every": 3})
    np.testing.assert_array_equal(flow.trajectory_rounds, [0, 3, 6])
    want = x + 0.1 * np.array([0, 3, 6])[:, None, None] * SLOPE
    np.testing.assert_allclose(flow.trajectory, want, atol=1e-5)
    data = np.zeros((8, 2))
    flow.fit(data, batch_size=4, epochs=2, verbose=0, record_every=3)
    np.testing.assert_array_equal(flow.trajectory_rounds, [0, 3, 6, 9])
    flow.fit(data, batch_size=4, verbose=0)
    assert len(flow.trajectory) == 4


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="Keras allows one step per execution there",
)
def test_trajectory_with_several_steps_per_execution(rng):
    x = rng.normal(size=(5, 2))
    flow = run(
        linear_discriminator(),
        x,
        8,
        {"record_every": 3},
        steps_per_execution=2,
    )
    # The first chance at or after the rounds 3 and 6.
    np.testing.assert_array_equal(flow.trajectory_rounds, [0, 4, 6])
    want = x + 0.1 * np.array([0, 4, 6])[:, None, None] * SLOPE
    np.testing.assert_allclose(flow.trajectory, want, atol=1e-5)


def test_nothing_is_recorded_unasked(rng):
    flow = run(linear_discriminator(), rng.normal(size=(5, 2)), 2)
    assert flow.trajectory.shape == (0, 5, 2)
    assert flow.trajectory_rounds.shape == (0,)


# ----------------------------------------------------------------- refine


@pytest.mark.slow
@pytest.mark.parametrize("n", slow_except([300], [1, 5, 300]))
def test_refine_follows_the_flow(rng, n):
    """On -|x|^2 / 2 every step multiplies by 1 - step_size."""
    flow = run(quadratic_discriminator(), rng.normal(size=(8, 2)), 1)
    x = rng.normal(size=(n, 2))
    kept = x.copy()
    moved = flow.refine(x, steps=4, step_size=0.2, batch_size=128)
    np.testing.assert_allclose(moved, 0.8**4 * x, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(x, kept)
    # The step size of `compile` unless told otherwise.
    np.testing.assert_allclose(
        flow.refine(x, steps=2), 0.9**2 * x, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_array_equal(flow.refine(x, steps=0), x.astype("float32"))


@pytest.mark.slow
def test_refine_with_noise(rng):
    flow = run(quadratic_discriminator(), rng.normal(size=(8, 2)), 1)
    x = np.zeros((3000, 2))
    noise = {"steps": 1, "step_size": 0.2, "temperature": 0.5}
    moved = flow.refine(x, seed=1, **noise)
    np.testing.assert_allclose(moved.var(), 0.2, rtol=0.1)
    np.testing.assert_array_equal(flow.refine(x, seed=1, **noise), moved)
    assert not np.array_equal(flow.refine(x, seed=2, **noise), moved)
    # Batches have noise of their own.
    assert not np.array_equal(moved[:256], moved[256:512])


@pytest.mark.slow
def test_any_model_refines(data):
    gan = kmf.MonoFlowGAN(*make_networks(), seed=0)
    gan.compile(
        generator_optimizer=keras.optimizers.SGD(0.1),
        discriminator_optimizer=keras.optimizers.SGD(0.1),
        discriminator_loss="donsker_varadhan",
    )
    gan.fit(data, batch_size=32, verbose=0)
    x = gan.sample(40, seed=0)
    want = x + 0.01 * gan.velocity(x)
    moved = gan.refine(x, steps=1, step_size=0.01)
    np.testing.assert_allclose(moved, want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"steps": -1}, ["steps", "-1"]),
        ({"step_size": 0.0}, ["step_size", "0.0"]),
        ({"temperature": -0.5}, ["temperature", "-0.5"]),
        ({"batch_size": 0}, ["batch_size", "0"]),
        ({"samples": np.zeros((4, 3))}, ["samples", r"\(3,\)"]),
        ({"samples": np.full((4, 2), np.nan)}, ["samples", "nan"]),
    ],
)
def test_refine_checks_its_arguments(rng, arguments, words):
    flow = run(linear_discriminator(), rng.normal(size=(4, 2)), 1)
    with pytest.raises(ValueError, match=words[0]) as error:
        flow.refine(**{"samples": np.zeros((4, 2)), **arguments})
    error.match(words[1])


# -------------------------------------------------------- as a Keras model


def test_sample_takes_particles(rng):
    x = rng.normal(size=(20, 2)).astype("float32")
    flow = kmf.ParticleFlow(linear_discriminator(), x)
    taken = flow.sample(20, seed=3)
    np.testing.assert_array_equal(np.sort(taken, axis=0), np.sort(x, axis=0))
    np.testing.assert_array_equal(flow.sample(7, seed=3), taken[:7])
    assert not np.array_equal(flow.sample(20, seed=4), taken)
    with pytest.raises(ValueError, match=r"20.*n=21"):
        flow.sample(21)


def test_particles_are_a_copy(rng):
    flow = kmf.ParticleFlow(linear_discriminator(), rng.normal(size=(3, 2)))
    flow.particles[:] = 7.0
    assert np.abs(flow.particles).max() < 7.0


@pytest.mark.slow
def test_keras_file(tmp_path, rng):
    x = rng.normal(size=(9, 2))
    flow = run(
        linear_discriminator(),
        x,
        4,
        {"record_every": 2},
        mapping="arcsinh",
        temperature=0.5,
        discriminator_warmup=1,
        normalize_velocity=True,
    )
    flow.save(tmp_path / "flow.keras")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    np.testing.assert_array_equal(loaded.particles, flow.particles)
    np.testing.assert_array_equal(loaded.trajectory, flow.trajectory)
    assert loaded.rounds == 4
    old, new = flow.get_compile_config(), loaded.get_compile_config()
    assert {**new, "discriminator_optimizer": None} == {
        **old,
        "discriminator_optimizer": None,
    }
    for f in (flow, loaded):
        f.fit(np.zeros((8, 2)), batch_size=4, verbose=0, record_every=2)
    np.testing.assert_array_equal(loaded.particles, flow.particles)
    np.testing.assert_array_equal(loaded.trajectory_rounds, [0, 2, 4, 6])


@pytest.mark.slow
def test_wasserstein_flow_is_saved(tmp_path, rng):
    flow = run(
        linear_discriminator(),
        rng.normal(size=(9, 2)),
        1,
        mapping=None,
        discriminator_loss="wasserstein",
        penalty=None,
    )
    flow.save(tmp_path / "flow.keras")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    assert isinstance(loaded.discriminator_loss, kmf.losses.WassersteinLoss)
    assert loaded.penalties == []


def test_mixed_precision_moves_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    flow = run(linear_discriminator(), np.full((4, 2), 1000.0), 1)
    # float16 has steps of 0.5 there.
    np.testing.assert_allclose(
        flow.particles - 1000.0, np.tile(0.1 * SLOPE, (4, 1)), atol=2e-3
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"discriminator_optimizer": None}, ["discriminator_optimizer", "req"]),
        ({"step_size": None}, ["step_size", "required"]),
        ({"step_size": -1.0}, ["step_size", "-1.0"]),
        ({"temperature": -1.0}, ["temperature", "-1.0"]),
        ({"temperature": "hot"}, ["temperature", "hot"]),
        ({"mapping": "identidy"}, ["identity"]),
        (
            {"mapping": "mle", "discriminator_loss": "wasserstein"},
            ["mapping", "mle", "no density ratio"],
        ),
        ({"loss": "mse"}, ["loss", "ParticleFlow"]),
    ],
)
def test_bad_compile_arguments(rng, arguments, words):
    with pytest.raises(ValueError, match=words[0]) as error:
        run(linear_discriminator(), rng.normal(size=(4, 2)), 1, **arguments)
    for word in words:
        error.match(word)


@pytest.mark.parametrize(
    ("particles", "words"),
    [
        (np.zeros((4, 3)), ["particles", r"\(4, 3\)"]),
        (np.zeros((0, 2)), ["particles", r"\(0, 2\)"]),
        (np.array([[0.0, np.inf]]), ["particles", "inf"]),
    ],
)
def test_bad_particles(particles, words):
    with pytest.raises(ValueError, match=words[0]) as error:
        kmf.ParticleFlow(linear_discriminator(), particles)
    error.match(words[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, ["`velocity` is required", "sinkhorn"]),
        (
            {"velocity": "mmd", "discriminator_steps": 3},
            ["_steps=3", "no mean"],
        ),
        ({"velocity": "mmd", "penalty": "r1"}, ["penalty='r1'", "no meaning"]),
    ],
)
def test_bad_arguments_without_a_discriminator(rng, arguments, words):
    flow = kmf.ParticleFlow(particles=rng.normal(size=(4, 2)))
    with pytest.raises(ValueError, match=words[0]) as error:
        flow.compile(**arguments)
    error.match(words[1])


def test_a_flow_has_one_source_of_velocities(rng):
    flow = kmf.ParticleFlow(linear_discriminator(), rng.normal(size=(4, 2)))
    with pytest.raises(ValueError, match="velocity='mmd'"):
        flow.compile("sgd", velocity="mmd", step_size=0.1)
    with pytest.raises(ValueError, match="particles=None"):
        kmf.ParticleFlow(linear_discriminator())
    alone = kmf.ParticleFlow(particles=rng.normal(size=(4, 2)))
    with pytest.raises(ValueError, match="not a function of"):
        alone(np.zeros((2, 2), "float32"))


@pytest.mark.parametrize("flow", ["monoflow", "particles", "samples"])
def test_refined_samples_move_as_far_as_in_a_round(flow, data):
    """With `normalize_velocity` the step size is a length."""
    model = make_flow(flow, normalize_velocity=True, step_size=0.1)
    model.fit(data, verbose=0)
    moved = model.refine(data, steps=1) - data
    length = np.linalg.norm(moved, axis=1).mean()
    assert length == pytest.approx(0.1, rel=1e-4)
    # Twice as many steps of half the length at first.
    v = model.velocity(data)
    step = 0.1 / np.linalg.norm(v, axis=1).mean()
    np.testing.assert_allclose(
        model.refine(data, steps=1, step_size=step), data + moved, atol=1e-5
    )


def test_nothing_to_refine(rng):
    flow = kmf.ParticleFlow(linear_discriminator(), rng.normal(size=(4, 2)))
    flow.compile("sgd", step_size=0.1)
    x = rng.normal(size=(3, 2)).astype("float32")
    assert flow.refine(x[:0]).shape == (0, 2)
    # Noise without a seed is another each time.
    moved = [flow.refine(x, temperature=1.0, steps=1) for _ in range(2)]
    assert np.abs(moved[0] - moved[1]).max() > 1e-3


def test_bad_record_every(rng):
    with pytest.raises(ValueError, match="record_every"):
        run(
            linear_discriminator(),
            rng.normal(size=(4, 2)),
            1,
            {"record_every": 0},
        )


def test_monoflow_gan_refuses_the_wasserstein_loss():
    gan = kmf.MonoFlowGAN(*make_networks())
    with pytest.raises(ValueError, match="W1FE"):
        gan.compile(
            generator_optimizer="sgd",
            discriminator_optimizer="sgd",
            discriminator_loss="wasserstein",
        )
