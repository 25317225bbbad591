"""What a second `compile` says counts, though nothing changes in shape."""

import keras
import numpy as np
import pytest
from helpers import make_flow, numpy
from keras import layers

import keras_monoflow as kmf

X = np.float32(np.random.default_rng(0).normal(1.0, size=(16, 2)))


def network(size, seed):
    return keras.Sequential(
        [
            layers.Input((2,)),
            layers.Dense(
                4,
                "tanh",
                kernel_initializer=keras.initializers.GlorotUniform(seed),
            ),
            layers.Dense(
                size,
                kernel_initializer=keras.initializers.GlorotUniform(seed + 1),
            ),
        ]
    )


def gan(**choices):
    model = kmf.MonoFlowGAN(network(2, 1), network(1, 3), seed=0)
    return model, ("sgd", "sgd"), choices


def w1fe(**choices):
    model = kmf.W1FE(network(2, 1), network(1, 3), seed=0)
    return model, ("sgd", "sgd"), choices


def w2fe(**choices):
    networks = (network(1, seed) for seed in (3, 5))
    model = kmf.W2FE(network(2, 1), *networks, seed=0)
    return model, ("sgd", "sgd"), choices


def samples(**choices):
    return kmf.SampleFlow(network(2, 1), seed=0), ("sgd",), choices


def particles(**choices):
    model = kmf.ParticleFlow(network(1, 3), X[:8] - 1, seed=0)
    return model, ("sgd",), {"step_size": 0.1, **choices}


CASES = {
    "mapping": (gan, {"mapping": "mle"}),
    "discriminator_loss": (gan, {"discriminator_loss": "least_squares"}),
    "penalty": (gan, {"penalty": "r1"}),
    "critic_steps": (w1fe, {"critic_steps": 2}),
    "step_size": (w1fe, {"persistency": 2, "step_size": 0.3}),
    "constraint_weight": (w2fe, {"constraint_weight": 10.0}),
    "velocity": (samples, {"velocity": "energy"}),
    "normalize_velocity": (samples, {"normalize_velocity": True}),
    "particles": (particles, {"mapping": "mle"}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_choices_of_the_last_compile_count(case):
    make, choices = CASES[case]
    model, optimizers, usual = make()
    fresh, _, chosen = make(**choices)
    other, _, _ = make()
    start = model.get_weights()

    def train(model, choices):
        model.compile(*optimizers, **choices)
        model.fit(X, batch_size=8, shuffle=False, verbose=0)
        return model.get_weights()[: len(start)]

    def evaluate(model):
        return model.evaluate(X, batch_size=16, verbose=0, return_dict=True)

    unlike = train(other, usual)
    # As before, but for what the first training has changed.
    train(model, usual)
    evaluate(model)
    model.compile(*optimizers, **chosen)
    for new, old in zip(model.variables, fresh.variables):
        new.assign(numpy(old))
    after, expected = train(model, chosen), train(fresh, chosen)
    for a, b in zip(after, expected):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(after, unlike))
    judged = evaluate(model), evaluate(fresh)
    for name, value in judged[1].items():
        np.testing.assert_allclose(judged[0][name], value, rtol=1e-6)


WARMUPS = {
    gan: "discriminator_warmup",
    w1fe: "critic_warmup",
    w2fe: "potential_warmup",
    particles: "discriminator_warmup",
}


@pytest.mark.parametrize("make", WARMUPS, ids=lambda make: make.__name__)
def test_a_warmup_is_that_of_the_models_life(make):
    model, optimizers, choices = make()
    choices = {**choices, WARMUPS[make]: 2}

    def samples():
        return model.sample(4, seed=0)

    before = samples()
    model.compile(*optimizers, **choices)
    model.fit(X[:16], batch_size=8, verbose=0)
    np.testing.assert_array_equal(samples(), before)
    model.compile(*optimizers, **choices)
    model.fit(X[:8], batch_size=8, verbose=0)
    assert np.abs(samples() - before).max() > 0


@pytest.mark.parametrize("flow", ["monoflow", "w1fe"])
def test_a_layer_that_is_frozen_after_a_fit(flow, data):
    """What is compiled does not train it on: it is made anew, or refused."""
    model = make_flow(flow)
    model.fit(data, verbose=0)
    frozen = model.generator.layers[0]
    before = model.generator.get_weights()
    frozen.trainable = False
    if keras.backend.backend() == "jax":
        with pytest.raises(ValueError, match=r"call `compile`.*`trainable`"):
            model.fit(data, verbose=0)
        return
    model.fit(data, verbose=0)
    kept = [
        np.array_equal(*w) for w in zip(before, model.generator.get_weights())
    ]
    assert kept == [True] * len(frozen.weights) + [False] * (
        len(before) - len(frozen.weights)
    )
