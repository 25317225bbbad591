"""Conditions on values of tensors in recorded steps.

`ops.cond` on PyTorch reads its condition and runs one branch; a replay could
run no other one. So while a step is recorded both run, each on copies of the
variables, and `where` picks what they return and what variables become. This
records spectral normalization, gradient accumulation, loss scaling, and
averages of weights in optimizers.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch

from keras_monoflow.backend.keras_internals import current_scope, stored_value
from keras_monoflow.backend.scopes import NestedScope
from keras_monoflow.backend.torch.errors import NotRecordable
from keras_monoflow.backend.torch.recorder import Recorder, address


@dataclasses.dataclass
class _Branch:
    """What a branch returned, and the variables that it changed."""

    outputs: Any
    values: dict[int, torch.Tensor]


class Branches:
    """Runs conditions so that a recorder sees both branches.

    Args:
        variables: All variables that the step reads or assigns.
        recorder: What writes down the operations.
        count_draws: A function that says how often noise was drawn so far.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        recorder: Recorder,
        count_draws: Callable[[], int],
    ) -> None:
        self._variables = {id(v): v for v in variables}
        self._recorder = recorder
        self._count_draws = count_draws

    def cond(
        self,
        condition: Any,
        if_true: Callable,
        if_false: Callable,
        original: Callable,
    ) -> Any:
        """What `keras.ops.cond` does while a step is recorded."""
        is_read = isinstance(condition, torch.Tensor)
        if not is_read or self._recorder.error is not None:
            return original(condition, if_true, if_false)
        taken = self._recorder.unseen(lambda: bool(condition))
        chosen = self._run(if_true if taken else if_false)
        try:
            draws = self._count_draws()
            other = self._run(if_false if taken else if_true)
            if self._count_draws() != draws:
                raise NotRecordable("It draws noise in one of two branches")
            self._check_gradients(other)
            pair = (chosen, other) if taken else (other, chosen)
            chosen = self._where(condition, *pair)
        except Exception as error:
            # This step goes on with the branch that it takes.
            self._recorder.fail(error)
        for key, value in chosen.values.items():
            self._variables[key].assign(value)
        return chosen.outputs

    def _run(self, branch: Callable) -> _Branch:
        scope = NestedScope()
        with scope:
            values = {k: self._now(k).clone() for k in self._variables}
            scope.state_mapping.update(values)
            outputs, written = self._recorder.written_by(branch)
        changed = {
            key: scope.state_mapping[key]
            for key, x in values.items()
            # Assigned, or changed in place.
            if scope.state_mapping[key] is not x or address(x) in written
        }
        return _Branch(outputs, changed)

    def _where(
        self, condition: torch.Tensor, one: _Branch, other: _Branch
    ) -> _Branch:
        def pick(a, b):
            is_tensor = isinstance(a, torch.Tensor)
            return torch.where(condition, a, b) if is_tensor else a

        values = {}
        for key in one.values.keys() | other.values.keys():
            now = self._now(key)
            values[key] = pick(
                one.values.get(key, now), other.values.get(key, now)
            )
        outputs = keras.tree.map_structure(pick, one.outputs, other.outputs)
        return _Branch(outputs, values)

    def _now(self, key: int) -> torch.Tensor:
        """The value of a variable, before any autocast."""
        scope = current_scope()
        values = {} if scope is None else scope.state_mapping
        return values.get(key, stored_value(self._variables[key]))

    def _check_gradients(self, branch: _Branch) -> None:
        """Where both have gradients, those of `where` are NaN in both if a
        branch divides by zero, as spectral normalization does for a kernel of
        zeros."""
        results = [*keras.tree.flatten(branch.outputs), *branch.values.values()]
        tensors = [x for x in results if isinstance(x, torch.Tensor)]
        with_gradients = [x for x in tensors if x.requires_grad]
        is_finite = self._recorder.unseen(
            lambda: all(bool(x.isfinite().all()) for x in with_gradients)
        )
        if not is_finite:
            raise NotRecordable("A branch that it does not take is not finite")
