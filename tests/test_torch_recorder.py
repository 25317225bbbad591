"""Recorded operations of PyTorch, loops of them, and what cannot be."""

import gc
import weakref

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("only PyTorch records operations", allow_module_level=True)

import torch

from keras_monoflow.backend.torch import graph as torch_graph
from keras_monoflow.backend.torch import recorder as torch_recorder


def replay(fn, *tensors):
    """Records `fn` on copies, and returns a function that replays it."""
    module, draws = torch_recorder.record(fn, [t.clone() for t in tensors])

    def run(*tensors):
        noise = [function(*a, **k) for function, a, k in draws]
        return module(*tensors, *noise)

    run.modules, run.buffers = module.modules, module.buffers
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
    with pytest.raises(torch_graph.NotRecordable, match="reads the value"):
        replay(lambda x: [x * x.sum().item()], torch.ones(2))
    with pytest.raises(torch_graph.NotRecordable, match="no variable"):
        replay(lambda x: [outside.add_(x)], torch.ones(2))


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: [x * float(x.numpy().sum())],
        lambda x: [x * x.tolist()[0]],
        lambda x: [x * torch.from_numpy(np.asarray(x))],
        lambda x: [x if torch.equal(x, x + 1) else 2 * x],
        lambda x: [x[x > 0]],
        lambda x: [torch.nonzero(x)],
    ],
)
def test_values_cannot_be_read(fn):
    with pytest.raises(torch_graph.NotRecordable, match="value"):
        replay(fn, torch.ones(2))


def test_rows_may_be_chosen_by_number():
    rows = replay(lambda x, i: [x[i]], torch.zeros(3), torch.tensor([0, 1]))
    assert rows(torch.arange(3.0), torch.tensor([2, 1]))[0].tolist() == [2, 1]


def test_what_is_written_to_is_no_constant():
    def out(x):
        c = torch.zeros(2)
        d = c + x
        torch.add(x, 1, out=c)
        return [d + c]

    def product(x):
        a = torch.ones(2, 3, 4) @ torch.ones(4, 5)
        a.add_(x)
        return [a.sum()]

    for fn, x in ((out, torch.ones(2)), (product, torch.tensor(1.0))):
        expected = fn(x)[0].tolist()
        run = replay(fn, x)
        for _ in range(2):
            assert run(x)[0].tolist() == expected


def test_only_constants_in_use_are_kept():
    def fn(x):
        c = torch.arange(3.0)
        for _ in range(5):
            c = c * 2
        return [x * c]

    assert len(list(replay(fn, torch.ones(3)).buffers())) == 1


def test_one_tensor_may_be_two_inputs():
    x = torch.ones(())
    module, _ = torch_recorder.record(lambda a, b: [a - 2 * b], [x, x])
    assert module(torch.tensor(1.0), torch.tensor(0.0))[0] == 1


def test_paused_operations_are_left_out():
    def fn(x):
        with torch_recorder.paused():
            with torch_recorder.paused():
                assert x.sum().item() == 2
            assert x.tolist() == [1, 1]
        return [x + 1]

    assert len(replay(fn, torch.ones(2)).nodes) == 1


# ---------------------------------------------------------------------- loops


def loop(n, fn, values, generator_at=lambda generator, i: generator):
    return torch_recorder.loop(n, fn, values, generator_at)


def test_a_loop_is_written_down_once():
    calls = []

    def step(values):
        x, total, kept = values
        calls.append(x)
        total.add_(x)
        return [x * 2, total, kept]

    def fn(x, total, kept):
        return [y + 0 for y in loop(5, step, [x, total, kept])]

    run = replay(fn, *torch.zeros(3, 2))
    inputs = torch.tensor([1.0, 3.0]), torch.zeros(2), torch.ones(2)
    x, total, kept = run(*inputs)
    assert len(calls) == 1
    assert x.tolist() == [32.0, 96.0]
    assert total.tolist() == [31.0, 93.0]
    assert inputs[1].tolist() == [31.0, 93.0]
    assert kept.tolist() == [1.0, 1.0]


def test_what_was_there_before_a_loop_stays_what_it_was():
    def fn(x, y):
        x = x + 1

        def step(values):
            (a,) = values
            return [a * y + x]

        (a,) = loop(3, step, [x])
        return [a, x]

    a, x = replay(fn, torch.zeros(()), torch.zeros(()))(
        torch.tensor(1.0), torch.tensor(10.0)
    )
    assert x == 2
    assert a == ((2 * 10 + 2) * 10 + 2) * 10 + 2


def test_memory_may_be_laid_out_anew_in_a_loop():
    def step(values):
        (x,) = values
        return [(x + x.reshape(-1)[1]).T]

    def steps(x):
        for _ in range(3):
            (x,) = step([x])
        return [x]

    run = replay(lambda x: loop(3, step, [x]), torch.zeros(2, 2))
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert run(x)[0].tolist() == steps(x)[0].tolist()


def test_nothing_is_kept_alive():
    """No cycle holds what was there while a loop was recorded."""
    kept = []

    def fn(x):
        x = x * 2
        kept.append(weakref.ref(x))
        return loop(2, lambda values: [values[0] + x], [x + 1])

    gc.collect()
    gc.disable()
    try:
        replay(fn, torch.ones(2))
        assert kept[0]() is None
    finally:
        gc.enable()


def test_a_loop_in_a_loop():
    def fn(x, y):
        def inner(values):
            return [values[0] + y]

        def outer(values):
            (a,) = loop(3, inner, values)
            return [a * 2]

        return loop(2, outer, [x])

    (a,) = replay(fn, torch.zeros(()), torch.zeros(()))(
        torch.tensor(1.0), torch.tensor(5.0)
    )
    assert a == ((1 + 15) * 2 + 15) * 2


def test_loops_may_follow_each_other():
    def fn(x):
        (x,) = loop(3, lambda values: [values[0] * 2], [x])
        return loop(2, lambda values: [values[0] - 1], [x])

    assert replay(fn, torch.zeros(()))(torch.tensor(1.0))[0] == 6


def test_each_iteration_draws_from_its_generator():
    generators = [torch.Generator() for _ in range(3)]

    def fn(x):
        def step(values):
            noise = torch.randn(4, generator=generators[0])
            return [values[0] * noise]

        return loop(3, step, [x], lambda _, i: generators[i])

    run = replay(fn, torch.ones(4))
    for i, generator in enumerate(generators):
        generator.manual_seed(i)
    (found,) = run(torch.ones(4))
    expected = torch.ones(4)
    for i in range(3):
        generator = torch.Generator().manual_seed(i)
        expected = expected * torch.randn(4, generator=generator)
    assert found.tolist() == expected.tolist()


def test_noise_may_be_changed_in_place():
    generators = [torch.Generator() for _ in range(3)]

    def fn(x):
        def step(values):
            noise = torch.randn(4, generator=generators[0])
            return [noise.mul_(values[0])]

        return loop(3, step, [x], lambda _, i: generators[i])

    run = replay(fn, torch.ones(4))
    for generator in generators:
        generator.manual_seed(7)
    (found,) = run(torch.ones(4))
    noise = torch.randn(4, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(found, noise**3)


def test_counts_go_on_while_a_loop_is_recorded():
    counts = []

    def fn(x):
        (x,) = loop(5, lambda values: [values[0] + 3], [x])
        with torch_recorder.paused():
            counts.append(x.item())
        return [x]

    assert replay(fn, torch.tensor(4))(torch.tensor(0))[0] == 15
    assert counts == [19]


def test_constants_in_loops_are_computed_once():
    def fn(x):
        def step(values):
            return [values[0] + torch.arange(3.0) * torch.full((3,), 2.0)]

        return loop(2, step, [x])

    run = replay(fn, torch.zeros(3))
    (module,) = (m for m in run.modules() if isinstance(m, torch_graph.Loop))
    operations = [n for n in module.body.graph.nodes if n.op == "call_function"]
    assert [str(n.target) for n in operations] == ["aten.add.Tensor"]
    assert run(torch.zeros(3))[0].tolist() == [0.0, 4.0, 8.0]


def test_what_cannot_be_a_loop():
    def leaks(x):
        kept = []

        def step(values):
            kept.append(values[0] * 2)
            return [values[0] + 1]

        return [loop(2, step, [x])[0] + kept[0]]

    def leaks_into_another(x):
        kept = []

        def step(values):
            kept.append(values[0] * 2)
            return [values[0] + kept[0]]

        return loop(2, step, loop(2, step, [x]))

    def leaks_from_a_failure(x):
        kept = []

        def step(values):
            kept.append(values[0] * 2)
            raise KeyError

        with pytest.raises(KeyError):
            loop(2, step, [x])
        return kept

    def leaks_from_a_loop_in_a_loop(x):
        kept = []

        def inner(values):
            kept.append(values[0] * 2)
            return [values[0] + 1]

        def outer(values):
            return [loop(2, inner, values)[0] * 1]

        return [loop(2, outer, [x])[0] + kept[0]]

    for fn in (
        leaks,
        leaks_into_another,
        leaks_from_a_failure,
        leaks_from_a_loop_in_a_loop,
    ):
        with pytest.raises(torch_graph.NotRecordable, match="on its way"):
            replay(fn, torch.ones(2))

    def constant(values):
        return [torch.ones(2).view(2)]

    with pytest.raises(torch_graph.NotRecordable, match="assigns a constant"):
        replay(lambda x: loop(2, constant, [x]), torch.ones(2))

    def both(values):
        values[0].add_(1)
        return [values[0] * 2]

    with pytest.raises(torch_graph.NotRecordable, match="changes it in place"):
        replay(lambda x: loop(2, both, [x]), torch.ones(2))

    generator = torch.Generator()

    def draws(values):
        p = torch.sigmoid(values[0])
        return [torch.bernoulli(p, generator=generator)]

    with pytest.raises(torch_graph.NotRecordable, match="draws noise"):
        replay(lambda x: loop(2, draws, [x]), torch.ones(2))

    def transformed(x):
        def total(x):
            return loop(2, lambda values: [values[0] * 2], [x])[0].sum()

        return [torch.func.grad(total)(x)]

    with pytest.raises(torch_graph.NotRecordable, match="transform"):
        replay(transformed, torch.ones(2))


def test_a_constant_that_a_loop_changes_cannot_be_recorded():
    outside = torch.zeros(2)

    def step(values):
        outside.add_(1)
        return [values[0] + outside]

    with pytest.raises(torch_graph.NotRecordable, match="no variable"):
        replay(lambda x: loop(2, step, [x]), torch.ones(2))


def test_a_tensor_that_is_made_and_changed_in_a_loop_starts_anew():
    def fn(x):
        total = torch.zeros(2)

        def step(values):
            total.add_(values[0])
            return [values[0] + 1]

        loop(3, step, [x])
        return [total]

    run = replay(fn, torch.ones(2))
    for _ in range(2):
        assert run(torch.ones(2))[0].tolist() == [6.0, 6.0]


def test_what_a_loop_returns_and_is_changed_starts_anew():
    def fn(x):
        ones = torch.ones(2)
        (kept,) = loop(2, lambda values: [ones.view(2)], [x])
        kept.add_(x)
        return [kept]

    run = replay(fn, torch.ones(2))
    for _ in range(2):
        assert run(torch.ones(2))[0].tolist() == [2.0, 2.0]
