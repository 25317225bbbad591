"""The private names of Keras that the package uses are there, and their
fallbacks do the same."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_monoflow.backend import keras_internals as internals

BACKEND = keras.backend.backend()


class Without:
    """An object of Keras that seems to lack a private name."""

    def __init__(self, wrapped, *names):
        self._wrapped, self._names = wrapped, names

    def __getattr__(self, name):
        if name in self._names:
            raise AttributeError(name)
        return getattr(self._wrapped, name)


def make_network():
    return keras.Sequential(
        [
            layers.Input((3,)),
            keras.Sequential([layers.Input((3,)), layers.Dense(2)]),
            layers.SpectralNormalization(layers.Dense(2)),
            layers.Dropout(0.5),
        ]
    )


def test_layers(monkeypatch):
    network = make_network()
    found = internals.layers_of(network)
    kinds = [type(layer).__name__ for layer in found]
    assert kinds.count("Dense") == 2
    assert {"Dropout", "SpectralNormalization"} <= set(kinds)
    monkeypatch.delattr(layers.Layer, "_flatten_layers")
    without = internals.layers_of(network)
    assert len(set(map(id, without))) == len(without)
    assert names_of_parts(without) == names_of_parts(found)


def names_of_parts(found):
    """Models and their inputs have no weights and draw no noise themselves."""
    wholes = (keras.Model, layers.InputLayer)
    return {layer.name for layer in found if not isinstance(layer, wholes)}


def test_calls_of_a_graph():
    shared, last = layers.Dense(2), layers.Dense(1)
    x = keras.Input((2,))
    graph = keras.Model(x, last(shared(shared(x))))
    calls = internals.calls_of(graph)
    assert [layer for layer, _, _ in calls] == [shared, shared, last]
    assert calls[0][1][0] is x
    assert calls[1][1][0] is calls[0][2]
    assert calls[2][2] is graph.output
    assert internals.calls_of(shared) == []
    once = keras.Sequential([layers.Input((2,)), layers.Dense(2), last])
    without = internals.calls_of(Without(once, "_nodes_by_depth"))
    assert [layer for layer, _, _ in without] == once.layers


def test_learning_rates():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    optimizer = keras.optimizers.SGD(schedule)
    assert internals.learning_rate(optimizer) is schedule
    without = Without(optimizer, "_learning_rate")
    assert internals.learning_rate(without) is None


@pytest.mark.parametrize("without", [False, True])
def test_a_layer_is_forgotten(without):
    whole, part = layers.Layer(), layers.Dense(4)
    part.build((None, 2))
    whole.part = part
    assert len(whole.weights) == 2
    internals.forget_layer(
        Without(whole, "_tracker") if without else whole, part
    )
    assert len(whole.weights) == (2 if without else 0)


def test_seed_generators():
    dropout = layers.Dropout(0.5)
    assert internals.seed_generators(dropout) == [dropout.seed_generator]
    dropout._seed_generators.clear()
    del dropout.__dict__["_seed_generators"]
    assert internals.seed_generators(dropout) == [dropout.seed_generator]


def test_seed_state():
    seed = keras.random.SeedGenerator()
    assert seed._initial_seed is None
    internals.use_seed_state(seed)
    assert seed._initial_seed == int(ops.convert_to_numpy(seed.state.value)[0])
    given = keras.random.SeedGenerator(3)
    internals.use_seed_state(given)
    assert given._initial_seed == 3


def test_seed_state_without_the_name():
    seed = keras.random.SeedGenerator()
    del seed._initial_seed
    internals.warn_once.cache_clear()
    with pytest.warns(UserWarning, match="give the layer a `seed`"):
        internals.use_seed_state(seed)


def test_stored_value():
    variable = keras.Variable([1.0, 2.0])
    assert hasattr(variable, "_value")
    with keras.StatelessScope([(variable, ops.zeros(2))]):
        for v in (variable, Without(variable, "_value")):
            stored = ops.convert_to_numpy(internals.stored_value(v))
            np.testing.assert_array_equal(stored, [1.0, 2.0])


@pytest.mark.skipif(BACKEND != "jax", reason="JAX takes values away.")
def test_restored_value():
    variable = keras.Variable([1.0, 2.0])
    variable._value = None
    internals.restore_value(variable, ops.ones(2))
    internals.restore_value(variable, ops.zeros(2))
    np.testing.assert_array_equal(ops.convert_to_numpy(variable), [1.0, 1.0])


@pytest.mark.parametrize("name", ["current_scope", "_current_scope"])
def test_current_scope(name):
    current_scope = getattr(internals, name)
    assert current_scope() is None
    with keras.StatelessScope() as outer:
        assert current_scope() is outer
        with keras.StatelessScope() as inner:
            assert current_scope() is inner
        assert current_scope() is outer
    assert internals.current_scope is not internals._current_scope


@pytest.mark.parametrize(
    "limits",
    [{"clipnorm": 0.5}, {"global_clipnorm": 0.5}, {"clipvalue": 0.3}, {}],
)
def test_clipped_gradients(limits):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s).astype("float32") for s in ((3, 2), (4,))]
    arrays.append(np.full(2, 0.01, "float32"))
    tensors = [ops.convert_to_tensor(a) for a in arrays]
    optimizer = keras.optimizers.SGD(**limits)
    clipped = internals.clip_gradients(optimizer, tensors)
    without = internals.clip_gradients(
        Without(optimizer, "_clip_gradients"), tensors
    )
    norms = [np.linalg.norm(a) for a in arrays]
    expected = {
        "clipnorm": [a * min(1, 0.5 / n) for a, n in zip(arrays, norms)],
        "global_clipnorm": [a * 0.5 / np.linalg.norm(norms) for a in arrays],
        "clipvalue": [np.clip(a, -0.3, 0.3) for a in arrays],
    }.get(next(iter(limits), None), arrays)
    for a, b, c in zip(clipped, without, expected, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(a), c, rtol=1e-5)
        np.testing.assert_allclose(ops.convert_to_numpy(b), c, rtol=1e-5)


def test_common_update():
    optimizer = keras.optimizers.SGD(0.1)
    own = optimizer._backend_update_step
    with internals.common_update(optimizer):
        step = optimizer._backend_update_step
        assert step.func is keras.Optimizer._backend_update_step
        with internals.common_update(optimizer):
            assert optimizer._backend_update_step is step
        assert optimizer._backend_update_step is step
    assert optimizer._backend_update_step == own


def test_adam_slots():
    variables = [keras.Variable(np.ones(n), name=f"w{n}") for n in (2, 3)]
    optimizer = keras.optimizers.Adam()
    optimizer.build(variables)
    m, v = internals.adam_slots(optimizer)(variables[1])
    assert tuple(m.shape) == tuple(v.shape) == (3,)
    assert internals.adam_slots(Without(optimizer, "_velocities")) is None


def test_initial_epoch():
    model = keras.Sequential([layers.Input((1,)), layers.Dense(1)])
    assert internals.initial_epoch(model) == 0
    internals.set_initial_epoch(model, 3)
    assert internals.initial_epoch(model) == model._initial_epoch == 3
    internals.set_initial_epoch(model, 0)
    assert model._initial_epoch is None
    assert internals.initial_epoch(Without(model, "_initial_epoch")) == 0


def test_backup_file(tmp_path):
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    assert internals.backup_file(backup) == str(backup._weights_path)
    without = Without(backup, "_weights_path")
    assert internals.backup_file(without) == internals.backup_file(backup)


@pytest.mark.skipif(BACKEND != "jax", reason="Others have no shardings.")
def test_state_shardings():
    model = keras.Sequential([layers.Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    assert len(internals.state_shardings(model)) == 4
    without = Without(model, "_get_state_sharding_spec")
    assert internals.state_shardings(without) is None


@pytest.mark.skipif(BACKEND != "torch", reason="Others have no generators.")
def test_generators(monkeypatch):
    import torch
    from keras.src.backend.torch import random

    asked, keras_generator = [], random.torch_seed_generator

    def make(seed, original):
        asked.append(seed)
        assert original is keras_generator
        return torch.Generator().manual_seed(5)

    with internals.generators_from(make):
        drawn = keras.random.normal((3,), seed=11)
    assert asked == [11]
    expected = torch.normal(
        0.0, 1.0, size=(3,), generator=torch.Generator().manual_seed(5)
    )
    np.testing.assert_array_equal(drawn.cpu().numpy(), expected.numpy())
    assert random.torch_seed_generator is keras_generator
    monkeypatch.delattr(random, "torch_seed_generator")
    with (
        pytest.raises(NotImplementedError, match="torch_seed_generator"),
        internals.generators_from(make),
    ):
        pass


def test_graph_of_a_sequential():
    network = make_network()
    graph = internals.graph_of(network)
    assert graph is not network
    assert graph.output.shape == (None, 2)
    assert internals.graph_of(graph) is graph


def test_train_writer(tmp_path):
    pytest.importorskip("tensorflow")
    pytest.importorskip("tensorboard")  # TensorFlow does without from 2.21 on.
    board = keras.callbacks.TensorBoard(str(tmp_path), write_graph=False)
    board.set_model(make_network())
    assert internals.train_writer(board) is board._train_writer
    board._train_writer.close()
    without = Without(board, "_train_writer")
    writer = internals.train_writer(without)
    assert internals.train_writer(without) is writer
    with writer.as_default():
        board.summary.scalar("a", 1.0, step=0)
    writer.close()
    sizes = [file.stat().st_size for file in (tmp_path / "train").iterdir()]
    assert len(sizes) == 2
    assert max(sizes) > min(sizes)
