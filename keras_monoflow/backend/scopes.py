"""Stateful functions as pure ones, in scopes that map variables to values.

Inside a `keras.StatelessScope` a variable is what the scope says, and what is
assigned to it stays in the scope. The transforms of a framework are applied to
such a pure function, and the values that it assigned are handed back to the
scope around it. Scopes nest, so a gradient may be taken inside a gradient.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_monoflow.backend.keras_internals import current_scope
from keras_monoflow.typing import Tensor


class NestedScope(keras.StatelessScope):
    """A stateless scope that sees the values of the scope around it.

    It also remembers, in `assigned`, which variables were given a new value.
    """

    state_mapping: dict

    def __init__(self, state_mapping: Sequence | None = None) -> None:
        super().__init__(state_mapping=state_mapping)
        self.assigned: dict[int, keras.Variable] = {}

    def __enter__(self) -> "NestedScope":
        outer = current_scope()
        super().__enter__()
        if outer is not None:
            self.state_mapping = {**outer.state_mapping, **self.state_mapping}
        return self

    def add_update(self, update: tuple[keras.Variable, Tensor]) -> None:
        variable, _ = update
        self.assigned[id(variable)] = variable
        super().add_update(update)


class Pure:
    """A stateful `fn(*args)` as a pure function `(values, *args)`.

    It returns the outputs of `fn` and the new values of the variables that
    `fn` assigned, which `commit` then assigns in the scope around it.
    """

    def __init__(self, fn: Callable, variables: Sequence = ()) -> None:
        self.fn = fn
        self.variables = list(variables)
        self.assigned: list[keras.Variable] = []

    def __call__(self, values: Sequence, *args: Any) -> tuple[Any, list]:
        with NestedScope(list(zip(self.variables, values))) as scope:
            outputs = self.fn(*args)
        self.assigned = list(scope.assigned.values())
        return outputs, [scope.get_current_value(v) for v in self.assigned]

    def commit(self, values: Sequence) -> None:
        assign(self.assigned, values)


def assign(variables: Sequence, values: Sequence) -> None:
    """Assigns to each variable its value."""
    for variable, value in zip(variables, values):
        variable.assign(value)


class _LossScope(NestedScope):
    """A scope that keeps what layers pass to `add_loss`.

    Keras clears the losses of a network that is called again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.collect_losses = True
        self.added: list[Tensor] = []

    def add_loss(self, loss: Tensor) -> None:
        self.added.append(loss)


def with_added_losses(fn: Callable) -> tuple[Any, Tensor | None]:
    with _LossScope() as scope:
        outputs = fn()
    for variable in scope.assigned.values():
        variable.assign(scope.get_current_value(variable))
    if not scope.added:
        return outputs, None
    return outputs, sum(keras.ops.cast(x, "float32") for x in scope.added)


def discard_updates(fn: Callable) -> Callable:
    def frozen(*args: Any, **kwargs: Any) -> Any:
        with NestedScope():
            return fn(*args, **kwargs)

    return frozen


def postponed(fn: Callable) -> tuple[Any, list, list]:
    """Calls `fn()` and returns its output, and what it would have assigned.

    Trainable variables are assigned at once: spectral normalization rescales
    kernels in its forward pass, and an optimizer steps from there.

    Returns:
        The output, non-trainable variables, and their new values.
    """
    pure = Pure(fn)
    outputs, values = pure(())
    variables, updates = [], []
    for variable, value in zip(pure.assigned, values):
        if variable.trainable:
            variable.assign(value)
        else:
            variables.append(variable)
            updates.append(value)
    return outputs, variables, updates


def average_floats(values: Sequence, mean: Callable) -> list:
    """Returns values that replicas agree on, as each computed its own.

    Batch norm statistics do not depend on the order of the replicas then. They
    are alike in all of them already if no layer looks at the whole batch.

    Args:
        values: Tensors; integers (seeds, counters) are alike everywhere.
        mean: A function that averages a list of tensors over the replicas.
    """
    values = list(values)
    is_float = keras.backend.is_float_dtype
    places = [i for i, value in enumerate(values) if is_float(value.dtype)]
    if places:
        for i, value in zip(places, mean([values[i] for i in places])):
            values[i] = value
    return values


def on_values(body: Callable, loop: Callable) -> None:
    """Lets `loop` run `body(i)` as a function `(i, values)` of all values.

    Args:
        body: A stateful function of an index.
        loop: A function of `body(i, values)`, which returns new values, and of
            the first values. It returns the last ones.
    """
    with NestedScope() as outer:
        keys = list(outer.state_mapping)
        assigned = {}

        def iteration(i, values):
            with NestedScope() as inner:
                inner.state_mapping = dict(zip(keys, values))
                body(i)
            for key, variable in inner.assigned.items():
                if key not in outer.state_mapping:
                    raise RuntimeError(
                        f"The body of `repeat` assigned {variable.path!r}, "
                        "which is not a variable of the running step. Attach "
                        "it to the model, its optimizers or its metrics."
                    )
            assigned.update(inner.assigned)
            return [inner.state_mapping[key] for key in keys]

        values = [outer.state_mapping[key] for key in keys]
        values = loop(iteration, values)
    new_values = dict(zip(keys, values))
    for key, variable in assigned.items():
        variable.assign(new_values[key])


def assert_at_least(size: Tensor, minimum: int, message: str) -> None:
    """Sizes are known where there is no graph."""


def all_variables(model: keras.Model) -> list:
    # Before `compile` there is none.
    optimizer = getattr(model, "optimizer", None)
    return [
        *model.variables,
        *(optimizer.variables if optimizer else ()),
        *model.metrics_variables,
    ]
