"""Gradients, loops and training steps on PyTorch.

The functions are documented in `keras_monoflow.gradients`.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import torch
import torch.distributed

from keras_monoflow.backend import keras_internals
from keras_monoflow.backend.scopes import (
    Pure,
    assign,
    average_floats,
    postponed,
)
from keras_monoflow.backend.torch import processes, program, replicas
from keras_monoflow.backend.warn_once import warn_once
from keras_monoflow.typing import Tensor

try:
    from keras_monoflow.backend.torch.second_derivatives import (
        SkipZeroSecondDerivatives as skip_zero_second_derivatives,
    )
except (ImportError, AttributeError) as error:
    skip_zero_second_derivatives = contextlib.nullcontext  # type: ignore
    warn_once(
        "Steps with a gradient penalty take up to a third longer: zeros are "
        "taken back through all layers as if they were gradients",
        str(error),
    )

# -------------------------------------------------------------- gradients


def value_and_grad(
    loss_fn: Callable, variables: Sequence
) -> tuple[Tensor, list]:
    pure = Pure(loss_fn, variables)
    with torch.no_grad():
        transform = torch.func.grad_and_value(pure, has_aux=True)
        gradients, (loss, updates) = transform(_values(variables))
    pure.commit(_agreed(updates))
    return loss, list(gradients)


def value_and_pullback(
    fn: Callable, variables: Sequence
) -> tuple[Tensor, Callable]:
    pure, values = Pure(fn, variables), _values(variables)
    with torch.no_grad():
        outputs, vjp, updates = torch.func.vjp(pure, values, has_aux=True)
    pure.commit(updates)
    return outputs, lambda cotangent: list(vjp(cotangent)[0])


def value_and_input_gradient(fn: Callable, x: Tensor) -> tuple[Tensor, Tensor]:
    pure = Pure(fn)

    def total(x):
        outputs, updates = pure((), x)
        return keras.ops.sum(outputs), (outputs, updates)

    transform = torch.func.grad(total, has_aux=True)
    with skip_zero_second_derivatives():
        gradient, (outputs, updates) = transform(keras.ops.convert_to_tensor(x))
    pure.commit(updates)
    return outputs, gradient


def input_gradient(fn: Callable, x: Tensor) -> Tensor:
    return value_and_input_gradient(fn, x)[1]


def postpone_updates(fn: Callable) -> tuple[Any, Callable]:
    outputs, variables, updates = postponed(fn)
    return outputs, lambda: assign(variables, _agreed(updates))


def _values(variables: Sequence) -> list:
    return [v.value.detach() for v in variables]


# --------------------------------------------------- loops and conditions


def repeat(n: int, body: Callable, unroll: bool = False) -> None:
    if n < 2 or unroll:
        for i in range(n):
            body(i)
    else:
        program.repeat(n, body)


def only_if(
    condition: bool | Callable, body: Callable, variables: Callable = list
) -> None:
    if not isinstance(condition, bool):
        condition = program.evaluate(condition)
    if condition:
        body()


# --------------------------------------------------------- training steps


def apply_gradients(
    optimizer: keras.Optimizer, gradients: Sequence, variables: Sequence
) -> None:
    if count_replicas() > 1:
        gradients = replicas.gradients(optimizer, gradients)
    with keras_internals.common_update(optimizer):
        optimizer.apply(gradients, variables)


def train_step(model: keras.Model, step: Callable, arguments: tuple) -> Any:
    with sharing():
        return test_step(model, step, arguments)


def test_step(model: keras.Model, step: Callable, arguments: tuple) -> Any:
    # Gradients are taken by torch.func; the tape of autograd stays off.
    with torch.no_grad():
        return step(*arguments)


def make_train_function(model: keras.Model, function: Callable) -> Callable:
    if model.run_eagerly or processes.count() > 1:
        return function
    return program.RecordedStep(model, compiled=model.jit_compile)


def use_seed_states(network: keras.Model) -> None:
    for layer in keras_internals.layers_of(network):
        for seed in keras_internals.seed_generators(layer):
            keras_internals.use_seed_state(seed)


def keep_variables(model: keras.Model) -> contextlib.AbstractContextManager:
    return contextlib.nullcontext()


# ---------------------------------------------------------- many replicas

# Whether a training step runs: what processes do outside of it (samples,
# evaluation) is their own business.
_in_step = False


@contextlib.contextmanager
def sharing() -> Iterator[None]:
    global _in_step
    outside, _in_step = _in_step, True
    try:
        yield
    finally:
        _in_step = outside


def count_replicas() -> int:
    distributed = torch.distributed
    if not _in_step or not distributed.is_available():
        return 1
    return distributed.get_world_size() if distributed.is_initialized() else 1


def _agreed(values: Sequence) -> Sequence:
    if count_replicas() == 1:
        return values
    return average_floats(values, replicas.mean)
