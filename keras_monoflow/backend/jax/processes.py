"""The processes of `jax.distributed`.

The functions are documented in `keras_monoflow.backend.processes`.
"""

import contextlib
from collections.abc import Iterator, Sequence

import jax
import keras
from jax import numpy as jnp


def count() -> int:
    return jax.process_count()


def index() -> int:
    return jax.process_index()


def copy_from_first(values: Sequence) -> list:
    from jax.experimental import multihost_utils

    return [multihost_utils.broadcast_one_to_all(v) for v in values]


@contextlib.contextmanager
def local(variables: Sequence) -> Iterator[None]:
    if count() == 1:
        yield
        return
    copies = [jnp.asarray(keras.ops.convert_to_numpy(v)) for v in variables]
    with keras.StatelessScope(state_mapping=list(zip(variables, copies))):
        yield


def wait_for(variables: Sequence) -> None:
    jax.block_until_ready([v.value for v in variables])
