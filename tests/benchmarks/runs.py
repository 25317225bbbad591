"""Stretches of training, as functions of the number of rounds.

Each ends only when all work is done.
"""

import itertools

import keras
import numpy as np


def batches_for_keras(data, size):
    """Ready tensors of the backend, one for each batch."""
    return [
        keras.ops.convert_to_tensor(data[i : i + size])
        for i in range(0, len(data) - size + 1, size)
    ]


def fit(model, data, size):
    """All of `fit`, on an array in memory."""

    def run(rounds):
        indices = np.arange(rounds * size) % len(data)
        model.fit(data[indices], batch_size=size, verbose=0)

    return run


def train_function(model, data, size):
    """The compiled step that `fit` calls, on batches that are ready."""
    backends = {"jax": _on_jax, "tensorflow": _on_tensorflow}
    wrap = backends.get(keras.backend.backend(), _on_torch)
    return wrap(model, batches_for_keras(data, size))


def jax_state(model, **options):
    """What a training step on JAX takes and returns."""
    groups = ("trainable", "non_trainable", "optimizer", "metrics")
    return model._get_jax_state(
        **{f"{group}_variables": True for group in groups}, **options
    )


def _on_jax(model, batches):
    import jax

    model.make_train_function()
    state = jax_state(model, purge_model_variables=True)
    iterator = itertools.cycle([(batch,) for batch in batches])

    def run(rounds):
        nonlocal state
        for _ in range(0, rounds, model.steps_per_execution):
            logs, state = model.train_function(state, iterator)
        jax.block_until_ready((logs, state))

    return run


def _on_tensorflow(model, batches):
    import tensorflow as tf

    # What Keras compiles takes its batch from an iterator: see fit_overhead.py.
    step = tf.function(
        model.train_step, jit_compile=model.jit_compile, autograph=False
    )
    iterator = itertools.cycle([(batch,) for batch in batches])

    def run(rounds):
        for _ in range(rounds):
            logs = step(next(iterator))
        return [value.numpy() for value in logs.values()]

    return run


def _on_torch(model, batches):
    model.make_train_function()
    iterator = itertools.cycle([[(batch,)] for batch in batches])

    def run(rounds):
        for _ in range(rounds):
            logs = model.train_function(next(iterator))
        return [float(value) for value in logs.values()]

    return run


def by_hand(step, batches):
    """A plain loop over a hand-written step."""
    iterator = itertools.cycle(batches)

    def run(rounds):
        for _ in range(rounds):
            step.step(next(iterator))
        step.wait()

    return run


def by_hand_fused(step, batches, together):
    """As many rounds in one program; their batches are stacked before."""
    stacked = keras.ops.stack(
        [batches[i % len(batches)] for i in range(together)]
    )

    def run(rounds):
        for _ in range(0, rounds, together):
            step.fused(stacked)
        step.wait()

    return run
