"""Wrote the files of this folder, with version 0.1 (commit 97e85ac).

Run there with `KERAS_BACKEND=tensorflow python write.py`. Nothing here is
random in training, so that all backends must go on to the same weights: the
latent points are rows that are all equal, as the particles are, and R1 draws
nothing.

The weights that `w1fe.npz` goes on to are those of today: 0.1 normalized the
velocity in the first of the fits of a round alone, and the others were longer.
"""

import os
import pathlib

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
from keras import layers

import keras_monoflow as kmf

FOLDER = pathlib.Path(__file__).parent
LATENT = np.tile(np.array([0.7, -0.4], "float32"), (3, 1))
LABELS = np.arange(16, dtype="int32") % 3


def real_samples():
    return np.random.default_rng(0).normal(1.0, 0.5, (16, 2)).astype("float32")


def mlp(outputs, seed, name):
    rng = np.random.default_rng(seed)
    network = keras.Sequential(
        [
            layers.Input((2,)),
            layers.Dense(4, "tanh"),
            layers.Dense(outputs),
        ],
        name=name,
    )
    network.set_weights(
        [np.abs(rng.normal(size=w.shape)) for w in network.get_weights()]
    )
    return network


def conditional(outputs, seed, name):
    rng = np.random.default_rng(seed)
    x, label = layers.Input((2,)), layers.Input((), dtype="int32")
    embedded = kmf.networks.LabelEmbedding(3, 2)(label)
    joined = layers.Concatenate()([x, embedded])
    network = keras.Model([x, label], layers.Dense(outputs)(joined), name=name)
    network.set_weights(
        [rng.normal(size=w.shape) for w in network.get_weights()]
    )
    return network


def adam(rate):
    # With a small epsilon Adam would blow up how backends round zeros.
    return keras.optimizers.Adam(rate, beta_1=0.5, epsilon=0.01)


def monoflow():
    gan = kmf.MonoFlowGAN(
        mlp(2, 0, "generator"), mlp(1, 1, "discriminator"), prior=LATENT, seed=1
    )
    gan.compile(
        adam(1e-2),
        keras.optimizers.SGD(
            keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5)
        ),
        mapping=kmf.mappings.Vanilla(shift=1.0),
        discriminator_loss="matched",
        penalty=kmf.penalties.R1(0.5),
        discriminator_steps=2,
        persistency=3,
        step_size=0.2,
        ema=0.9,
    )
    return gan


def conditional_monoflow():
    gan = kmf.MonoFlowGAN(
        conditional(2, 0, "generator"),
        conditional(1, 1, "discriminator"),
        prior=LATENT,
        seed=1,
    )
    gan.compile(
        adam(1e-2),
        adam(1e-2),
        mapping="arcsinh",
        discriminator_loss="donsker_varadhan",
    )
    return gan


def w1fe():
    model = kmf.W1FE(
        mlp(2, 0, "generator"), mlp(1, 1, "critic"), prior=LATENT, seed=1
    )
    model.compile(
        adam(1e-2),
        adam(1e-2),
        penalty=kmf.penalties.R1(0.5),
        critic_steps=2,
        persistency=3,
        update="proximal",
        normalize_velocity=True,
    )
    return model


def w2fe():
    model = kmf.W2FE(
        mlp(2, 0, "generator"),
        mlp(1, 1, "potential"),
        mlp(1, 2, "conjugate"),
        prior=LATENT,
        seed=1,
    )
    model.compile(adam(1e-2), adam(1e-2), constraint_weight=10.0)
    return model


def particles():
    flow = kmf.ParticleFlow(
        mlp(1, 1, "discriminator"), np.tile(LATENT, (6, 1)), seed=1
    )
    flow.compile(adam(1e-2), mapping="jeffreys", step_size=0.05)
    return flow


MODELS = {
    f.__name__: f
    for f in (monoflow, conditional_monoflow, w1fe, w2fe, particles)
}


def train(model, epochs):
    """Trains for rounds of one whole batch."""
    labels = (LABELS,) if model.conditional else ()
    more = {"callbacks": []}
    if isinstance(model, kmf.ParticleFlow):
        more["record_every"] = 1
    model.fit(
        real_samples(),
        *labels,
        batch_size=16,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        **more,
    )


def outputs(model):
    """What the model makes of fixed inputs, by name."""
    points = np.random.default_rng(1).normal(size=(5, 2)).astype("float32")
    labels = (LABELS[:5],) if model.conditional else ()
    inputs = [points, *labels] if labels else points
    values = {
        "predictions": model.predict(inputs, verbose=0),
        "velocity": model.velocity(points, *labels),
    }
    if isinstance(model, (kmf.MonoFlowGAN, kmf.ParticleFlow)):
        values["log_ratio"] = model.log_ratio(points, *labels)
    if isinstance(model, kmf.ParticleFlow):
        values["trajectory"] = model.trajectory
    return values


def after_another_round(model):
    """All weights and optimizer slots after one more round, in order."""
    train(model, 1)
    return {
        f"weights_{i}": keras.ops.convert_to_numpy(v)
        for i, v in enumerate([*model.weights, *model.optimizer.variables])
    }


if __name__ == "__main__":
    for name, make in MODELS.items():
        model = make()
        train(model, 2)
        model.save(FOLDER / f"{name}.keras")
        values = outputs(model)
        np.savez_compressed(
            FOLDER / f"{name}.npz", **values, **after_another_round(model)
        )
