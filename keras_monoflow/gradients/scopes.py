"""Stateful functions as pure ones, in scopes that map variables to values."""

import keras


class Trace(keras.StatelessScope):
    """A stateless scope that sees the values of the scope around it.

    It also remembers, in `assigned`, which variables were given a new value.
    """

    def __init__(self, state_mapping=None):
        super().__init__(state_mapping=state_mapping)
        self.assigned = {}

    def __enter__(self):
        super().__enter__()
        if self.original_scope is not None:
            self.state_mapping = {
                **self.original_scope.state_mapping,
                **self.state_mapping,
            }
        return self

    def add_update(self, update):
        variable, _ = update
        self.assigned[id(variable)] = variable
        super().add_update(update)


class Pure:
    """A stateful `fn(*args)` as a pure function `(values, *args)`.

    It returns the outputs of `fn` and the new values of the variables that
    `fn` assigned, which `commit` then assigns in the scope around it.
    """

    def __init__(self, fn, variables=()):
        self.fn = fn
        self.variables = list(variables)
        self.assigned = []

    def __call__(self, values, *args):
        with Trace(list(zip(self.variables, values))) as trace:
            outputs = self.fn(*args)
        self.assigned = list(trace.assigned.values())
        return outputs, [trace.get_current_value(v) for v in self.assigned]

    def commit(self, values):
        for variable, value in zip(self.assigned, values):
            variable.assign(value)


def all_variables(model):
    """Returns what a training step of a compiled model may read or assign."""
    return [
        *model.variables,
        *model.optimizer.variables,
        *model.metrics_variables,
    ]
