"""What a replayed step gives is what the step itself gives."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("only PyTorch replays operations", allow_module_level=True)

import torch
from keras import ops
from keras.src.backend.torch import random as keras_torch_random

from keras_monoflow import gradients
from keras_monoflow.backend.torch import program as torch_program


def assert_replay_is_step(step, variables, x):
    """Runs three steps, and one with two replays of it."""
    before = [v.numpy().copy() for v in variables]
    found = []
    for replays in (False, True):
        for variable, value in zip(variables, before):
            variable.assign(value)
        if replays:
            logs, program = torch_program.record(step, variables, x)
            assert isinstance(program, torch_program.Program), program
            assert program(x).keys() == logs.keys()
            program(x)
        else:
            for _ in range(3):
                step(x)
        found.append([v.numpy().tolist() for v in variables])
    assert found[0] == found[1]


def test_pieces_are_the_whole(monkeypatch):
    """Ten equal steps, of which each hands several tensors to the next."""
    kept = []
    monkeypatch.setattr(torch, "compile", lambda m: kept.append(m) or m)
    weights = keras.Variable([1.0, 2.0]), keras.Variable([3.0, -1.0])

    def step(x):
        long_lived = [(k + 1) * x for k in range(9)]  # which all steps read
        carried = [x, x + 1]

        def body(i):
            for weight, change in zip(weights, carried):
                weight.assign(0.5 * weight + change)
            carried[:] = [
                ops.tanh(0.1 * c * weights[0] + 0.01 * sum(long_lived))
                for c in carried
            ]

        gradients.repeat(10, body)
        return {"a": carried[0], "b": carried[1]}

    x = torch.tensor([0.3, 0.2])
    _, program = torch_program.record(step, weights, x, compiled=True)
    found = [*program(x).values(), *[w.value.clone() for w in weights]]
    for weight, value in zip(weights, ([1.0, 2.0], [3.0, -1.0])):
        weight.assign(value)
    for _ in range(2):
        logs = step(x)
    expected = [*logs.values(), *[w.value for w in weights]]
    for one, other in zip(found, expected, strict=True):
        assert one.tolist() == other.tolist()
    # Those in the middle are one, the first and the last may differ.
    assert len(kept) <= 3


def test_each_step_draws_what_it_would():
    seed = keras.random.SeedGenerator(3)
    total = keras.Variable([0.0, 0.0], trainable=False)

    def step(x):
        def body(i):
            generator = keras_torch_random.torch_seed_generator(seed)
            for scale in (1.0, x):
                noise = torch.randn(2, generator=generator)
                total.assign(total * 0.5 + scale * noise)

        gradients.repeat(3, body)
        return {"total": ops.sum(total)}

    assert_replay_is_step(step, [total, seed.state], torch.tensor(10.0))


def test_a_seed_of_no_layer_goes_on():
    """It is not among the variables, and its state is kept all the same."""
    total = keras.Variable([0.0, 0.0], trainable=False)
    seeds = [keras.random.SeedGenerator(3) for _ in range(2)]

    def step_with(seed):
        def step(x):
            total.assign(total * x + keras.random.normal((2,), seed=seed))
            return {}

        return step

    x = torch.tensor(2.0)
    _, program = torch_program.record(step_with(seeds[0]), [total], x)
    program(x)
    found = total.numpy().tolist()
    total.assign([0.0, 0.0])
    for _ in range(2):
        step_with(seeds[1])(x)
    assert total.numpy().tolist() == found


def test_a_variable_may_be_laid_out_anew():
    square = keras.Variable([[1.0, 2.0], [3.0, 4.0]], trainable=False)

    def step(x):
        flat = ops.reshape(square, (-1,))
        square.assign(ops.transpose(square + flat[1] * x))
        return {}

    assert_replay_is_step(step, [square], torch.tensor(1.0))


def test_a_variable_given_the_value_of_another_has_a_copy():
    kept = keras.Variable([0.0, 0.0], trainable=False)
    weight = keras.Variable([1.0, 2.0], trainable=False)

    def step(x):
        kept.assign(weight)
        torch._foreach_add_([weight.value], [x])
        return {}

    assert_replay_is_step(step, [kept, weight], torch.tensor([1.0, 5.0]))


def test_noise_added_in_place():
    seed = keras.random.SeedGenerator(3)
    kept = keras.Variable([0.0, 0.0], trainable=False)

    def step(x):
        kept.value.add_(keras.random.normal((2,), seed=seed) * x)
        return {}

    assert_replay_is_step(step, [kept, seed.state], torch.tensor(2.0))


def test_what_a_seed_cannot_repeat_is_drawn_as_ever():
    total = keras.Variable([0.0, 0.0], trainable=False)

    def step(x):
        total.assign(keras.random.normal((2,), seed=None) * x)
        return {}

    _, reason = torch_program.record(step, [total], torch.tensor(2.0))
    assert "seed=None" in str(reason)
    assert np.abs(total.numpy()).min() > 0


def test_a_condition_on_what_the_step_has_changed():
    count = keras.Variable(0, dtype="int32", trainable=False)

    def step(x):
        count.assign_add(1)
        gradients.only_if(lambda: ops.equal(count, 1), lambda: None)
        return {}

    _, reason = torch_program.record(step, [count], torch.tensor(2.0))
    assert "decides by a variable" in str(reason)


def test_a_condition_decides_which_program_holds():
    count = keras.Variable(0, dtype="int32", trainable=False)
    total = keras.Variable(0.0, trainable=False)

    def step(x):
        gradients.only_if(lambda: count >= 2, lambda: total.assign_add(x))
        count.assign_add(1)
        return {}

    x = torch.tensor(2.0)
    _, program = torch_program.record(step, [count, total], x)
    assert program.holds()
    program(x)
    assert not program.holds()
    assert total.numpy() == 0
    _, program = torch_program.record(step, [count, total], x)
    assert program.holds()
    assert total.numpy() == 2


def test_batches_in_other_layouts_are_other_batches():
    x = torch.zeros(2, 2)
    assert torch_program.signature(x) == torch_program.signature(x + 1)
    assert torch_program.signature(x) != torch_program.signature(x.T)
