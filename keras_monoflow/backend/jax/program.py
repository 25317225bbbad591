"""Loops and conditions on JAX, and several training steps as one program."""

import itertools

import jax
import jax.extend
import keras
from jax import numpy as jnp

from keras_monoflow.backend.scopes import on_values

#: On a CPU a loop moves what it carries at each turn. So up to that many steps
#: are written out, although they take longer to compile.
SHORT_LOOP = 5


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


def repeat(n, body):
    """Calls `body(i)` for `i = 0, ..., n - 1`, and keeps what it assigns.

    A loop, which is compiled once for all `i`, or the steps one after another
    where a loop is slow.
    """
    is_short = _on_cpu() and n <= SHORT_LOOP

    def loop(body, values):
        body, slow = _traced(body, values)
        if not slow and not is_short:
            return jax.lax.fori_loop(0, n, body, values)
        for i in range(n):
            values = body(i, values)
        return values

    on_values(body, loop)


def only_if(condition, body):
    """Calls `body()` and keeps what it assigns, if the condition holds."""

    def choose(body, values):
        body, slow = _traced(body, values)
        if not slow:
            return jax.lax.cond(
                condition, lambda v: body(0, v), lambda v: v, values
            )
        # Computed in any case, as a condition would be as slow as a loop.
        return [
            jnp.where(condition, new, old)
            for new, old in zip(body(0, values), values)
        ]

    on_values(lambda i: body(), choose)


def _traced(body, values):
    """Returns a `body(i, values)`, and whether loops make it slow.

    In loops and conditions XLA gives convolutions on a CPU a layout of memory
    that makes them ten times slower.
    """
    if not _on_cpu() or jax.config.jax_disable_jit:
        return body, False
    program = jax.make_jaxpr(body)(0, values)
    flat = jax.extend.core.jaxpr_as_fun(program)
    slow = "conv_general_dilated" in str(program)
    return (lambda i, values: flat(i, *values)), slow


def _on_cpu():
    return jax.default_backend() == "cpu"
