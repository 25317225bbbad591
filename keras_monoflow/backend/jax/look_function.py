"""Evaluation and prediction on JAX that lose no weights."""

from collections.abc import Callable
from typing import Any

import jax
import keras

from keras_monoflow.backend.keras_internals import batch_function


def make_look_function(
    model: keras.Model, step: Callable, function: Callable, joins: bool
) -> Callable:
    """Returns what Keras's trainer calls to look at a batch.

    Keras's own takes the memory of all weights for those that come back, so
    that weights are gone if a program fails or is interrupted. A look changes
    few of them: only these come back, and nothing is taken.

    Args:
        model: A `keras.Model`.
        step: A function of the state and a batch.
        function: What Keras made of it.
        joins: Whether the outputs of several batches are joined.
    """
    is_plain = keras.distribution.distribution() is None
    if model.run_eagerly or not model.jit_compile or not is_plain:
        return function
    program = jax.jit(_changes_only(step))

    def run(state: tuple, data: Any) -> tuple[Any, tuple]:
        outputs, changes = program(state, data)
        values, structure = jax.tree.flatten(state)
        for i, value in changes.items():
            values[i] = value
        return outputs, jax.tree.unflatten(structure, values)

    return batch_function(model, run, joins) or function


def _changes_only(step: Callable) -> Callable:
    def changes(state: tuple, data: Any) -> tuple[Any, dict]:
        outputs, new_state = step(state, data)
        pairs = zip(jax.tree.leaves(state), jax.tree.leaves(new_state))
        return outputs, {
            i: new for i, (old, new) in enumerate(pairs) if new is not old
        }

    return changes
