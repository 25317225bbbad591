"""Several processes that train one model together.

Those of `jax.distributed`, or of `torch.distributed` once it is initialised.
"""

import contextlib
import re

import keras
from keras import ops

_BACKEND = keras.backend.backend()

if _BACKEND == "jax":
    import jax
elif _BACKEND == "torch":
    import torch
    import torch.distributed


def count():
    """Returns how many processes train together."""
    if _BACKEND == "jax":
        return jax.process_count()
    if _BACKEND == "torch" and _is_initialized():
        return torch.distributed.get_world_size()
    return 1


def index():
    """Returns which of them this one is, from 0; the first writes files."""
    if _BACKEND == "jax":
        return jax.process_index()
    if _BACKEND == "torch" and _is_initialized():
        return torch.distributed.get_rank()
    return 0


def copy_from_first(values):
    """Returns a list of arrays as the first process has them.

    Args:
        values: List of NumPy arrays, of the same shapes in all processes.
    """
    if count() == 1:
        return values
    if _BACKEND == "jax":
        from jax.experimental import multihost_utils

        return [multihost_utils.broadcast_one_to_all(v) for v in values]
    copies = [ops.convert_to_tensor(v) for v in values]
    with explaining():
        for copy in copies:
            torch.distributed.broadcast(copy, src=0)
    return [ops.convert_to_numpy(copy) for copy in copies]


_BROKEN = re.compile("gloo|nccl|peer|heartbeat|coordination|distributed", re.I)


@contextlib.contextmanager
def explaining():
    """Says what a broken connection to another process means."""
    try:
        yield
    except RuntimeError as error:
        if count() == 1 or not _BROKEN.search(str(error)):
            raise
        raise RuntimeError(
            "Another process of this training has ended, or cannot be reached. "
            "Look at what it printed, and start all processes again: with "
            "`keras.callbacks.BackupAndRestore` they go on from the last "
            f"backup. The backend says: {error}"
        ) from error


@contextlib.contextmanager
def apart(variables):
    """Inside, one process may save variables without the others.

    To find out what to save, Keras makes new objects, whose variables JAX
    would otherwise place on the devices of all processes. JAX also computes
    ahead: that another process is gone should be known before the file of the
    last backup is opened.
    """
    distribution = keras.distribution.distribution()
    if count() == 1 or distribution is None:
        yield
        return
    jax.block_until_ready([v.value for v in variables])
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


@contextlib.contextmanager
def local(variables):
    """Inside, one process may compute with variables without the others.

    On JAX those of a training on several processes belong to all of them;
    this lends copies of their values.
    """
    if _BACKEND != "jax" or count() == 1:
        yield
        return
    copies = [ops.convert_to_numpy(v) for v in variables]
    mapping = [(v, jax.numpy.asarray(c)) for v, c in zip(variables, copies)]
    with keras.StatelessScope(state_mapping=mapping):
        yield


def _is_initialized():
    distributed = torch.distributed
    return distributed.is_available() and distributed.is_initialized()
