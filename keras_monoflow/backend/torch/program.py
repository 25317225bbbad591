"""A training step on PyTorch as a list of tensor operations.

On small networks, the Python of Keras's layers and of automatic
differentiation takes longer than the arithmetic. Here it runs once for each
shape of a batch: while the first such step runs, `recorder.py` writes down
which operations of PyTorch it leads to, gradients included, and later steps
replay these.

The recorded operations change variables in place. Noise is drawn before each
replay, from generators that are seeded as Keras would have seeded them then,
so that a replayed step gives what the step itself would have given.
"""

import contextlib
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import torch

from keras_monoflow.backend.keras_internals import (
    conditions_by,
    generators_from,
    stored_value,
)
from keras_monoflow.backend.scopes import all_variables
from keras_monoflow.backend.torch.branches import Branches
from keras_monoflow.backend.torch.errors import NotRecordable
from keras_monoflow.backend.torch.pieces import CompiledPieces
from keras_monoflow.backend.torch.python_state import PythonState
from keras_monoflow.backend.torch.recorder import Recorder
from keras_monoflow.backend.torch.seeds import Seeds

#: Up to that many repeated steps are compiled as one with what is around them,
#: which takes longer to compile, and then less time: a compiled piece is called
#: from Python.
SHORT_LOOP = 5

#: For how many kinds of batches programs are kept, the latest ones.
MAX_PROGRAMS = 16

LONGEST_REASON = 300

#: The recording that is under way.
recording: "Recording | None" = None


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
        self._python_state = PythonState(model)
        self._programs: OrderedDict[tuple, list] = OrderedDict()
        self._has_warned = False

    def __call__(self, batches: Sequence) -> Any:
        data = keras.tree.map_structure(
            lambda x: x if x is None else keras.ops.convert_to_tensor(x),
            batches[0],
        )
        if self._python_state.has_changed():
            self._programs.clear()
        programs = self._programs_for(data)
        for program in programs:
            if program is None:
                return self._model.train_step(data)
            if program.holds():
                return program(data)
        logs, program = record(
            self._model.train_step,
            all_variables(self._model),
            data,
            self._compiled,
        )
        if isinstance(program, Program):
            programs.append(program)
        else:
            programs.append(None)
            self._warn(program)
        self._python_state.note()
        return logs

    def _programs_for(self, data: Any) -> list:
        """The programs for such batches, each for other conditions."""
        kind = signature(data)
        programs = self._programs.setdefault(kind, [])
        self._programs.move_to_end(kind)
        if len(self._programs) > MAX_PROGRAMS:
            self._programs.popitem(last=False)
        return programs

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:
            warnings.warn(_explain(error), stacklevel=2)
            self._has_warned = True


def _explain(error: Exception) -> str:
    """Returns a warning in one plain line."""
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    if len(reason) > LONGEST_REASON:
        reason = reason[:LONGEST_REASON] + " ..."
    reason = " ".join([reason, *filter(None, getattr(error, "__notes__", ()))])
    return (
        "The training step cannot be recorded, so it runs operation by "
        f"operation, which is slower. {reason}. To run it so without this "
        "warning, compile with `run_eagerly=True`."
    )


def signature(data: Any) -> tuple:
    """Returns what programs of different batches differ in."""
    return tuple(
        None if x is None else (x.shape, x.dtype, x.stride())
        for x in keras.tree.flatten(data)
    )


def _tensors(data: Any) -> list:
    return [x for x in keras.tree.flatten(data) if x is not None]


class Recording:
    """What is noted of one step while it runs.

    Args:
        variables: All variables that the step reads or assigns.
        data: Its batch, a nested structure of tensors and `None`.

    Raises:
        NotRecordable, NotImplementedError: If a private name has moved.
    """

    def __init__(self, variables: Sequence[keras.Variable], data: Any) -> None:
        self.variables = variables
        inputs = [*map(stored_value, variables), *_tensors(data)]
        self.recorder = Recorder(inputs)
        self.seeds = Seeds(inputs[0].device, self.recorder.unseen)
        self.conditions: list[tuple[Callable, bool]] = []
        self._gradients = self._stored_gradients()
        # What a condition of the next step will read before that step begins.
        self._counters = [
            (v, stored_value(v).detach().clone())
            for v in variables
            if stored_value(v).numel() == 1
        ]

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Inside, everything that runs is noted."""
        global recording
        branches = Branches(self.variables, self.recorder, self.seeds.count)
        with (
            generators_from(self._generator),
            conditions_by(branches.cond),
            self.recorder,
        ):
            before, recording = recording, self
            try:
                yield
            finally:
                recording = before

    def _stored_gradients(self) -> list:
        return [stored_value(v).grad for v in self.variables]

    def check_gradients(self) -> None:
        """Raises `NotRecordable` if the step left any in `.grad`."""
        for before, after in zip(self._gradients, self._stored_gradients()):
            if before is not after:
                raise NotRecordable(
                    "It calls `backward`, which no replay does: use "
                    "`torch.autograd.grad`"
                )

    def _generator(self, seed: Any, original: Callable) -> torch.Generator:
        try:
            return self.seeds.generator(seed)
        except NotRecordable as error:
            self.recorder.fail(error)
            return original(seed)

    def evaluate(self, condition: Callable) -> bool:
        """Returns the value of a condition, which replays rely on."""

        def values():
            with keras.StatelessScope(self._counters):
                before = bool(condition())
            return before, bool(condition())

        before, value = self.recorder.unseen(values)
        if before != value:
            self.recorder.fail(
                NotRecordable("It decides by a variable that it has changed")
            )
        self.conditions.append((condition, value))
        return value


def evaluate(condition: Callable) -> bool:
    """Returns the value of `condition()`, a function of variables, as a bool.

    A program that is being recorded holds only as long as the value does.
    """
    if recording is not None:
        return recording.evaluate(condition)
    return bool(condition())


def cut() -> None:
    """Marks where a repeated step begins or ends, in a recording if any."""
    if recording is not None:
        recording.recorder.cut()


def record(
    step: Callable,
    variables: Sequence[keras.Variable],
    data: Any,
    compiled: bool = False,
) -> tuple[Any, "Program | Exception"]:
    """Runs a step, and makes a program of what it did.

    Args:
        step: A stateful function of a batch that returns logs.
        variables: All variables that it reads or assigns.
        data: A batch, a nested structure of tensors and `None`.
        compiled: Whether `torch.compile` makes kernels of the operations.

    Returns:
        The logs of the step; and a `Program`, or the error that says why there
        is none.
    """
    with contextlib.ExitStack() as stack:
        # One tensor may be two inputs now; they will be two.
        data = keras.tree.map_structure(
            lambda x: x if x is None else x.detach(), data
        )
        try:
            noted = Recording(variables, data)
            stack.enter_context(noted.active())
        except (NotRecordable, NotImplementedError) as error:
            stack.close()
            return step(data), error
        logs = step(data)
    try:
        noted.check_gradients()
        return logs, Program(noted, logs, compiled)
    except Exception as error:
        return logs, error


class Program:
    """One step for one kind of batch, ready to be replayed.

    Args:
        noted: The `Recording` of the step.
        logs: What the step returned.
        compiled: Whether `torch.compile` makes kernels of the operations.

    Raises:
        NotRecordable: If the step decides by values of tensors, or uses a seed
            that is none of Keras.
    """

    def __init__(self, noted: Recording, logs: Any, compiled: bool) -> None:
        self._variables = noted.variables
        self._seeds = noted.seeds
        self._conditions = noted.conditions
        module, self._draws = noted.recorder.finish(keras.tree.flatten(logs))
        self._logs = keras.tree.map_structure(lambda _: 0, logs)
        self._run = CompiledPieces(module) if compiled else module

    def holds(self) -> bool:
        """Returns whether the step would still decide as it did."""
        return all(bool(fn()) == value for fn, value in self._conditions)

    @torch.no_grad()
    def __call__(self, data: Any) -> Any:
        self._seeds.set()
        noise = [
            target(*args, **kwargs) for target, args, kwargs in self._draws
        ]
        values = [stored_value(v) for v in self._variables]
        logs = self._run(*values, *_tensors(data), *noise)
        return keras.tree.pack_sequence_as(self._logs, logs)
