"""Operations of PyTorch, recorded while they run, and what cannot be."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("only PyTorch records operations", allow_module_level=True)

import torch

from keras_monoflow.backend.torch import recorder as torch_recorder
from keras_monoflow.backend.torch.errors import NotRecordable


def record(fn, tensors):
    recorder = torch_recorder.Recorder(tensors)
    with recorder:
        outputs = fn(*tensors)
    return recorder.finish(outputs)


def replay(fn, *tensors):
    """Records `fn` on copies, and returns a function that replays it."""
    module, draws = record(fn, [t.clone() for t in tensors])

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
    with pytest.raises(NotRecordable, match="reads the value"):
        replay(lambda x: [x * x.sum().item()], torch.ones(2))
    with pytest.raises(NotRecordable, match="not a variable"):
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
    with pytest.raises(NotRecordable, match="value"):
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


def test_what_is_not_seen_is_left_out():
    recorder = torch_recorder.Recorder([x := torch.ones(2)])
    with recorder:
        assert recorder.unseen(lambda: x.sum().item()) == 2
        assert recorder.unseen(lambda: recorder.unseen(x.tolist)) == [1, 1]
        outputs = [x + 1]
    module, _ = recorder.finish(outputs)
    nodes = [n for n in module.graph.nodes if n.op == "call_function"]
    assert len(nodes) == 1


def test_what_cannot_be_recorded_runs_to_its_end():
    recorder = torch_recorder.Recorder([x := torch.ones(2)])
    with recorder:
        y = x * x.sum().item() + 1
    assert y.tolist() == [3.0, 3.0]
    with pytest.raises(NotRecordable, match="reads the value"):
        recorder.finish([y])


def test_parameters_of_others_are_read_and_changed_at_each_replay():
    other = torch.nn.Parameter(torch.ones(2), requires_grad=False)

    def fn(x):
        other.mul_(2)
        return [x + other]

    run = replay(fn, torch.zeros(2))
    assert other.tolist() == [2.0, 2.0]
    assert run(torch.ones(2))[0].tolist() == [5.0, 5.0]
    other.fill_(10.0)
    assert run(torch.ones(2))[0].tolist() == [21.0, 21.0]


def test_gradients_of_what_an_operation_saved_are_recorded():
    """The tape saves the output of `tanh` as another tensor."""

    def fn(x):
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            y = torch.tanh(torch.exp(x)).sum()
            (slope,) = torch.autograd.grad(y, x, create_graph=True)
            return [torch.autograd.grad((slope**2).sum(), x)[0]]

    x = torch.tensor([0.3, -1.0])
    assert replay(fn, torch.zeros(2))(x)[0].tolist() == fn(x)[0].tolist()
