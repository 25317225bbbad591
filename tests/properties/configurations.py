"""Random models, layers and trainings, for what all of them must do."""

import dataclasses
import os

import hypothesis
import keras
import numpy as np
from helpers import Noise
from hypothesis import strategies as st
from keras import layers

import keras_monoflow as kmf
from keras_monoflow.registry import VELOCITIES

BACKEND = keras.backend.backend()

#: `KMF_EXAMPLES=200 pytest -m slow tests/properties` looks further. Compilers
#: take their time for each.
FEW = {"torch": 6, "tensorflow": 3, "jax": 1}[BACKEND]
EXAMPLES = int(os.environ.get("KMF_EXAMPLES", FEW))
settings = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="KMF_EXAMPLES" not in os.environ,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)


def recurrent(units):
    return [
        layers.Reshape((units, 1)),
        layers.LSTM(4, recurrent_dropout=0.2),
        layers.Dense(units),
    ]


def attention(units):
    inputs = keras.Input((units,))
    rows = layers.Reshape((units, 1))(inputs)
    rows = layers.MultiHeadAttention(1, 2)(rows, rows)
    return [keras.Model(inputs, layers.Flatten()(rows))]


def torch_module():
    import torch

    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh())
    # A module computes in the type of its weights, whatever the policy.
    return [
        layers.TorchModuleWrapper(
            module, output_shape=(None, 4), dtype="float32"
        )
    ]


POLICIES = ["float32", "mixed_bfloat16", "mixed_float16"]
PARTICLES = np.random.default_rng(5).normal(size=(16, 2))

#: What each flow calls its discriminator, if it has one.
ROLE = {
    "MonoFlowGAN": "discriminator",
    "W1FE": "critic",
    "W2FE": "potential",
    "ParticleFlow": "discriminator",
    "SampleFlow": None,
}

#: What stands in the middle of a network of 4 units.
LAYERS = {
    "none": lambda: [],
    "batch norm": lambda: [layers.BatchNormalization()],
    "dropout": lambda: [layers.Dropout(0.3)],
    "noise": lambda: [Noise(0.1)],
    "recurrent": lambda: recurrent(4),
    "attention": lambda: attention(4),
    "spectral": lambda: [layers.SpectralNormalization(layers.Dense(4))],
    "activity": lambda: [layers.Dense(4, activity_regularizer="l2")],
}
if BACKEND == "torch":
    LAYERS["torch module"] = torch_module


@dataclasses.dataclass(frozen=True)
class Configuration:
    flow: str
    generator_layer: str
    discriminator_layer: str
    conditional: bool
    policy: str
    arguments: dict
    generator_optimizer: str
    discriminator_optimizer: str

    def networks(self):
        classes = [keras.Input((3,), name="labels")] if self.conditional else []

        def network(inputs, middle, outputs):
            x = keras.Input((inputs,))
            joined = layers.Concatenate()([x, *classes]) if classes else x
            h = layers.Dense(4, activation="tanh")(joined)
            for layer in LAYERS[middle]():
                h = layer(h)
            y = layers.Dense(outputs, dtype="float32")(h)
            return keras.Model([x, *classes] if classes else x, y)

        return (
            network(3, self.generator_layer, 2),
            network(2, self.discriminator_layer, 1),
            network(2, self.discriminator_layer, 1),
        )

    def uncompiled(self):
        """The model, and the optimizers by argument."""
        generator, discriminator, conjugate = self.networks()
        flow, role = getattr(kmf, self.flow), ROLE[self.flow]
        make = {
            "ParticleFlow": lambda: flow(discriminator, PARTICLES, seed=1),
            "W2FE": lambda: flow(generator, discriminator, conjugate, seed=1),
            "SampleFlow": lambda: flow(generator, seed=1),
        }
        plain = lambda: flow(generator, discriminator, seed=1)  # noqa: E731
        model = make.get(self.flow, plain)()
        rates = {}
        if role is not None:
            rates[f"{role}_optimizer"] = self.discriminator_optimizer
        if self.flow != "ParticleFlow":
            rates["generator_optimizer"] = self.generator_optimizer
        return model, {
            argument: getattr(keras.optimizers, name)(1e-2)
            for argument, name in rates.items()
        }

    def model(self, **trainer):
        keras.utils.set_random_seed(4)
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.policy)
        try:
            model, optimizers = self.uncompiled()
            model.compile(**optimizers, **{**self.arguments, **trainer})
        finally:
            keras.config.set_dtype_policy(before)
        return model

    def data(self):
        """Samples and labels of 20 rows; the last of three batches is small."""
        rng = np.random.default_rng(2)
        x = rng.normal(size=(20, 2)).astype("float32")
        y = np.eye(3, dtype="float32")[np.arange(20) % 3]
        return (x, y) if self.conditional else (x,)

    def fit(self, model, **arguments):
        defaults = {"batch_size": 8, "shuffle": False, "verbose": 0}
        return model.fit(*self.data(), **{**defaults, **arguments})


def of_samples(draw):
    """A flow without a discriminator: whether it has classes, and arguments."""
    name = draw(st.sampled_from(sorted(VELOCITIES.makers)))
    velocity = kmf.velocities.get(name)
    if name == "kernel_ratio":
        mapping = draw(st.sampled_from(sorted(kmf.mappings.NAMED)))
        velocity = kmf.velocities.KernelRatio("student", 0.5, mapping)
    conditional = velocity.takes_labels and draw(st.booleans())
    guided = conditional and velocity.takes_guidance
    return conditional, {
        "velocity": velocity,
        "persistency": draw(st.sampled_from([1, 3])),
        "step_size": 0.1,
        "normalize_velocity": draw(st.booleans()),
        "generated_batch": draw(st.sampled_from([None, 6])),
        "guidance": draw(st.sampled_from([1.0, 2.0, (1.0, 3.0)]))
        if guided
        else 1.0,
        "ema": draw(st.sampled_from([None, 0.5])),
    }


def of_discriminators(draw, flow):
    """The same of a flow with one."""
    role, steps = ROLE[flow], draw(st.sampled_from([1, 2, 6]))
    conditional = flow in ("MonoFlowGAN", "W1FE") and draw(st.booleans())
    arguments = {
        f"{role}_steps": steps,
        f"{role}_warmup": draw(st.sampled_from([0, 1])),
        "split_batch": steps < 6 and draw(st.booleans()),
        "step_size": 0.1,
        "normalize_velocity": draw(st.booleans()),
        "penalty": draw(
            st.sampled_from([None, "r1", "r2", "gradient_penalty", "dragan"])
        ),
    }
    if flow != "ParticleFlow":
        splits = conditional and arguments["split_batch"]
        updates = ["persistent", "naive", "proximal"]
        arguments.update(
            persistency=draw(st.sampled_from([1, 3])),
            update=draw(st.sampled_from(updates)),
            reuse_generated=not splits and draw(st.booleans()),
            ema=draw(st.sampled_from([None, 0.5])),
        )
    if flow in ("MonoFlowGAN", "ParticleFlow"):
        arguments["mapping"] = draw(st.sampled_from(sorted(kmf.mappings.NAMED)))
        arguments["discriminator_loss"] = draw(
            st.sampled_from(["logistic", "exponential", "least_squares"])
        )
    return conditional, arguments


@st.composite
def configurations(draw):
    flow = draw(st.sampled_from(sorted(ROLE)))
    conditional, arguments = (
        of_samples(draw)
        if flow == "SampleFlow"
        else of_discriminators(draw, flow)
    )
    # `True` takes minutes on two backends, and has a test of its own.
    arguments["jit_compile"] = draw(st.sampled_from([False, "auto"]))
    if BACKEND != "torch":
        arguments["steps_per_execution"] = draw(st.sampled_from([1, 2]))
    middles = [draw(st.sampled_from(sorted(LAYERS))) for _ in range(2)]
    # XLA compiles no attention of Keras in float16 on a CPU.
    no_float16 = BACKEND == "jax" and "attention" in middles
    optimizers = st.sampled_from(["Adam", "SGD", "RMSprop", "Nadam"])
    return Configuration(
        flow=flow,
        generator_layer=middles[0],
        discriminator_layer=middles[1],
        conditional=conditional,
        policy=draw(st.sampled_from(POLICIES[:2] if no_float16 else POLICIES)),
        arguments=arguments,
        generator_optimizer=draw(optimizers),
        discriminator_optimizer=draw(optimizers),
    )
