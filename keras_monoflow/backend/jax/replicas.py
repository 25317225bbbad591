"""On JAX a program is written for the whole batch, and XLA divides it."""

from collections.abc import Sequence

import keras

from keras_monoflow.typing import Tensor

ADDS_UP = False


def index() -> int:
    return 0


def expected(model: keras.Model) -> int:
    return 1


def check_strategy(model: keras.Model) -> None:
    """There are no strategies."""


def mean(tensors: Sequence) -> Sequence:
    return tensors


def gather(x: Tensor) -> Tensor:
    return x[None]


def gradients(optimizer: keras.Optimizer, values: Sequence) -> Sequence:
    return values


def assert_equal(sizes: Tensor, message: str) -> None:
    """All are equal."""
