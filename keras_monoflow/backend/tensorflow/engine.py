"""Gradients, loops and training steps on TensorFlow.

The functions are documented in `keras_monoflow.gradients`.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_monoflow.backend.scopes import (
    Pure,
    assign,
    average_floats,
    postponed,
)
from keras_monoflow.backend.tensorflow import gradient_registry, replicas
from keras_monoflow.backend.tensorflow.adam import faster_update
from keras_monoflow.typing import Tensor

# -------------------------------------------------------------- gradients


def value_and_grad(
    loss_fn: Callable, variables: Sequence
) -> tuple[Tensor, list]:
    pure, values = Pure(loss_fn), [v.value for v in variables]
    with _tape_of(values) as tape:
        loss, updates = pure(())
    gradients = _tape_gradient(tape, loss, values)
    pure.commit(_agreed(updates))
    return loss, gradients


def value_and_pullback(
    fn: Callable, variables: Sequence
) -> tuple[Tensor, Callable]:
    pure, values = Pure(fn), [v.value for v in variables]
    with _tape_of(values) as tape:
        outputs, updates = pure(())
    pure.commit(updates)
    return outputs, lambda cotangent: _tape_gradient(
        tape, outputs, values, output_gradients=cotangent
    )


def value_and_input_gradient(fn: Callable, x: Tensor) -> tuple[Tensor, Tensor]:
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = fn(x)
        total = tf.reduce_sum(outputs)
    return outputs, tape.gradient(
        total, x, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )


def input_gradient(fn: Callable, x: Tensor) -> Tensor:
    return value_and_input_gradient(fn, x)[1]


def postpone_updates(fn: Callable) -> tuple[Any, Callable]:
    outputs, variables, updates = postponed(fn)
    return outputs, lambda: assign(variables, _agreed(updates))


@contextlib.contextmanager
def _tape_of(values: Sequence) -> Iterator[tf.GradientTape]:
    """A tape that also sees what a scope around it says that variables are."""
    with tf.GradientTape() as tape:
        tape.watch([x for x in values if not isinstance(x, tf.Variable)])
        yield tape


def _tape_gradient(
    tape: tf.GradientTape, target: Tensor, values: Sequence, **kwargs: Any
) -> list:
    with skip_zero_second_derivatives():
        gradients = tape.gradient(
            target,
            values,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
            **kwargs,
        )
    # Those of embeddings are sparse, which cannot be added.
    return [tf.convert_to_tensor(gradient) for gradient in gradients]


# ----------------------------------------------------- second derivatives
#
# A ReLU is linear in pieces, so its second derivative is zero. TensorFlow makes
# a tensor of these zeros, and takes it back through all layers below as if it
# were a gradient: about a quarter of the work of a critic step with a penalty.


def _without_second(first_and_second: Callable) -> Callable:
    def gradient(operation: Any, cotangent: Tensor) -> tuple[Tensor, None]:
        return first_and_second(operation, cotangent)[0], None

    return gradient


_KEY = gradient_registry.FUNCTION
#: Operations with the inputs (gradient, x) that do not change with x, but for
#: jumps.
_TABLE = gradient_registry.entries(("ReluGrad", "Relu6Grad", "LeakyReluGrad"))
_ORIGINAL = {name: entry[_KEY] for name, entry in _TABLE.items()}
_SKIPPING = {name: _without_second(f) for name, f in _ORIGINAL.items()}


@contextlib.contextmanager
def skip_zero_second_derivatives() -> Iterator[None]:
    """Inside, a tape takes second derivatives of ReLUs for unconnected."""
    for name, entry in _TABLE.items():
        entry[_KEY] = _SKIPPING[name]
    try:
        yield
    finally:
        for name, entry in _TABLE.items():
            entry[_KEY] = _ORIGINAL[name]


def exact_matmul(a: Tensor, b: Tensor) -> Tensor:
    if not tf.config.list_logical_devices("GPU"):
        return tf.matmul(a, b)
    # TF32, which is on by default there, cannot be turned off for one product.
    return tf.cast(
        tf.matmul(tf.cast(a, tf.float64), tf.cast(b, tf.float64)), a.dtype
    )


# --------------------------------------------------- loops and conditions


def repeat(n: int, body: Callable, unroll: bool = False) -> None:
    eager = tf.executing_eagerly()
    if n < 2 or unroll or eager or tf.distribute.has_strategy():
        for i in range(n):
            body(i)
        return

    def iteration(i: Tensor) -> tuple[Tensor]:
        body(i)
        return (i + 1,)

    tf.while_loop(
        lambda i: i < n,
        iteration,
        [tf.constant(0)],
        parallel_iterations=1,
        maximum_iterations=n,
    )


def only_if(
    condition: bool | Callable, body: Callable, variables: Callable = list
) -> None:
    if isinstance(condition, bool):
        if condition:
            body()
    elif tf.distribute.has_strategy():
        holds, changing = condition(), variables()
        before = [tf.identity(v.value) for v in changing]
        body()
        for variable, value in zip(changing, before):
            variable.assign(tf.where(holds, variable.value, value))
    else:

        def run() -> Tensor:
            body()
            return tf.constant(True)

        tf.cond(condition(), run, lambda: tf.constant(False))


def assert_at_least(size: Tensor, minimum: int, message: str) -> None:
    tf.debugging.assert_greater_equal(size, minimum, message)


# --------------------------------------------------------- training steps


def apply_gradients(
    optimizer: keras.Optimizer, gradients: Sequence, variables: Sequence
) -> None:
    if count_replicas() > 1:
        gradients = replicas.gradients(optimizer, gradients)
    if tf.executing_eagerly():
        optimizer.apply(gradients, variables)
        return
    # TensorFlow's graph optimizer forgets that a weight is read before it is
    # assigned where the new value does not depend on the old one: the last
    # layer of a critic, whose loss is linear. The layers below would be given
    # its new value now and then.
    with faster_update(optimizer), tf.control_dependencies(gradients):
        optimizer.apply(gradients, variables)


def train_step(model: keras.Model, step: Callable, arguments: tuple) -> Any:
    # In a graph, what needs no data (seeds, counters) would be done before the
    # data turn out to have ended.
    batch = [x for x in tf.nest.flatten(arguments) if tf.is_tensor(x)]
    with tf.control_dependencies(batch):
        return step(*arguments)


def test_step(model: keras.Model, step: Callable, arguments: tuple) -> Any:
    return step(*arguments)


def make_train_function(model: keras.Model, function: Callable) -> Callable:
    return function


def make_test_function(model: keras.Model, function: Callable) -> Callable:
    return function


def make_predict_function(model: keras.Model, function: Callable) -> Callable:
    return function


def use_seed_states(network: keras.Model) -> None:
    """Layers draw from their own seed states already."""


def keep_variables(model: keras.Model) -> contextlib.AbstractContextManager:
    return contextlib.nullcontext()


def take_back_variables(model: keras.Model) -> None:
    """Nothing takes them away."""


# ---------------------------------------------------------- many replicas


def count_replicas() -> int:
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context else 1


def _agreed(values: Sequence) -> Sequence:
    if count_replicas() == 1:
        return values
    return average_floats(values, replicas.mean)
