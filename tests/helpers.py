"""Functions that many tests share: arrays, small networks and models."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_monoflow as kmf


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def everything(model):
    """All that a training continues from.

    (Each evaluation starts the noise of evaluations anew.)
    """
    variables = [*model.variables, *model.optimizer.variables]
    return [
        np.array(numpy(v), copy=True)
        for v in variables
        if v is not model.evaluation_seed.state
    ]


def slow_except(fast, values):
    """The values for `parametrize`, of which all but the `fast` are slow."""
    slow = pytest.mark.slow
    return [v if v in fast else pytest.param(v, marks=slow) for v in values]


@keras.saving.register_keras_serializable("tests")
class Noise(layers.Layer):
    """Adds noise, in inference too."""

    def __init__(self, stddev=1.0, **arguments):
        super().__init__(**arguments)
        self.stddev = stddev
        self.seed_generator = keras.random.SeedGenerator(3)

    def call(self, x):
        shape = keras.ops.shape(x)
        return x + keras.random.normal(
            shape, stddev=self.stddev, dtype=x.dtype, seed=self.seed_generator
        )

    def get_config(self):
        return {**super().get_config(), "stddev": self.stddev}


def make_networks(batch_norm=False, dropout=0.0):
    """A generator and a discriminator of points in the plane."""
    generator = [layers.Input((2,)), layers.Dense(8, "tanh")]
    if batch_norm:
        generator.append(layers.BatchNormalization())
    if dropout:
        generator.append(layers.Dropout(dropout))
    generator.append(layers.Dense(2, dtype="float32"))
    discriminator = [layers.Input((2,)), layers.Dense(8, "tanh")]
    if dropout:
        discriminator.append(layers.Dropout(dropout))
    discriminator.append(layers.Dense(1, dtype="float32"))
    return (
        keras.Sequential(generator, name="generator"),
        keras.Sequential(discriminator, name="discriminator"),
    )


def tanh_network(rng, size, units=5, inputs=2):
    """A network of points, as those of `numpy_networks.py`, with normal weights
    and biases."""
    network = keras.Sequential(
        [
            layers.Input((inputs,)),
            layers.Dense(units, "tanh"),
            layers.Dense(size),
        ]
    )
    network.set_weights(
        [rng.normal(size=w.shape) for w in network.get_weights()]
    )
    return network


def make_gan(mapping="non_saturating", seed=1, **compile_arguments):
    gan = kmf.MonoFlowGAN(*make_networks(), seed=seed)
    defaults = {
        "generator_optimizer": keras.optimizers.SGD(0.1),
        "discriminator_optimizer": keras.optimizers.SGD(0.2),
        "mapping": mapping,
    }
    gan.compile(**{**defaults, **compile_arguments})
    return gan


#: What each flow calls its discriminator, if it has one.
ROLES = {
    "monoflow": "discriminator",
    "w1fe": "critic",
    "w2fe": "potential",
    "particles": "discriminator",
    "samples": None,
    "free_particles": None,
}


def make_uncompiled(flow, seed=1, **networks):
    """The model of a flow, with small networks."""
    generator, discriminator = make_networks(**networks)
    if flow == "monoflow":
        return kmf.MonoFlowGAN(generator, discriminator, seed=seed)
    if flow == "w1fe":
        return kmf.W1FE(generator, discriminator, seed=seed)
    if flow == "w2fe":
        _, conjugate = make_networks(**networks)
        return kmf.W2FE(generator, discriminator, conjugate, seed=seed)
    if flow == "samples":
        return kmf.SampleFlow(generator, seed=seed)
    start = np.random.default_rng(seed).normal(size=(48, 2))
    if flow == "free_particles":
        return kmf.ParticleFlow(particles=start, seed=seed)
    return kmf.ParticleFlow(discriminator, start, seed=seed)


def make_flow(flow, seed=1, use_ema=(), **compile_arguments):
    """A compiled model with SGD of rates 0.1 (generator) and 0.2."""
    model = make_uncompiled(flow, seed)
    rates = {"generator": 0.1, ROLES[flow]: 0.2}
    if flow.endswith("particles"):
        del rates["generator"]
        compile_arguments = {"step_size": 0.1, **compile_arguments}
    if ROLES[flow] is None:
        del rates[None]
        compile_arguments = {"velocity": "kernel_ratio", **compile_arguments}
    optimizers = {
        f"{role}_optimizer": keras.optimizers.SGD(
            rate,
            use_ema=("generator" if role == "generator" else "other")
            in use_ema,
            ema_momentum=0.5,
        )
        for role, rate in rates.items()
    }
    model.compile(**optimizers, **compile_arguments)
    return model
