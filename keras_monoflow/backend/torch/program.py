"""A training step on PyTorch as a list of tensor operations.

On small networks, the Python of Keras's layers, of stateless scopes and of
`torch.func` takes longer than the arithmetic. Here it runs once for each
shape of a batch: `recorder.py` writes down which operations of PyTorch it
leads to, gradients included, and later steps replay these.

The recorded operations change variables in place. Noise is drawn before each
replay, from generators that are seeded as Keras would have seeded them then,
so that a replayed step gives what the step itself would have given.
"""

import contextlib
import functools
import math
import re
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import torch

from keras_monoflow.backend.keras_internals import stored_value
from keras_monoflow.backend.scopes import NestedScope, all_variables, on_values
from keras_monoflow.backend.torch import recorder as torch_recorder
from keras_monoflow.backend.torch.graph import Loop, NotRecordable
from keras_monoflow.backend.torch.seeds import Seeds

#: What `torch.compile` makes of one step is called from Python each time. So it
#: gets up to that many steps unrolled, which takes longer to compile.
SHORT_LOOP = 5

LONGEST_REASON = 300


class RecordedStep:
    """A `train_function` for Keras's trainer that replays its step.

    A step that cannot be replayed runs as it is, and one warning says why.

    Args:
        model: The `keras.Model`.
        compiled: Whether `torch.compile` makes kernels of the operations.
    """

    def __init__(self, model: keras.Model, compiled: bool) -> None:
        self._model = model
        self._compiled = compiled
        self._programs: dict[tuple, list] = {}
        self._error: Exception | None = None
        self._has_warned = False

    def __call__(self, batches: Sequence) -> Any:
        data = keras.tree.map_structure(
            lambda x: x if x is None else keras.ops.convert_to_tensor(x),
            batches[0],
        )
        program = self._program_for(data)
        if program is not None:
            with torch.no_grad():
                return program(data)
        logs = self._model.train_step(data)
        # The step itself had no error, or would have explained it better.
        if not self._has_warned:
            warnings.warn(_explain(self._error), stacklevel=2)
            self._has_warned = True
        return logs

    def _program_for(self, data):
        programs = self._programs.setdefault(signature(data), [])
        for program in programs:
            if program is None or program.holds():
                return program
        try:
            with torch.no_grad():
                programs.append(self._record(data))
        except Exception as error:
            programs.append(None)
            # Its frames would keep the tensors of the step.
            self._error = error.with_traceback(None)
        return programs[-1]

    def _record(self, data):
        step, variables = self._model.train_step, all_variables(self._model)
        try:
            return Program(step, variables, data, self._compiled)
        except NotRecordable:
            return Program(step, variables, data, self._compiled, loops=False)


def _explain(error):
    """Returns a warning in one plain line."""
    # Keras sets the message in bold, and lists the layer's arguments below.
    message = re.sub(r"\x1b\[\d*m", "", str(error))
    message, _, _ = message.partition("\n\nArguments received by")
    reason = " ".join(message.split()).rstrip(".") or type(error).__name__
    if len(reason) > LONGEST_REASON:
        reason = reason[:LONGEST_REASON] + " ..."
    return (
        "The training step cannot be recorded, so it runs operation by "
        f"operation, which is slower. {reason}. To run it so without this "
        "warning, compile with `run_eagerly=True`."
    )


class _CopyingScope(NestedScope):
    """A variable that is given the value of another one gets a copy.

    Optimizers change weights in place.
    """

    def add_update(self, update):
        variable, value = update
        others = dict(self.state_mapping)
        others.pop(id(variable), None)
        if _memory(value) in map(_memory, others.values()):
            value = value.clone()
        super().add_update((variable, value))


def _memory(tensor):
    return tensor.untyped_storage().data_ptr()


class Program:
    """One step for one shape of a batch.

    Args:
        step: A stateful function of a batch that returns logs.
        variables: All variables that it reads or assigns.
        data: A batch, a nested structure of tensors and `None`.
        compiled: Whether `torch.compile` makes kernels of the operations.
        loops: Whether repeated steps may be loops.

    Raises:
        NotRecordable: If the step decides by values of tensors, uses a seed
            that is none of Keras, or assigns another variable.
        Exception: Whatever else the step raises while it is recorded.
    """

    def __init__(self, step, variables, data, compiled=False, loops=True):
        self._step = step
        self._longest_unrolled = SHORT_LOOP if compiled else 0
        if not loops:
            self._longest_unrolled = math.inf
        self._variables = variables
        self._data = data
        self._seeds = Seeds(variables[0].value.device)
        self._conditions = _Conditions(variables)
        copies = [v.value.detach().clone() for v in variables]
        with self._active(), self._seeds.recorded():
            inputs = [*copies, *_tensors(data)]
            self._run, self._draws = torch_recorder.record(
                self._flat_step, inputs
            )
        del self._data, self._step
        if compiled:
            self._compile()

    def _flat_step(self, *tensors):
        """The step as a function of flat tensors, which it changes."""
        values = tensors[: len(self._variables)]
        batch = _with_tensors(self._data, tensors[len(self._variables) :])
        with _CopyingScope(list(zip(self._variables, values))) as scope:
            logs = self._step(batch)
        before = dict(zip(map(id, self._variables), values))
        for variable in scope.assigned.values():
            if id(variable) not in before:
                raise NotRecordable(
                    f"It assigns {variable.path!r}, which is not a variable "
                    "of the model, its optimizer or its metrics: make it one"
                )
            value = scope.get_current_value(variable)
            if value is not before[id(variable)]:
                before[id(variable)].copy_(value)
        self._logs = keras.tree.map_structure(lambda _: 0, logs)
        return keras.tree.flatten(logs)

    @contextlib.contextmanager
    def _active(self):
        global _recording
        before, _recording = _recording, self
        try:
            yield
        finally:
            _recording = before

    def evaluate(self, condition):
        """Returns the value of a condition, which the program relies on."""
        return self._conditions.evaluate(condition)

    def repeat(self, n, body):
        """Records `body(i)` for each `i`, as one loop if that is possible."""

        def loop(body, values):
            once = functools.partial(body, _NoIndex())
            generator_at = self._seeds.generators()
            # An error of the body itself comes again below.
            with contextlib.suppress(Exception):
                return torch_recorder.loop(n, once, values, generator_at)
            for i in range(n):
                values = body(i, values)
            return values

        if n <= self._longest_unrolled:
            _unroll(n, body)
        else:
            on_values(self._seeds.follow(body), loop, _CopyingScope)

    def _compile(self):
        for module in self._run.modules():
            if isinstance(module, Loop):
                module.compile_body()
        self._run = torch.compile(self._run)

    def holds(self):
        """Returns whether what it was told of variables is still true."""
        return self._conditions.still_hold()

    def __call__(self, data):
        self._seeds.set()
        noise = [
            target(*args, **kwargs) for target, args, kwargs in self._draws
        ]
        values = [stored_value(v) for v in self._variables]
        logs = self._run(*values, *_tensors(data), *noise)
        return keras.tree.pack_sequence_as(self._logs, logs)


class _NoIndex:
    """Stands for the index of a loop. A body that uses it cannot be one."""

    def _refuse(self, *arguments):
        raise NotRecordable("It uses the index of a loop")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _refuse
    __bool__ = __int__ = __float__ = __index__ = __array__ = _refuse
    __str__ = __repr__ = __format__ = __neg__ = __abs__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _refuse
    __mod__ = __rmod__ = __pow__ = __rpow__ = __len__ = __iter__ = _refuse


def signature(data):
    """Returns what programs of different batches differ in."""
    return tuple(
        None if x is None else (x.shape, x.dtype, x.stride())
        for x in keras.tree.flatten(data)
    )


def _tensors(data):
    return [x for x in keras.tree.flatten(data) if x is not None]


def _with_tensors(data, tensors):
    tensors = iter(tensors)
    return keras.tree.map_structure(
        lambda x: x if x is None else next(tensors), data
    )


_recording = None


def repeat(n, body):
    """Calls `body(i)` for `i = 0, ..., n - 1`.

    In a program that is being recorded this is a loop, unless the body uses
    its index.
    """
    if _recording is not None:
        _recording.repeat(n, body)
    else:
        _unroll(n, body)


def _unroll(n, body):
    for i in range(n):
        body(i)


def evaluate(condition):
    """Returns the value of `condition()`, a function of variables, as a bool.

    A program that is being recorded holds only as long as the value does.
    """
    if _recording is not None:
        return _recording.evaluate(condition)
    return bool(condition())


class _Conditions:
    """What a program was told about variables while it was recorded."""

    def __init__(self, variables):
        self._variables = variables
        self._values = []

    def evaluate(self, condition):
        present = [(v, stored_value(v)) for v in self._variables]
        with torch_recorder.paused(), keras.StatelessScope(present):
            value = bool(condition())
        self._values.append((condition, value))
        return value

    def still_hold(self):
        return all(bool(fn()) == value for fn, value in self._values)
