"""Without a private name of PyTorch or Keras, steps run unrecorded."""

import importlib
import subprocess
import sys
import types
import warnings

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("only PyTorch records operations", allow_module_level=True)


import keras_monoflow as kmf
from keras_monoflow.backend.torch import (
    graph,
    program,
    recorder,
    seeds,
    torch_internals,
)

TORCH_NAMES = [
    "torch.overrides.TorchFunctionMode",
    "torch.utils._python_dispatch.TorchDispatchMode",
    "torch.utils.weak.WeakTensorKeyDictionary",
]


def train(optimizer=keras.optimizers.Adam, **arguments):
    """Two rounds; the second one is smaller."""
    keras.utils.set_random_seed(0)
    model = kmf.W1FE(
        kmf.networks.mlp_generator(2, 2, units=(8,), seed=0),
        kmf.networks.mlp_discriminator(2, units=(8,), seed=1),
        seed=2,
    )
    model.compile(
        optimizer(0.01),
        optimizer(0.01),
        critic_steps=2,
        persistency=2,
        step_size=0.1,
        **arguments,
    )
    points = np.random.default_rng(0).normal(size=(24, 2)).astype("float32")
    model.fit(points, batch_size=16, shuffle=False, verbose=0)
    return model.get_weights()


def assert_trains_unrecorded(reason, optimizer=keras.optimizers.Adam):
    expected = train(optimizer, run_eagerly=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weights = train(optimizer)
    (message,) = [
        str(warning.message)
        for warning in caught
        if warning.category is UserWarning
    ]
    assert "cannot be recorded" in message
    assert reason in message
    assert "\n" not in message
    assert "\x1b" not in message
    for a, b in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def reloaded():
    """A function that looks up the private names of PyTorch again."""

    def reload():
        for module in (torch_internals, graph, recorder, seeds, program):
            importlib.reload(module)

    yield reload
    reload()


def test_nothing_is_missing():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        weights = train()
    for a, b in zip(weights, train(run_eagerly=True), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", TORCH_NAMES)
def test_without_a_name_of_torch(name, reloaded):
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(name)
        reloaded()
    assert_trains_unrecorded(f"The installed PyTorch has no {name}. Use")


def test_without_the_generators_of_keras(monkeypatch):
    monkeypatch.setattr(
        "keras.src.backend.torch.random", types.SimpleNamespace()
    )
    assert_trains_unrecorded("torch_seed_generator")


def test_without_the_common_update_of_keras(monkeypatch):
    """Keras's own SGD for PyTorch stays, which reads its learning rate."""
    name = "_backend_update_step"
    owner = next(c for c in keras.Optimizer.__mro__ if name in vars(c))
    monkeypatch.delattr(owner, name)
    assert_trains_unrecorded("reads the value", keras.optimizers.SGD)


@pytest.mark.slow
def test_imports_without_any_name_of_torch():
    code = ["import torch, torch.overrides, torch.utils.weak"]
    code += ["import torch.utils._python_dispatch, keras"]
    code += [f"del {name}" for name in TORCH_NAMES]
    code += ["import keras_monoflow"]
    subprocess.run([sys.executable, "-c", "\n".join(code)], check=True)
