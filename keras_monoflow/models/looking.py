"""Looks at a model, after which it is as it was."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow import gradients
from keras_monoflow.arguments import check_integer
from keras_monoflow.backend import keras_internals


@contextlib.contextmanager
def looking(model: Any, seed: int | None = None) -> Iterator[None]:
    """Inside, one looks at a model; afterwards it is as it was.

    Some networks draw noise in inference too (noise injection, Gumbel-softmax).
    Inside, this noise is a function of `seed`; afterwards training goes on with
    the noise that it would have had. After an error the model has its weights.

    Args:
        model: A `FlowModel`.
        seed: Integer, or `None` to let the noise go on from where it is.
    """
    with gradients.keep_variables(model):
        states = _noise_states(model)
        before = [ops.convert_to_numpy(state) for state in states]
        try:
            if seed is not None:
                _seed(states, seed)
            yield
        finally:
            gradients.take_back_variables(model)
            for state, value in zip(states, before):
                state.assign(value)


def seed_or_random(seed: int | None) -> int:
    """Returns `seed`, or for `None` one that follows
    `keras.utils.set_random_seed`.

    What shuffles training data is left alone.

    Raises:
        TypeError, ValueError: If it is not an integer of at least 0.
    """
    if seed is None:
        return int(keras.random.randint((), 0, 2**31 - 1))
    return check_integer("seed", seed, minimum=0)


def _noise_states(model):
    """The states of all seeds of the networks, not those of training."""
    return [
        seed.state
        for layer in keras_internals.layers_of(model)
        if layer is not model
        for seed in keras_internals.seed_generators(layer)
    ]


def _seed(states, seed):
    sequence = np.random.SeedSequence(seed % 2**32)
    starts = sequence.generate_state(len(states))
    for state, start in zip(states, starts):
        # Keras adds to it, and it is a signed number on PyTorch.
        state.assign(np.array([start >> 2, 0], state.dtype))
