"""Noise of recorded steps: generators that are seeded before each replay."""

import functools
from typing import NamedTuple

import keras
import torch

from keras_monoflow.backend.keras_internals import generators_from, stored_value
from keras_monoflow.backend.torch import recorder as torch_recorder
from keras_monoflow.backend.torch.graph import NotRecordable


class _Draw(NamedTuple):
    generator: torch.Generator
    seed: keras.random.SeedGenerator | None
    offset: int


class Seeds:
    """Seeds the generators of a program as Keras would in an eager step.

    Keras's seed state is a pair of numbers, whose sum seeds a generator for
    each draw; a draw in a step adds a known offset to where the state is, and
    so does each iteration of a loop.
    """

    def __init__(self, device):
        self._device = device
        self._draws = []
        self._ends = {}

    def recorded(self):
        """Returns a context whose draws are those of the program."""
        return generators_from(self._record)

    def _record(self, seed):
        if isinstance(seed, keras.random.SeedGenerator):
            state = seed.next()
            offset = _total(state) - _total(stored_value(seed.state))
            return self._add(seed, offset)
        if isinstance(seed, int):
            return self._add(None, seed)
        raise NotRecordable(
            f"It draws noise with seed={seed!r}: use a "
            "`keras.random.SeedGenerator`"
        )

    def _add(self, seed, offset):
        draw = _Draw(torch.Generator(device=self._device), seed, offset)
        self._draws.append(draw)
        _set([draw])
        return draw.generator

    def set(self):
        """Seeds all generators for the step that comes."""
        _set(self._draws)

    # ------------------------------------------------------------- in loops

    def follow(self, body):
        """Returns a body that notes the state of each seed at its end."""

        def followed(i):
            body(i)
            for seed in {draw.seed for draw in self._draws} - {None}:
                self._ends[seed] = _total(seed.state.value)

        return followed

    def generators(self):
        """Returns the `generator_at` of a loop whose draws are yet to come."""
        start = len(self._draws)

        @functools.cache
        def generator_at(key, i):
            draws = {_key(draw.generator): draw for draw in self._draws[start:]}
            if key not in draws:
                raise NotRecordable("It draws from a generator made elsewhere")
            generator, seed, offset = draws[key]
            if i == 0:
                return generator
            if seed is not None:
                offset += i * (self._ends[seed] - _total(seed.state.value))
            return self._add(seed, offset)

        return lambda generator, i: generator_at(_key(generator), i)


def _key(generator):
    """PyTorch wraps one generator in several objects of Python."""
    return generator._cdata


def _total(state):
    with torch_recorder.paused():
        return sum(state.tolist())


def _set(draws):
    sums = {}
    for generator, seed, offset in draws:
        if seed is not None:
            if seed not in sums:
                sums[seed] = _total(stored_value(seed.state))
            offset = offset + sums[seed]
        generator.manual_seed(offset & 0xFFFFFFFF)
