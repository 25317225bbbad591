"""The only folder that knows which backend runs.

Models, losses and penalties are written once, statefully, as one would write
them for TensorFlow: variables are read and assigned, layers update their own
statistics, metrics collect. This file runs that code on three engines;
`replicas.py` and `processes.py` are about many devices.

On JAX and PyTorch a stateful function becomes a pure one inside a
`keras.StatelessScope` that maps every variable to a value (see `Pure`); the
functional transforms of the framework apply to the pure function, and the
values it assigned are handed back to the scope around it. Scopes nest, so
a gradient may be taken inside a gradient.
"""

import contextlib

import keras
from keras import ops

from keras_monoflow.backend import keras_internals, processes, replicas
from keras_monoflow.backend.scopes import Pure, Trace, all_variables

_BACKEND = keras.backend.backend()

if _BACKEND == "jax":
    import jax

    from keras_monoflow.backend.jax import program as jax_program
elif _BACKEND == "torch":
    import torch

    from keras_monoflow.backend.torch import program as torch_program
    from keras_monoflow.backend.torch import second_derivatives as torch_kinks
elif _BACKEND == "tensorflow":
    import tensorflow as tf

    from keras_monoflow.backend.tensorflow import adam as tensorflow_adam
    from keras_monoflow.backend.tensorflow import (
        second_derivatives as tensorflow_kinks,
    )
else:
    raise ImportError(
        "keras_monoflow runs on the TensorFlow, JAX and PyTorch backends of "
        f"Keras. Received: KERAS_BACKEND={_BACKEND!r}."
    )


def value_and_grad(loss_fn, variables):
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
    w = keras.Variable([1.0, 2.0])
    loss, (gradient,) = value_and_grad(lambda: ops.sum(w**2), [w])
    ```
    """
    if _BACKEND == "tensorflow":
        pure = Pure(loss_fn)
        with tf.GradientTape() as tape:
            loss, updates = pure(())
        gradients = _tape_gradient(tape, loss, variables)
        pure.commit(_agreed(updates))
        return loss, gradients
    pure, values = Pure(loss_fn, variables), _values(variables)
    if _BACKEND == "jax":
        transform = jax.value_and_grad(pure, has_aux=True)
        (loss, updates), gradients = transform(values)
    else:
        with torch.no_grad():
            transform = torch.func.grad_and_value(pure, has_aux=True)
            gradients, (loss, updates) = transform(values)
    pure.commit(_agreed(updates))
    return loss, list(gradients)


def value_and_pullback(fn, variables):
    """Runs `fn` once and returns its output with the pullback of that run.

    The pullback maps a cotangent `c` of the output's shape and dtype to the
    list of vector-Jacobian products `c^T d fn / d variables`. This is how
    a velocity field in sample space becomes a step of the generator.

    Args:
        fn: A function of no arguments that returns one tensor.
        variables: A list of `keras.Variable`s.

    Returns:
        A pair of the output and the function `pullback(cotangent)`, which can
        be called once.
    """
    if _BACKEND == "tensorflow":
        pure = Pure(fn)
        with tf.GradientTape() as tape:
            outputs, updates = pure(())
        pure.commit(updates)
        return outputs, lambda cotangent: _tape_gradient(
            tape, outputs, variables, output_gradients=cotangent
        )
    pure, values = Pure(fn, variables), _values(variables)
    if _BACKEND == "jax":
        outputs, vjp, updates = jax.vjp(pure, values, has_aux=True)
    else:
        with torch.no_grad():
            outputs, vjp, updates = torch.func.vjp(pure, values, has_aux=True)
    pure.commit(updates)
    return outputs, lambda cotangent: list(vjp(cotangent)[0])


def value_and_input_gradient(fn, x):
    """Returns `fn(x)` and the gradient of its sum with respect to `x`.

    With one output a sample this is the gradient at each sample. The result
    can be differentiated again, so it may be used inside a loss.

    Args:
        fn: A function of one tensor.
        x: A floating point tensor.

    Returns:
        A pair of `fn(x)` and a tensor of the shape of `x`.
    """
    if _BACKEND == "tensorflow":
        x = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = fn(x)
            total = tf.reduce_sum(outputs)
        return outputs, tape.gradient(
            total, x, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
    pure = Pure(fn)

    def total(x):
        outputs, updates = pure((), x)
        return ops.sum(outputs), (outputs, updates)

    x = ops.convert_to_tensor(x)
    if _BACKEND == "jax":
        gradient, (outputs, updates) = jax.grad(total, has_aux=True)(x)
    else:
        transform = torch.func.grad(total, has_aux=True)
        with torch_kinks.NoZeros():
            gradient, (outputs, updates) = transform(x)
    pure.commit(updates)
    return outputs, gradient


def input_gradient(fn, x):
    """Returns the gradient of `sum(fn(x))` with respect to `x`.

    See `value_and_input_gradient`.

    Example:

    ```python
    input_gradient(lambda x: x**3, ops.convert_to_tensor([1.0, 2.0]))  # [3, 12]
    ```
    """
    return value_and_input_gradient(fn, x)[1]


def discard_updates(fn):
    """Returns `fn` without its side effects: no variable keeps an assignment.

    A network called so can run in training mode (batch statistics, dropout,
    power iteration) and yet be frozen.
    """

    def frozen(*args, **kwargs):
        with Trace():
            return fn(*args, **kwargs)

    return frozen


def postpone_updates(fn):
    """Calls `fn()` and holds back what it assigns to non-trainable variables.

    Trainable variables are assigned at once: spectral normalization rescales
    kernels in its forward pass, and an optimizer steps from there.

    Args:
        fn: A function of no arguments.

    Returns:
        A pair of its output and a function `commit()` that makes the
        assignments; what happens in between sees the old values.
    """
    with Trace() as trace:
        outputs = fn()
    updates = []
    for variable in trace.assigned.values():
        value = trace.get_current_value(variable)
        if variable.trainable:
            variable.assign(value)
        else:
            updates.append((variable, value))

    def commit():
        variables = [variable for variable, _ in updates]
        values = _agreed([value for _, value in updates])
        for variable, value in zip(variables, values):
            variable.assign(value)

    return outputs, commit


def repeat(n, body, unroll=False):
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
    - on PyTorch if the body uses its index, draws noise whose distribution it
      computes, or updates a variable twice, as optimizers do with constraints
      on weights; and with `torch.compile` if they are few.

    Args:
        n: Number of iterations, a Python integer known at compile time.
        body: A function of the index (a Python integer or an integer scalar
            tensor), called for its side effects on variables.
        unroll: Whether to write the iterations out one after another.
    """
    if n < 2 or unroll:
        for i in range(n):
            body(i)
    elif _BACKEND == "torch":
        torch_program.repeat(n, body)
    elif _BACKEND == "jax":
        jax_program.repeat(n, body)
    elif tf.executing_eagerly() or tf.distribute.has_strategy():
        for i in range(n):
            body(i)
    else:

        def iteration(i):
            body(i)
            return (i + 1,)

        tf.while_loop(
            lambda i: i < n,
            iteration,
            [tf.constant(0)],
            parallel_iterations=1,
            maximum_iterations=n,
        )


def only_if(condition, body, variables=list):
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
    if isinstance(condition, bool):
        if condition:
            body()
    elif _BACKEND == "torch":
        if torch_program.evaluate(condition):
            body()
    elif _BACKEND == "jax":
        jax_program.only_if(condition(), body)
    elif tf.distribute.has_strategy():
        condition, variables = condition(), variables()
        before = [tf.identity(v.value) for v in variables]
        body()
        for variable, value in zip(variables, before):
            variable.assign(tf.where(condition, variable.value, value))
    else:

        def run():
            body()
            return tf.constant(True)

        tf.cond(condition(), run, lambda: tf.constant(False))


def apply_gradients(optimizer, gradients, variables):
    """Lets `optimizer` update `variables`, in a stateless scope if need be.

    Args:
        optimizer: A built `keras.optimizers.Optimizer`, possibly a
            `LossScaleOptimizer`.
        gradients: List of tensors.
        variables: All variables that the optimizer was built with.
    """
    gradients = replicas.gradients(optimizer, gradients)
    if _BACKEND == "tensorflow":
        with tensorflow_adam.faster_update(optimizer):
            optimizer.apply(gradients, variables)
        return
    if _BACKEND == "torch":
        with keras_internals.common_update(optimizer):
            optimizer.apply(gradients, variables)
        return
    # `apply` of a LossScaleOptimizer branches on traced values and would leak
    # them from the branches; `stateless_apply` returns them.
    new_variables, new_state = optimizer.stateless_apply(
        _values(optimizer.variables), gradients, _values(variables)
    )
    for variable, value in zip(
        [*variables, *optimizer.variables], [*new_variables, *new_state]
    ):
        variable.assign(value)


def use_seed_states(network):
    """Makes layers without a `seed` draw from their own saved seed state.

    They do already, except that on PyTorch `Dropout(seed=None)` draws from
    the global generator of torch. No file keeps that one, so a resumed run
    would differ, and the fits of one round would see different masks.
    """
    if _BACKEND != "torch":
        return
    for layer in network._flatten_layers():
        for seed in layer._seed_generators:
            if seed._initial_seed is None:
                seed._initial_seed = int(seed.state.value[0])


@contextlib.contextmanager
def keep_variables(model):
    """Keeps a model usable if an error stops its `fit` in the first step.

    The JAX trainer moves the values out of the variables before it traces the
    step, so that an error there (labels that do not belong, say) loses them.
    """
    if _BACKEND != "jax":
        yield
        return
    variables = all_variables(model)
    values = _values(variables)
    try:
        yield
    except BaseException:
        for variable, value in zip(variables, values):
            if variable._value is None and not value.is_deleted():
                variable._value = value
        raise


def train_step(model, step, arguments):
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
    class MyModel(keras.Model):
        def train_step(self, *arguments):
            return gradients.train_step(self, self.my_step, arguments)
    ```
    """
    groups = [
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables if _BACKEND == "jax" else [],
        model.metrics_variables,
    ]
    with replicas.sharing():
        return _run_step(groups, step, arguments)


def make_train_function(model, function):
    """Returns what the trainer calls for each step, or a faster equivalent.

    Args:
        model: A compiled `keras.Model`.
        function: The `train_function` that Keras made for it.

    Returns:
        With `run_eagerly=True`, `function`. On PyTorch with one process,
        a function that traces the step once for each shape of a batch and
        then replays it. On JAX with `steps_per_execution` above 1, one that
        runs these steps as one program. Else `function`.
    """
    if model.run_eagerly:
        return function
    if _BACKEND == "torch" and processes.count() == 1:
        return torch_program.RecordedStep(model, compiled=model.jit_compile)
    if (
        _BACKEND == "jax"
        and model.jit_compile
        and model.steps_per_execution > 1
    ):
        return jax_program.FusedSteps(model, one_by_one=function)
    return function


def test_step(model, step, arguments):
    """Runs one stateful `step(data)` as the `test_step` of any backend.

    The arguments are those of `train_step`.
    """
    groups = [
        model.trainable_variables,
        model.non_trainable_variables,
        model.metrics_variables,
    ]
    return _run_step(groups, step, arguments)


def _run_step(groups, step, arguments):
    if _BACKEND == "tensorflow":
        return step(*arguments)
    if _BACKEND == "torch":
        # Gradients are taken by torch.func; the tape of autograd stays off.
        with torch.no_grad():
            return step(*arguments)
    state, data = arguments
    mapping = [
        pair
        for group, values in zip(groups, state)
        for pair in zip(group, values)
    ]
    with Trace(mapping) as trace:
        logs = step(data)
        state = tuple(
            [trace.get_current_value(v) for v in group] for group in groups
        )
    return logs, state


def _agreed(values):
    """The mean of values that each replica computed from its own rows.

    Batch norm statistics do not depend on the order of the replicas then. They
    are alike in all of them already if no layer looks at the whole batch.
    """
    places = [
        i for i, v in enumerate(values) if keras.backend.is_float_dtype(v.dtype)
    ]
    values = list(values)
    for i, value in zip(places, replicas.mean([values[i] for i in places])):
        values[i] = value
    return values


def _values(variables):
    values = [v.value for v in variables]
    return [v.detach() for v in values] if _BACKEND == "torch" else values


def _tape_gradient(tape, target, variables, **kwargs):
    with tensorflow_kinks.no_zeros():
        gradients = tape.gradient(
            target,
            [v.value for v in variables],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
            **kwargs,
        )
    # Those of embeddings are sparse, which cannot be added.
    return [tf.convert_to_tensor(gradient) for gradient in gradients]
