"""Noise of recorded steps: generators that are seeded before each replay."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import torch

from keras_monoflow.backend.keras_internals import stored_value
from keras_monoflow.backend.torch.errors import NotRecordable


class _Draw(NamedTuple):
    generator: torch.Generator
    seed: keras.random.SeedGenerator | None
    offset: int


class Seeds:
    """Seeds the generators of a program as Keras would in an eager step.

    Keras's seed state is a pair of numbers, whose sum seeds a generator for
    each draw; a draw in a step adds a known offset to where the state was when
    the step began.

    Args:
        device: Where the noise is drawn.
        unseen: A function that calls another one, and lets nobody notice.
    """

    def __init__(self, device: torch.device, unseen: Callable) -> None:
        self._device = device
        self._unseen = unseen
        self._draws: list[_Draw] = []
        self._starts: dict[keras.random.SeedGenerator, int] = {}

    def generator(self, seed: Any) -> torch.Generator:
        """Returns what Keras draws from in the step that is recorded.

        Raises:
            NotRecordable: If no replay could know the seed.
        """
        if isinstance(seed, keras.random.SeedGenerator):
            return self._next(seed)
        if isinstance(seed, int):
            return self._add(None, seed)
        raise NotRecordable(
            f"It draws noise with seed={seed!r}: use a "
            "`keras.random.SeedGenerator`"
        )

    def count(self) -> int:
        """Returns how often noise was drawn."""
        return len(self._draws)

    def _next(self, seed: keras.random.SeedGenerator) -> torch.Generator:
        if seed not in self._starts:
            self._starts[seed] = self._total(stored_value(seed.state))
        offset = self._total(seed.next()) - self._starts[seed]
        return self._add(seed, offset)

    def _add(
        self, seed: keras.random.SeedGenerator | None, offset: int
    ) -> torch.Generator:
        draw = _Draw(torch.Generator(device=self._device), seed, offset)
        self._draws.append(draw)
        _set([draw], self._starts)
        return draw.generator

    def _total(self, state: torch.Tensor) -> int:
        return self._unseen(lambda: total(state))

    def set(self) -> None:
        """Seeds all generators for the step that comes."""
        starts = {
            seed: total(stored_value(seed.state)) for seed in self._starts
        }
        _set(self._draws, starts)


def total(state: torch.Tensor) -> int:
    """Returns what the state of a seed seeds a generator with."""
    return sum(state.tolist())


def _set(draws: Sequence[_Draw], starts: dict) -> None:
    for generator, seed, offset in draws:
        start = 0 if seed is None else starts[seed]
        generator.manual_seed((start + offset) & 0xFFFFFFFF)
