"""Several training steps on JAX as one program."""

import itertools

import jax
import keras
from jax import numpy as jnp


class FusedSteps:
    """A `train_function` for Keras's trainer that scans over its batches.

    Keras calls the compiled step `steps_per_execution` times from Python. On
    small networks most of the time goes into these calls.

    Args:
        model: The `keras.Model`.
        one_by_one: Keras's own function, for batches that are too few or of
            different shapes.
    """

    def __init__(self, model, one_by_one):
        self._steps = model.steps_per_execution
        self._step = model.train_step
        self._one_by_one = one_by_one
        shardings = None
        if keras.distribution.distribution() is not None:
            shardings = (None, model._get_state_sharding_spec())
        self._scan = jax.jit(
            self._scan_batches, donate_argnums=0, out_shardings=shardings
        )

    def __call__(self, state, iterator):
        batches = list(itertools.islice(iterator, self._steps))
        if len(batches) < self._steps or len(set(map(_shapes, batches))) > 1:
            return self._one_by_one(state, iter(batches))
        return self._scan(state, batches)

    def _scan_batches(self, state, batches):
        def step(state, batch):
            logs, state = self._step(state, batch)
            return state, logs

        stacked = jax.tree.map(lambda *a: jnp.stack(a), *batches)
        state, logs = jax.lax.scan(step, state, stacked)
        # Logs are running means: the last ones count.
        return jax.tree.map(lambda a: a[-1], logs), state


def _shapes(batch):
    return tuple(jnp.shape(a) for a in jax.tree.leaves(batch))
