"""Trainings from given weights and noise end at the weights of a reference.

The reference is in NumPy and float64, so that backends which agree with it
agree with each other.
"""

import keras
import numpy as np
import pytest
from helpers import slow_except
from keras import layers, ops
from numpy_flows import (
    LATENT,
    NOISE,
    PARTICLES,
    REAL,
    ROWS,
    TEMPERATURE,
    TIMES,
    WEIGHT,
    Case,
    dual,
    generator_training,
    hellinger,
    lipschitz,
    logistic,
    minus_phi,
    particle_training,
    r1,
    wasserstein,
)
from numpy_networks import SGD, Adam, output

import keras_monoflow as kmf


@keras.saving.register_keras_serializable("tests")
def latent(shape, dtype=None, seed=None):
    """A prior that gives the same points on every backend."""
    return ops.convert_to_tensor(LATENT, dtype=dtype)


class FixedTimes(kmf.penalties.LipschitzPenalty):
    """At given points between data and samples."""

    def times(self, x, seed):
        return ops.convert_to_tensor(TIMES, dtype=x.dtype)


class AllParticles(kmf.ParticleFlow):
    """Shows the discriminator each particle once."""

    def draw(self, n, seed, labels=None, training=False):
        return ops.convert_to_tensor(self._rows.values)


FITS = {"persistency": 3, "step_size": 0.3}
CASES = {
    "monoflow": Case(
        kmf.MonoFlowGAN,
        logistic,
        hellinger,
        {
            "mapping": "hellinger",
            "penalty": kmf.penalties.R1(2.0),
            "discriminator_steps": 2,
            "ema": 0.15,
        },
        penalty=r1,
        steps=2,
    ),
    "w1fe": Case(
        kmf.W1FE,
        wasserstein,
        output,
        {"penalty": FixedTimes(3.0), "step_size": 0.4},
        penalty=lipschitz,
        size=0.4,
    ),
    "w1fe, 3 fits": Case(
        kmf.W1FE,
        wasserstein,
        output,
        {"penalty": FixedTimes(3.0), "critic_steps": 2, "ema": 0.5, **FITS},
        penalty=lipschitz,
        steps=2,
        fits=3,
        size=0.3,
    ),
    "monoflow, proximal": Case(
        kmf.MonoFlowGAN,
        logistic,
        hellinger,
        {"mapping": "hellinger", "update": "proximal", **FITS},
        fits=3,
        size=0.3,
    ),
    "w2fe": Case(
        kmf.W2FE,
        dual,
        minus_phi,
        {"constraint_weight": WEIGHT, "potential_steps": 2, **FITS},
        networks=3,
        steps=2,
        fits=3,
        size=0.3,
    ),
    "particles": Case(
        AllParticles,
        logistic,
        hellinger,
        {
            "mapping": "hellinger",
            "penalty": kmf.penalties.R1(2.0),
            "discriminator_steps": 2,
            "step_size": 0.3,
            "temperature": TEMPERATURE,
        },
        penalty=r1,
        networks=1,
        steps=2,
        size=0.3,
    ),
}
ROLES = {"W1FE": "critic", "W2FE": "potential"}
RATES = {
    SGD: {"generator": 0.3, "other": 0.1},
    Adam: {"generator": 0.02, "other": 0.01},
}


def make_network(units, outputs, rng):
    # The gradient to a last bias would be 0 for critics, or what rounding
    # leaves of it.
    network = keras.Sequential(
        [
            layers.Input((2,)),
            layers.Dense(units, "tanh"),
            layers.Dense(outputs, use_bias=outputs > 1),
        ]
    )
    weights = network.get_weights()
    network.set_weights([rng.normal(size=w.shape) for w in weights])
    return network


def make_model(case, optimizer):
    rng = np.random.default_rng(3)
    networks = [make_network(5, 1, rng) for _ in range(case.networks)]
    role = ROLES.get(case.flow.__name__, "discriminator")
    rates = {f"{role}_optimizer": RATES[optimizer]["other"]}
    if case.flow is AllParticles:
        model = case.flow(*networks, PARTICLES)
    else:
        networks[0] = make_network(4, 2, rng)
        rates["generator_optimizer"] = RATES[optimizer]["generator"]
        model = case.flow(*networks, prior=latent)
    kind = getattr(keras.optimizers, optimizer.__name__)
    model.compile(
        **{argument: kind(rate) for argument, rate in rates.items()},
        **case.arguments,
    )
    return model, networks


def state(model, networks):
    """All weights, the particles' positions, and the average if there is."""
    arrays = [w for n in networks for w in n.get_weights()]
    if isinstance(model, AllParticles):
        arrays.append(model.particles)
    elif model.averaged_generator is not None:
        arrays += model.averaged_generator.get_weights()
    return [a.astype("float64") for a in arrays]


FAST = ["monoflow", "w1fe, 3 fits", "w2fe", "particles"]


@pytest.mark.parametrize("optimizer", slow_except([SGD], [SGD, Adam]))
@pytest.mark.parametrize("name", slow_except(FAST, CASES))
def test_three_rounds_are_those_of_numpy(monkeypatch, name, optimizer):
    case = CASES[name]
    monkeypatch.setattr(
        keras.random,
        "normal",
        lambda shape, stddev=1.0, dtype=None, seed=None: ops.convert_to_tensor(
            NOISE, dtype=dtype
        ),
    )
    model, networks = make_model(case, optimizer)
    before = state(model, networks)
    make_optimizer = lambda role: optimizer(RATES[optimizer][role])  # noqa: E731
    if case.flow is AllParticles:
        want = particle_training(case, before[:3], make_optimizer)
    else:
        g, d = before[:4], before[4 : 4 + 3 * (case.networks - 1)]
        want = generator_training(case, g, d, make_optimizer)

    model.fit(REAL.reshape(-1, 2), batch_size=ROWS, shuffle=False, verbose=0)

    # Without `ema` there is no average to compare.
    for old, new, end in zip(before, state(model, networks), want):
        moved = np.linalg.norm(end - old)
        assert moved > 1e-2 * np.linalg.norm(old)
        assert np.linalg.norm(new - end) <= 1e-4 * moved
