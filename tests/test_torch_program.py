"""What a replayed step gives is what the step itself gives."""

import keras
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("only PyTorch replays operations", allow_module_level=True)

import torch
from keras import ops
from keras.src.backend.torch import random as keras_torch_random

from keras_monoflow import gradients
from keras_monoflow.backend.torch import graph as torch_graph
from keras_monoflow.backend.torch import program as torch_program


@torch.no_grad()
def assert_replay_is_step(step, variables, x, loops=1):
    """Runs two steps and their replays; each step repeats `loops` loops."""
    before = [v.numpy().copy() for v in variables]
    program = torch_program.Program(step, variables, x)
    found = []
    for run in (program, step):
        for variable, value in zip(variables, before):
            variable.assign(value)
        for _ in range(2):
            run(x)
        found.append([v.numpy().tolist() for v in variables])
    assert found[0] == found[1]
    modules = program._run.modules()
    assert sum(isinstance(m, torch_graph.Loop) for m in modules) == loops


def test_each_iteration_draws_what_its_step_would():
    seed = keras.random.SeedGenerator(3)
    total = keras.Variable([0.0, 0.0])

    def step(x):
        def body(i):
            generator = keras_torch_random.torch_seed_generator(seed)
            for scale in (1.0, x):
                noise = torch.randn(2, generator=generator)
                total.assign(total * 0.5 + scale * noise)

        gradients.repeat(3, body)
        return {}

    assert_replay_is_step(step, [total, seed.state], torch.tensor(10.0))


def test_a_generator_made_before_the_loop_goes_on():
    seed = keras.random.SeedGenerator(3)
    total = keras.Variable([0.0, 0.0])

    def step(x):
        generator = keras_torch_random.torch_seed_generator(seed)
        gradients.repeat(
            3,
            lambda i: total.assign(
                total * x + torch.randn(2, generator=generator)
            ),
        )
        return {}

    variables = [total, seed.state]
    assert_replay_is_step(step, variables, torch.tensor(2.0), loops=0)


@pytest.mark.parametrize(
    "index",
    [lambda i: i == 0, bool, float, lambda i: 2 * i, lambda i: [8, 9, 7][i]],
)
def test_iterations_that_differ_are_unrolled(index):
    total = keras.Variable([0.0, 0.0])

    def step(x):
        gradients.repeat(
            3, lambda i: total.assign(total * 2 + x * float(index(i)))
        )
        return {}

    assert_replay_is_step(step, [total], torch.tensor([1.0, 2.0]), loops=0)


def test_a_variable_may_be_laid_out_anew():
    square = keras.Variable([[1.0, 2.0], [3.0, 4.0]])

    def step(x):
        def body(i):
            flat = ops.reshape(square, (-1,))
            square.assign(ops.transpose(square + flat[1] * x))

        gradients.repeat(3, body)
        return {}

    assert_replay_is_step(step, [square], torch.tensor(1.0))


@pytest.mark.parametrize("loops", [0, 1])
def test_a_variable_given_the_value_of_another_has_a_copy(loops):
    kept, weight = keras.Variable([0.0, 0.0]), keras.Variable([1.0, 2.0])

    def step(x):
        def body(i):
            kept.assign(weight)
            torch._foreach_add_([weight.value], [x])

        gradients.repeat(3 if loops else 1, body)
        return {}

    variables = [kept, weight]
    assert_replay_is_step(step, variables, torch.tensor([1.0, 5.0]), loops)


def test_noise_added_in_place():
    seed = keras.random.SeedGenerator(3)
    kept, scaled = keras.Variable([0.0, 0.0]), keras.Variable([1.0, 2.0])

    def step(x):
        def body(i):
            kept.value.add_(keras.random.normal((2,), seed=seed))
            scaled.assign(scaled * x)

        gradients.repeat(3, body)
        return {}

    variables = [kept, scaled, seed.state]
    assert_replay_is_step(step, variables, torch.tensor(2.0))


def test_no_iteration():
    total = keras.Variable(1.0)

    def step(x):
        gradients.repeat(0, lambda i: total.assign_add(x))
        return {}

    assert_replay_is_step(step, [total], torch.tensor(1.0), loops=0)


def test_batches_in_other_layouts_are_other_batches():
    x = torch.zeros(2, 2)
    assert torch_program.signature(x) == torch_program.signature(x + 1)
    assert torch_program.signature(x) != torch_program.signature(x.T)
