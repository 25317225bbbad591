"""Several training steps on JAX as one program."""

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import keras
from jax import numpy as jnp

from keras_monoflow.backend.keras_internals import state_shardings
from keras_monoflow.backend.warn_once import warn_once


class FusedSteps:
    """A `train_function` for Keras's trainer that scans over its batches.

    Keras calls the compiled step `steps_per_execution` times from Python. On
    small networks most of the time goes into these calls. Steps that cannot be
    scanned run one by one, and a warning says why.

    Args:
        model: The `keras.Model`.
        one_by_one: Keras's own function, for batches that are too few or of
            different shapes.
    """

    def __init__(self, model: keras.Model, one_by_one: Callable) -> None:
        self._steps = model.steps_per_execution
        self._step = model.train_step
        self._one_by_one = one_by_one
        self._works = True
        shardings = None
        if keras.distribution.distribution() is not None:
            shardings = state_shardings(model)
            self._works = shardings is not None
            if not self._works:
                warn_once(
                    "Steps run one by one in spite of `steps_per_execution`",
                    "Trainer._get_state_sharding_spec",
                )
            shardings = (None, shardings)
        self._scan = jax.jit(
            self._scan_batches, donate_argnums=0, out_shardings=shardings
        )

    def __call__(self, state: tuple, iterator: Iterator) -> tuple[Any, Any]:
        batches = list(itertools.islice(iterator, self._steps))
        is_whole = len(batches) == self._steps
        if (
            not self._works
            or not is_whole
            or len(set(map(_shapes, batches))) > 1
        ):
            return self._one_by_one(state, iter(batches))
        try:
            return self._scan(state, batches)
        except Exception as error:
            if any(value.is_deleted() for value in jax.tree.leaves(state)):
                raise  # the program itself failed
            self._works, reason = False, str(error)
        # The step itself has no error, or explains it better.
        results = self._one_by_one(state, iter(batches))
        warnings.warn(
            "Steps run one by one in spite of `steps_per_execution`, which is "
            f"slower for small networks: {reason}",
            stacklevel=2,
        )
        return results

    def _scan_batches(self, state: tuple, batches: list) -> tuple[Any, Any]:
        def step(state, batch):
            logs, state = self._step(state, batch)
            return state, logs

        stacked = jax.tree.map(lambda *a: jnp.stack(a), *batches)
        state, logs = jax.lax.scan(step, state, stacked)
        # Logs are running means: the last ones count.
        return jax.tree.map(lambda a: a[-1], logs), state


def _shapes(batch: Any) -> tuple:
    return tuple(jnp.shape(a) for a in jax.tree.leaves(batch))
