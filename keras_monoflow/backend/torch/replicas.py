"""The processes of `torch.distributed`, which share one batch.

The functions are documented in `keras_monoflow.backend.replicas`.
"""

from collections.abc import Sequence

import keras
import torch.distributed

from keras_monoflow.backend.torch import processes
from keras_monoflow.backend.torch.processes import index
from keras_monoflow.typing import Tensor

__all__ = [
    "ADDS_UP",
    "assert_equal",
    "check_strategy",
    "expected",
    "gather",
    "gradients",
    "index",
    "mean",
]

ADDS_UP = False


def expected(model: keras.Model) -> int:
    return processes.count()


def check_strategy(model: keras.Model) -> None:
    """There are no strategies."""


def mean(tensors: Sequence) -> list:
    means = [None] * len(tensors)
    # (In one order in all processes, which that of a set is not.)
    for dtype in dict.fromkeys(t.dtype for t in tensors):
        # One message for all: the time is in their number.
        places = [i for i, t in enumerate(tensors) if t.dtype == dtype]
        flat = torch.cat([tensors[i].reshape(-1) for i in places])
        torch.distributed.all_reduce(flat)
        parts = torch.split(
            flat / processes.count(), [tensors[i].numel() for i in places]
        )
        for i, part in zip(places, parts):
            means[i] = part.reshape(tensors[i].shape)
    return means


def gather(x: Tensor) -> Tensor:
    values = [torch.empty_like(x) for _ in range(processes.count())]
    torch.distributed.all_gather(values, x)
    return torch.stack(values)


def gradients(optimizer: keras.Optimizer, values: Sequence) -> list:
    return mean(values)


def assert_equal(sizes: Tensor, message: str) -> None:
    if len(set(sizes.tolist())) > 1:
        raise ValueError(message + str(sizes.tolist()))
