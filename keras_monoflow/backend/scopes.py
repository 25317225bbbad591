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


def on_values(body, loop, scope=Trace):
    """Lets `loop` run `body(i)` as a function `(i, values)` of all values.

    Args:
        body: A stateful function of an index.
        loop: A function of `body(i, values)`, which returns new values, and of
            the first values. It returns the last ones.
        scope: The kind of `Trace` that the body runs in.
    """
    with Trace() as outer:
        keys = list(outer.state_mapping)
        assigned = {}

        def iteration(i, values):
            with scope() as inner:
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


def all_variables(model):
    """Returns what a training step of a compiled model may read or assign."""
    return [
        *model.variables,
        *model.optimizer.variables,
        *model.metrics_variables,
    ]
