"""Noise of recorded steps: generators that are seeded before each replay."""

import contextlib
import functools
from typing import NamedTuple

import keras
import torch
from keras.src.backend.torch import random as keras_torch_random

from keras_monoflow.backend.torch import recorder as torch_recorder
from keras_monoflow.backend.torch.graph import NotTraceable


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

    def __init__(self):
        self._draws = []
        self._ends = {}

    @contextlib.contextmanager
    def recorded(self):
        original = keras_torch_random.torch_seed_generator
        keras_torch_random.torch_seed_generator = self._record
        try:
            yield
        finally:
            keras_torch_random.torch_seed_generator = original

    def _record(self, seed):
        device = keras_torch_random.get_device()
        if isinstance(seed, keras.random.SeedGenerator):
            state = seed.next()
            offset = _total(state) - _total(seed.state._value)
            return self._add(device, seed, offset)
        if isinstance(seed, int):
            return self._add(device, None, seed)
        raise NotTraceable(f"It draws noise with seed={seed!r}")

    def _add(self, device, seed, offset):
        draw = _Draw(torch.Generator(device=device), seed, offset)
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
        def at(key, i):
            draws = {_key(draw.generator): draw for draw in self._draws[start:]}
            if key not in draws:
                raise NotTraceable("It draws from a generator made elsewhere")
            generator, seed, offset = draws[key]
            if i == 0:
                return generator
            if seed is not None:
                offset += i * (self._ends[seed] - _total(seed.state.value))
            return self._add(generator.device, seed, offset)

        return lambda generator, i: at(_key(generator), i)


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
                sums[seed] = _total(seed.state._value)
            offset = offset + sums[seed]
        generator.manual_seed(offset & 0xFFFFFFFF)
