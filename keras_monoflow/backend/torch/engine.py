"""Gradients, loops and training steps on PyTorch.

The functions are documented in `keras_monoflow.gradients`.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import torch
import torch.distributed
from torch.nn.attention import SDPBackend, sdpa_kernel

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
    pure, leaves = Pure(loss_fn, variables), _leaves(variables)
    with torch.enable_grad():
        loss, updates = pure(leaves)
        gradients = _gradients(loss, leaves)
    pure.commit(_agreed(_detached(updates)))
    return loss.detach(), gradients


def value_and_pullback(
    fn: Callable, variables: Sequence
) -> tuple[Tensor, Callable]:
    pure, leaves = Pure(fn, variables), _leaves(variables)
    with torch.enable_grad():
        outputs, updates = pure(leaves)
    assigned = list(zip(pure.assigned, _detached(updates)))
    # A weight is assigned in place (spectral normalization rescales kernels),
    # and the pullback reads what it was.
    late = [(v, value) for v, value in assigned if v.trainable]
    assign(*_columns(a for a in assigned if not a[0].trainable))

    def pullback(cotangent):
        with torch.enable_grad():
            gradients = _gradients(outputs, leaves, cotangent)
        assign(*_columns(late))
        return gradients

    return keras.tree.map_structure(torch.Tensor.detach, outputs), pullback


def value_and_input_gradient(fn: Callable, x: Tensor) -> tuple[Tensor, Tensor]:
    pure = Pure(fn)
    # Inside a loss, the gradient is to be differentiated again.
    inside = torch.is_grad_enabled()
    x = keras.ops.convert_to_tensor(x)
    if not (inside and x.requires_grad):
        x = x.detach().requires_grad_()
    with torch.enable_grad(), contextlib.ExitStack() as stack:
        if inside:
            stack.enter_context(skip_zero_second_derivatives())
            # Attention in its fast versions has no second derivative.
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        outputs, updates = pure((), x)
        (gradient,) = _gradients(
            keras.ops.sum(outputs), [x], create_graph=inside
        )
    if not inside:
        outputs, *updates = _detached([outputs, *updates])
    pure.commit(updates)
    return outputs, gradient


def input_gradient(fn: Callable, x: Tensor) -> Tensor:
    return value_and_input_gradient(fn, x)[1]


def postpone_updates(fn: Callable) -> tuple[Any, Callable]:
    outputs, variables, updates = postponed(fn)
    return outputs, lambda: assign(variables, _agreed(updates))


def _leaves(variables: Sequence) -> list:
    """Returns the values, as tensors to which gradients are taken.

    Parameters are that already. Layers of `torch.nn` read them themselves.
    """
    values = [v.value for v in variables]
    return [
        x if x.is_leaf and x.requires_grad else x.detach().requires_grad_()
        for x in values
    ]


def _gradients(outputs, leaves, cotangents=None, create_graph=False):
    outputs = keras.tree.flatten(outputs)
    cotangents = (
        [None] * len(outputs)
        if cotangents is None
        else keras.tree.flatten(cotangents)
    )
    pairs = [(y, c) for y, c in zip(outputs, cotangents) if y.requires_grad]
    if not leaves or not pairs:
        return [torch.zeros_like(x) for x in leaves]
    outputs, cotangents = _columns(pairs)
    return list(
        torch.autograd.grad(
            outputs,
            leaves,
            cotangents,
            create_graph=create_graph,
            allow_unused=True,
            materialize_grads=True,
        )
    )


def _detached(values: Sequence) -> list:
    return [value.detach() for value in values]


def _columns(pairs: Iterable) -> tuple[list, list]:
    pairs = list(pairs)
    return [a for a, _ in pairs], [b for _, b in pairs]


def exact_matmul(a: Tensor, b: Tensor) -> Tensor:
    if torch.get_float32_matmul_precision() == "highest":
        return torch.matmul(a, b)
    return torch.matmul(a.double(), b.double()).to(a.dtype)


# --------------------------------------------------- loops and conditions


def repeat(n: int, body: Callable, unroll: bool = False) -> None:
    is_long = n > program.SHORT_LOOP
    for i in range(n):
        if is_long:
            program.cut()
        body(i)
    if is_long:
        program.cut()


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
    if not isinstance(optimizer, keras.optimizers.SGD):
        optimizer.apply(gradients, variables)
        return
    with keras_internals.common_update(optimizer):
        optimizer.apply(gradients, variables)


def train_step(model: keras.Model, step: Callable, arguments: tuple) -> Any:
    with sharing():
        return test_step(model, step, arguments)


def test_step(model: keras.Model, step: Callable, arguments: tuple) -> Any:
    # The tape runs where gradients are taken, and nowhere else.
    with torch.no_grad():
        return step(*arguments)


def make_train_function(model: keras.Model, function: Callable) -> Callable:
    if model.run_eagerly or processes.count() > 1:
        return function
    return program.RecordedStep(model, compiled=model.jit_compile)


def make_test_function(model: keras.Model, function: Callable) -> Callable:
    return function


def make_predict_function(model: keras.Model, function: Callable) -> Callable:
    return function


def use_seed_states(network: keras.Model) -> None:
    for layer in keras_internals.layers_of(network):
        for seed in keras_internals.seed_generators(layer):
            keras_internals.use_seed_state(seed)


def keep_variables(model: keras.Model) -> contextlib.AbstractContextManager:
    return contextlib.nullcontext()


def take_back_variables(model: keras.Model) -> None:
    """Nothing takes them away."""


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
