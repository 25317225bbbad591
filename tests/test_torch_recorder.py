"""Recorded operations of PyTorch, and what cannot be recorded."""

import keras
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("only PyTorch records operations", allow_module_level=True)

import torch

from keras_monoflow.gradients import torch_recorder


def replay(fn, *tensors):
    """Records `fn` on copies, and returns a function that replays it."""
    module = torch_recorder.record(fn, [t.clone() for t in tensors])
    torch_recorder.fold_constants(module)
    torch_recorder.drop_detached(module)
    draws = torch_recorder.take_out_draws(module)
    module.recompile()

    def run(*tensors):
        noise = [function(*a, **k) for function, a, k in draws]
        return module(*tensors, *noise)

    run.nodes = [n for n in module.graph.nodes if n.op == "call_function"]
    return run


def test_replays_gradients_of_gradients():
    def fn(x):
        cube = torch.func.grad(lambda x: (x**4).sum())
        return [torch.func.grad(lambda x: cube(x).sum())(x)]

    run = replay(fn, torch.ones(3))
    x = torch.tensor([1.0, -2.0, 0.5])
    torch.testing.assert_close(run(x)[0], 12 * x**2)


def test_replays_changes_in_place_and_through_views():
    def fn(x, y):
        x.add_(y)
        first, _ = x.split(2)
        first.mul_(10)
        torch._foreach_add_([x, y], 1.0)
        return [x.sum()]

    run = replay(fn, torch.zeros(4), torch.zeros(4))
    x, y = torch.ones(4), torch.arange(4.0)
    (total,) = run(x, y)
    assert x.tolist() == [11.0, 21.0, 4.0, 5.0]
    assert y.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert total == 41


def test_detached_views_are_the_tensor():
    def fn(x):
        before = x.detach() * 2
        torch._foreach_add_([x.detach()], 1.0)
        return [before, x * 2]

    run = replay(fn, torch.zeros(2))
    assert "aten.detach.default" not in [str(n.target) for n in run.nodes]
    before, after = run(torch.ones(2))
    assert before.tolist() == [2.0, 2.0]
    assert after.tolist() == [4.0, 4.0]


def test_constants_are_computed_once():
    def fn(x):
        table = torch.arange(3.0) ** 2 + 1
        return [x * table]

    run = replay(fn, torch.zeros(3))
    assert [str(n.target) for n in run.nodes] == ["aten.mul.Tensor"]
    assert run(torch.ones(3))[0].tolist() == [1.0, 2.0, 5.0]


def test_a_tensor_that_is_made_and_changed_starts_anew():
    def fn(x):
        total = torch.zeros(2)
        total.add_(x)
        return [total]

    run = replay(fn, torch.ones(2))
    for _ in range(2):
        assert run(torch.ones(2))[0].tolist() == [1.0, 1.0]


def test_noise_is_drawn_from_its_generator_every_time():
    generator = torch.Generator()

    def fn(x):
        kept = torch.bernoulli(torch.full((5,), 0.5), generator=generator)
        return [x * kept, torch.randn(5, generator=generator)]

    run = replay(fn, torch.ones(5))
    generator.manual_seed(3)
    found = run(torch.ones(5))
    generator.manual_seed(3)
    for a, b in zip(found, fn(torch.ones(5))):
        assert a.tolist() == b.tolist()
    again = run(torch.ones(5))
    assert again[1].tolist() != found[1].tolist()


def test_noise_from_what_is_computed_stays_in_the_graph():
    generator = torch.Generator()

    def fn(x):
        return [torch.bernoulli(torch.sigmoid(x), generator=generator)]

    run = replay(fn, torch.zeros(3))
    assert run(torch.full((3,), 100.0))[0].tolist() == [1.0] * 3
    assert run(torch.full((3,), -100.0))[0].tolist() == [0.0] * 3


def test_what_cannot_be_recorded():
    outside = torch.zeros(2)
    with pytest.raises(torch_recorder.NotTraceable, match="reads the value"):
        replay(lambda x: [x * x.sum().item()], torch.ones(2))
    with pytest.raises(torch_recorder.NotTraceable, match="no variable"):
        replay(lambda x: [outside.add_(x)], torch.ones(2))


def test_paused_operations_are_left_out():
    def fn(x):
        with torch_recorder.paused():
            assert x.sum().item() == 2
        return [x + 1]

    assert len(replay(fn, torch.ones(2)).nodes) == 1
