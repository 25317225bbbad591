"""Training steps on JAX that lose no weights, several as one program."""

import collections
import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import keras
from jax import numpy as jnp

from keras_monoflow.backend.keras_internals import (
    publish_state,
    state_shardings,
)
from keras_monoflow.backend.warn_once import warn_once


class TrainFunction:
    """A `train_function` for Keras's trainer.

    A step gives new values for all variables, in the memory of the old ones.
    Keras takes note of the new ones a little later: Ctrl-C in between would
    lose all weights. Here the model knows them as soon as they exist.

    Keras calls the compiled step `steps_per_execution` times from Python. On
    small networks most of the time goes into these calls. Here one program
    scans over so many batches. Steps that cannot be scanned run one by one,
    and a warning says why.

    Args:
        model: The `keras.Model`.
        function: Keras's own function, for steps that are not compiled.
    """

    def __init__(self, model: keras.Model, function: Callable) -> None:
        self._model = model
        self._function = function
        self._steps = model.steps_per_execution
        self._results: collections.deque = collections.deque(maxlen=1)
        self._is_compiled = model.jit_compile and not model.run_eagerly
        self._is_fused = self._is_compiled and self._steps > 1
        shardings = None
        if self._is_compiled and keras.distribution.distribution() is not None:
            shardings = state_shardings(model)
            if shardings is None:
                self._do_without_shardings()
            shardings = (None, shardings)
        self._step, self._scan = (
            jax.jit(step, donate_argnums=0, out_shardings=shardings)
            for step in (self._train_step, self._scan_batches)
        )

    def _train_step(self, state: tuple, batch: Any) -> tuple[Any, Any]:
        # JAX traces one function once, and takes `model.train_step` for the
        # same as before the model was compiled anew. This is not: each
        # `compile` makes another TrainFunction.
        return self._model.train_step(state, batch)

    def _do_without_shardings(self):
        if self._is_fused:
            warn_once(
                "Steps run one by one in spite of `steps_per_execution`",
                "Trainer._get_state_sharding_spec",
            )
        self._is_compiled = self._is_fused = False

    def __call__(self, state: tuple, iterator: Iterator) -> tuple[Any, Any]:
        state = _apart(state)
        # Reading the data may fail.
        publish_state(self._model, state)
        if not self._is_compiled:
            results = self._function(state, iterator)
            publish_state(self._model, results[1])
            return results
        batches = list(itertools.islice(iterator, self._steps))
        if not batches:
            raise StopIteration
        reason = None
        if self._can_be_fused(batches):
            try:
                return self._run(self._scan, state, batches)
            except Exception as error:
                if any(value.is_deleted() for value in jax.tree.leaves(state)):
                    raise  # the program itself failed
                self._is_fused, reason = False, str(error)
        for batch in batches:
            logs, state = self._run(self._step, state, batch)
        if reason is not None:
            # The step itself had no error, or would have explained it better.
            warnings.warn(
                "Steps run one by one in spite of `steps_per_execution`, which "
                f"is slower for small networks: {reason}",
                stacklevel=2,
            )
        return logs, state

    def _run(self, program, state, data):
        try:
            # From `map` to the queue no Python runs, and so no handler of
            # signals: as soon as the old values are gone the new ones are here.
            self._results.extend(map(program, (state,), (data,)))
        finally:
            for _, new_state in self._results:
                publish_state(self._model, new_state)
        return self._results.pop()

    def _can_be_fused(self, batches):
        is_whole = self._is_fused and len(batches) == self._steps
        return is_whole and len(set(map(_shapes, batches))) == 1

    def _scan_batches(self, state: tuple, batches: list) -> tuple[Any, Any]:
        def step(state, batch):
            logs, state = self._model.train_step(state, batch)
            return state, logs

        stacked = jax.tree.map(lambda *a: jnp.stack(a), *batches)
        state, logs = jax.lax.scan(step, state, stacked)
        # Logs are running means: the last ones count.
        return jax.tree.map(lambda a: a[-1], logs), state


def _apart(state: tuple) -> tuple:
    """Returns a state in which no two variables share their memory, which a
    compiled step takes for the new values of both.

    They do after one was assigned to the other: at the end of `fit`, an
    optimizer with `use_ema=True` gives weights the value of their average.
    """
    leaves, structure = jax.tree.flatten(state)
    if len(set(map(id, leaves))) == len(leaves):
        return state
    seen: set[int] = set()
    for i, leaf in enumerate(leaves):
        if id(leaf) in seen:
            leaves[i] = jnp.copy(leaf)
        seen.add(id(leaf))
    return jax.tree.unflatten(structure, leaves)


def _shapes(batch: Any) -> tuple:
    return tuple(jnp.shape(a) for a in jax.tree.leaves(batch))
