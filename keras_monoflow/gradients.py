"""Gradients, loops and training steps of stateful functions on any backend.

Models, losses and penalties are written once, statefully, as one would write
them for TensorFlow: variables are read and assigned, layers update their own
statistics, metrics collect. These functions run that code on three engines.
Here is what they do; how is in `backend/<name>/engine.py`.
"""

# Here are declarations only, which `_in_backend` fills.
# mypy: disable-error-code="empty-body"

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import keras

from keras_monoflow.backend import framework, processes, replicas, scopes
from keras_monoflow.typing import Tensor

__all__ = [
    "all_variables",
    "apply_gradients",
    "assert_at_least",
    "discard_updates",
    "input_gradient",
    "keep_variables",
    "make_predict_function",
    "make_test_function",
    "make_train_function",
    "only_if",
    "postpone_updates",
    "processes",
    "repeat",
    "replicas",
    "take_back_variables",
    "test_step",
    "train_step",
    "use_seed_states",
    "value_and_grad",
    "value_and_input_gradient",
    "value_and_pullback",
    "with_added_losses",
]

#: What version 0.1 called it.
Trace = scopes.NestedScope

Variables = Sequence[keras.Variable]
Function = TypeVar("Function", bound=Callable[..., Any])


def _in_backend(declared: Function) -> Function:
    """Returns the function of this name of the backend that runs."""
    name = declared.__name__
    function = getattr(framework.engine, name, None) or getattr(scopes, name)
    function.__doc__ = declared.__doc__
    function.__annotations__ = declared.__annotations__
    return function


@_in_backend
def value_and_grad(
    loss_fn: Callable[[], Tensor], variables: Variables
) -> tuple[Tensor, list[Tensor]]:
    """Returns a scalar loss and its gradients with respect to `variables`.

    Everything that `loss_fn` assigns on its way (seeds, batch norm
    statistics, metrics) is kept. A variable that the loss does not depend on
    has a zero gradient.

    Args:
        loss_fn: A function of no arguments that returns a scalar tensor.
        variables: A list of `keras.Variable`s.

    Returns:
        A pair of the loss and the list of gradients, in the order of
        `variables`.

    Example:

    ```python
    import keras
    from keras import ops
    from keras_monoflow import gradients

    w = keras.Variable([1.0, 2.0])
    loss, (gradient,) = gradients.value_and_grad(lambda: ops.sum(w**2), [w])
    ```
    """


@_in_backend
def value_and_pullback(
    fn: Callable[[], Any], variables: Variables
) -> tuple[Any, Callable[[Any], list[Tensor]]]:
    """Runs `fn` once and returns its output with the pullback of that run.

    The pullback maps a cotangent `c` of the output's shape and dtype to the
    list of vector-Jacobian products `c^T d fn / d variables`. This is how
    a velocity field in sample space becomes a step of the generator.

    Args:
        fn: A function of no arguments that returns a tensor or a list of them.
        variables: A list of `keras.Variable`s.

    Returns:
        A pair of the output and the function `pullback(cotangent)`, which can
        be called once. The cotangent is a list if the output is one.
    """


@_in_backend
def value_and_input_gradient(
    fn: Callable[[Tensor], Tensor], x: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns `fn(x)` and the gradient of its sum with respect to `x`.

    With one output a sample this is the gradient at each sample. The result
    can be differentiated again, so it may be used inside a loss.

    Args:
        fn: A function of one tensor.
        x: A floating point tensor.

    Returns:
        A pair of `fn(x)` and a tensor of the shape of `x`.
    """


@_in_backend
def input_gradient(fn: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Returns the gradient of `sum(fn(x))` with respect to `x`.

    See `value_and_input_gradient`.

    Example:

    ```python
    from keras import ops
    from keras_monoflow import gradients

    x = ops.convert_to_tensor([1.0, 2.0])
    gradients.input_gradient(lambda x: x**3, x)  # [3, 12]
    ```
    """


@_in_backend
def discard_updates(fn: Function) -> Function:
    """Returns `fn` without its side effects: no variable keeps an assignment.

    A network called so can run in training mode (batch statistics, dropout,
    power iteration) and yet be frozen.
    """


@_in_backend
def postpone_updates(fn: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
    """Calls `fn()` and holds back what it assigns to non-trainable variables.

    Trainable variables are assigned at once: spectral normalization rescales
    kernels in its forward pass, and an optimizer steps from there.

    Args:
        fn: A function of no arguments.

    Returns:
        A pair of its output and a function `commit()` that makes the
        assignments; what happens in between sees the old values.
    """


@_in_backend
def with_added_losses(fn: Callable[[], Any]) -> tuple[Any, Tensor | None]:
    """Returns `fn()`, and the sum of what its layers passed to `add_loss`.

    This includes activity regularizers, but not regularizers of weights.

    Args:
        fn: A function of no arguments.

    Returns:
        A pair of what `fn` returns and a float32 scalar, or `None` if nothing
        was added.
    """


@_in_backend
def repeat(n: int, body: Callable[[Any], Any], unroll: bool = False) -> None:
    """Calls `body(i)` for `i = 0, ..., n - 1` as one compiled loop.

    Every variable is carried from one iteration to the next: weights,
    optimizer slots, seeds, batch norm statistics, loss scales, metrics.
    The body is called and compiled once, so that compile time does not grow
    with `n`; what it keeps in Python does not go from one iteration to the
    next. Loops are unrolled

    - in eager mode;
    - under `tf.distribute`, whose optimizers cannot run in a `tf.while_loop`;
    - on JAX on a CPU if they are few, or have convolutions, which are slow in
      loops there;
    - on PyTorch, where the body is called `n` times while a step is recorded.

    Args:
        n: Number of iterations, a Python integer known at compile time.
        body: A function of the index (a Python integer or an integer scalar
            tensor), called for its side effects on variables.
        unroll: Whether to unroll the loop.
    """


@_in_backend
def only_if(
    condition: bool | Callable[[], Tensor],
    body: Callable[[], Any],
    variables: Callable[[], Variables] = list,
) -> None:
    """Calls `body()` for its side effects if a scalar condition holds.

    Under `tf.distribute`, whose optimizers cannot run inside a `tf.cond`
    either, it is called in any case, and undone if the condition fails.

    Args:
        condition: A Python bool, or a function of no arguments that returns
            a boolean scalar tensor and reads nothing but variables.
        body: A function of no arguments; what it returns is dropped.
        variables: A function of no arguments that returns all variables that
            the body may assign.
    """


@_in_backend
def assert_at_least(size: Tensor, minimum: int, message: str) -> None:
    """Checks the size of a batch that only a running graph knows.

    Only TensorFlow has such sizes; XLA leaves the check out.

    Args:
        size: Scalar integer tensor.
        minimum: Its smallest value.
        message: Of the `tf.errors.InvalidArgumentError` for smaller ones.
    """


@_in_backend
def apply_gradients(
    optimizer: keras.Optimizer,
    gradients: Sequence[Tensor],
    variables: Variables,
) -> None:
    """Lets `optimizer` update `variables`, in a stateless scope if need be.

    Args:
        optimizer: A built `keras.optimizers.Optimizer`, possibly a
            `LossScaleOptimizer`.
        gradients: List of tensors.
        variables: All variables that the optimizer was built with.
    """


@_in_backend
def train_step(
    model: keras.Model, step: Callable[[Any], dict], arguments: tuple
) -> Any:
    """Runs one stateful `step(data)` as the `train_step` of any backend.

    Args:
        model: The `keras.Model`.
        step: A function of a data batch that returns a dictionary of logs.
        arguments: What the trainer passed to `train_step`: `(data,)`, or
            `(state, data)` on JAX.

    Returns:
        The logs, or `(logs, state)` on JAX.

    Example:

    ```python
    import keras
    from keras_monoflow import gradients

    class MyModel(keras.Model):
        def train_step(self, *arguments):
            return gradients.train_step(self, self.my_step, arguments)
    ```
    """


@_in_backend
def test_step(
    model: keras.Model, step: Callable[[Any], dict], arguments: tuple
) -> Any:
    """Runs one stateful `step(data)` as the `test_step` of any backend.

    The arguments are those of `train_step`.
    """


@_in_backend
def make_train_function(model: keras.Model, function: Callable) -> Callable:
    """Returns what the trainer calls for each step, or a faster equivalent.

    Args:
        model: A compiled `keras.Model`.
        function: The `train_function` that Keras made for it.

    Returns:
        On PyTorch with one process and without `run_eagerly=True`, a function
        that traces the step once for each shape of a batch and then replays
        it. On JAX, one that loses no weights when it is interrupted, and runs
        `steps_per_execution` steps as one program. Else `function`.
    """


@_in_backend
def make_test_function(model: keras.Model, function: Callable) -> Callable:
    """Returns what the trainer calls to evaluate on a batch.

    On JAX it loses no weights when it fails or is interrupted.

    Args:
        model: A compiled `keras.Model`.
        function: The `test_function` that Keras made for it.
    """


@_in_backend
def make_predict_function(model: keras.Model, function: Callable) -> Callable:
    """Returns what the trainer calls to predict a batch.

    The rest is as in `make_test_function`.
    """


@_in_backend
def use_seed_states(network: keras.Model) -> None:
    """Makes layers without a `seed` draw from their own saved seed state.

    They do already, except that on PyTorch `Dropout(seed=None)` draws from
    the global generator of torch. No file keeps that one, so a resumed run
    would differ, and the fits of one round would see different masks.
    """


@_in_backend
def keep_variables(
    model: keras.Model,
) -> contextlib.AbstractContextManager[None]:
    """Keeps the weights of a model if an error or Ctrl-C stops what is inside.

    The JAX trainer moves the values out of the variables before it runs a step,
    so that an error there (labels that do not belong, say) loses them. What
    a training has learned until then is kept.
    """


@_in_backend
def take_back_variables(model: keras.Model) -> None:
    """Gives the variables the values that the JAX trainer took out of them.

    In the midst of `fit` or `evaluate`, they are those of the last step.
    """


@_in_backend
def all_variables(model: keras.Model) -> list[keras.Variable]:
    """Returns what a training step of a compiled model may read or assign."""
