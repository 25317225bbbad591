"""Gradients, loops and training steps on JAX.

The functions are documented in `keras_monoflow.gradients`.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import keras
from jax import numpy as jnp

from keras_monoflow.backend.jax.look_function import make_look_function
from keras_monoflow.backend.jax.train_function import TrainFunction
from keras_monoflow.backend.keras_internals import restore_value, variables_of
from keras_monoflow.backend.keras_internals import (
    take_back_state as take_back_variables,
)
from keras_monoflow.backend.scopes import (
    NestedScope,
    Pure,
    all_variables,
    assign,
    on_values,
    postponed,
)
from keras_monoflow.backend.warn_once import warn_once
from keras_monoflow.optimizers import without_loss_scaling
from keras_monoflow.typing import Tensor

# -------------------------------------------------------------- gradients


def value_and_grad(
    loss_fn: Callable, variables: Sequence
) -> tuple[Tensor, list]:
    pure = Pure(loss_fn, variables)
    transform = jax.value_and_grad(pure, has_aux=True)
    (loss, updates), gradients = transform(_values(variables))
    pure.commit(updates)
    return loss, list(gradients)


def value_and_pullback(
    fn: Callable, variables: Sequence
) -> tuple[Tensor, Callable]:
    pure = Pure(fn, variables)
    outputs, vjp, updates = jax.vjp(pure, _values(variables), has_aux=True)
    pure.commit(updates)
    return outputs, lambda cotangent: list(vjp(cotangent)[0])


def value_and_input_gradient(fn: Callable, x: Tensor) -> tuple[Tensor, Tensor]:
    pure = Pure(fn)

    def total(x):
        outputs, updates = pure((), x)
        return keras.ops.sum(outputs), (outputs, updates)

    x = keras.ops.convert_to_tensor(x)
    gradient, (outputs, updates) = jax.grad(total, has_aux=True)(x)
    pure.commit(updates)
    return outputs, gradient


def input_gradient(fn: Callable, x: Tensor) -> Tensor:
    return value_and_input_gradient(fn, x)[1]


def postpone_updates(fn: Callable) -> tuple[Any, Callable]:
    outputs, variables, updates = postponed(fn)
    return outputs, lambda: assign(variables, updates)


def _values(variables: Sequence) -> list:
    return [v.value for v in variables]


def exact_matmul(a: Tensor, b: Tensor) -> Tensor:
    # (The default rounds to bfloat16 or TF32 on accelerators.)
    return jnp.matmul(a, b, precision="highest")


# --------------------------------------------------- loops and conditions

#: On a CPU a loop moves what it carries at each turn. So up to that many steps
#: are unrolled there, although they take longer to compile.
SHORT_LOOP = 5


def repeat(n: int, body: Callable, unroll: bool = False) -> None:
    if n < 2 or unroll:
        for i in range(n):
            body(i)
        return
    is_short = _on_cpu() and n <= SHORT_LOOP

    def loop(body, values):
        body, slow = _traced_once(body, values)
        if not slow and not is_short:
            return jax.lax.fori_loop(0, n, body, values)
        for i in range(n):
            values = body(i, values)
        return values

    on_values(body, loop)


def only_if(
    condition: bool | Callable, body: Callable, variables: Callable = list
) -> None:
    if isinstance(condition, bool):
        if condition:
            body()
        return
    holds = condition()

    def choose(body, values):
        body, slow = _traced_once(body, values)
        if not slow:
            return jax.lax.cond(
                holds, lambda v: body(0, v), lambda v: v, values
            )
        # Computed in any case, as a condition would be as slow as a loop.
        return [
            jnp.where(holds, new, old)
            for new, old in zip(body(0, values), values)
        ]

    on_values(lambda i: body(), choose)


def _traced_once(body: Callable, values: Sequence) -> tuple[Callable, bool]:
    """Returns a `body(i, values)`, and whether loops make it slow.

    In loops and conditions XLA gives convolutions on a CPU a layout of memory
    that makes them ten times slower.
    """
    if not _on_cpu() or jax.config.jax_disable_jit:
        return body, False
    program = jax.make_jaxpr(body)(0, values)
    slow = "conv_general_dilated" in str(program)
    try:
        from jax.extend.core import jaxpr_as_fun
    except ImportError:
        warn_once(
            "Steps take longer to compile: loops are traced twice",
            "jax.extend.core.jaxpr_as_fun",
        )
        return body, slow
    flat = jaxpr_as_fun(program)
    return (lambda i, values: flat(i, *values)), slow


def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"


# --------------------------------------------------------- training steps


def apply_gradients(
    optimizer: keras.Optimizer, gradients: Sequence, variables: Sequence
) -> None:
    known = variables_of(without_loss_scaling(optimizer))
    if known is not None and len(variables) != len(known):
        raise ValueError(
            f"Of the {len(known)} variables that {optimizer.name!r} was made "
            f"for, {len(variables)} are trainable now. On JAX, call `compile` "
            "again after a change of `trainable`."
        )
    # `apply` of a LossScaleOptimizer branches on traced values and would leak
    # them from the branches; `stateless_apply` returns them.
    new_variables, new_state = optimizer.stateless_apply(
        _values(optimizer.variables), gradients, _values(variables)
    )
    assign(variables, new_variables)
    assign(optimizer.variables, new_state)


def train_step(model: keras.Model, step: Callable, arguments: tuple) -> Any:
    return _stateless(
        [
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        ],
        step,
        arguments,
    )


def test_step(model: keras.Model, step: Callable, arguments: tuple) -> Any:
    return _stateless(
        [
            model.trainable_variables,
            model.non_trainable_variables,
            model.metrics_variables,
        ],
        step,
        arguments,
    )


def _stateless(groups: list, step: Callable, arguments: tuple) -> Any:
    state, data = arguments
    mapping = [
        pair
        for group, values in zip(groups, state)
        for pair in zip(group, values)
    ]
    with NestedScope(mapping) as scope:
        logs = step(data)
        state = tuple(
            [scope.get_current_value(v) for v in group] for group in groups
        )
    return logs, state


def make_train_function(model: keras.Model, function: Callable) -> Callable:
    return TrainFunction(model, function)


def make_test_function(model: keras.Model, function: Callable) -> Callable:
    return make_look_function(model, model.test_step, function, joins=False)


def make_predict_function(model: keras.Model, function: Callable) -> Callable:
    def step(state: tuple, data: Any) -> tuple[Any, tuple]:
        outputs, non_trainable = model.predict_step(state, data)
        return outputs, (state[0], non_trainable)

    return make_look_function(model, step, function, joins=True)


def use_seed_states(network: keras.Model) -> None:
    """Layers draw from their own seed states already."""


@contextlib.contextmanager
def keep_variables(model: keras.Model) -> Iterator[None]:
    take_back_variables(model)
    variables = all_variables(model)
    values = _values(variables)
    try:
        yield
    except BaseException:
        take_back_variables(model)
        for variable, value in zip(variables, values):
            if not value.is_deleted():
                restore_value(variable, value)
        raise


# ---------------------------------------------------------- many replicas


def count_replicas() -> int:
    return 1
