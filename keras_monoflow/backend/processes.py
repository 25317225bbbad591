"""Several processes that train one model together.

Those of `jax.distributed`, or of `torch.distributed` once it is initialized.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence

import keras

from keras_monoflow.backend import framework


def count() -> int:
    """Returns how many processes train together."""
    return framework.processes.count()


def index() -> int:
    """Returns which of them this one is, from 0; the first writes files."""
    return framework.processes.index()


def copy_from_first(values: Sequence) -> Sequence:
    """Returns a list of arrays as the first process has them.

    Args:
        values: List of NumPy arrays, of the same shapes in all processes.
    """
    if count() == 1:
        return values
    with explaining():
        return framework.processes.copy_from_first(values)


_BROKEN = re.compile("gloo|nccl|peer|heartbeat|coordination|distributed", re.I)


@contextlib.contextmanager
def explaining() -> Iterator[None]:
    """Says what a broken connection to another process means."""
    try:
        yield
    except RuntimeError as error:
        if count() == 1 or not _BROKEN.search(str(error)):
            raise
        raise RuntimeError(
            "Another process of this training has ended, or cannot be reached. "
            "Look at what it printed, and start all processes again: with "
            "`kmf.callbacks.BackupAndRestore` they go on from the last "
            f"backup. The backend says: {error}"
        ) from error


@contextlib.contextmanager
def apart(variables: Sequence) -> Iterator[None]:
    """Lets one process save variables without the others.

    To find out what to save, Keras makes new objects, whose variables JAX
    would otherwise place on the devices of all processes. JAX also computes
    ahead: that another process is gone should be known before the file of the
    last backup is opened.
    """
    distribution = keras.distribution.distribution()
    if count() == 1 or distribution is None:
        yield
        return
    framework.processes.wait_for(variables)
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def local(variables: Sequence) -> contextlib.AbstractContextManager:
    """Lets one process compute with variables without the others.

    On JAX those of a training on several processes belong to all of them;
    this lends copies of their values.
    """
    return framework.processes.local(variables)
