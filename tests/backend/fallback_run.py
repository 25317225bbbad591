"""Trains two rounds of a small W1FE with a private name renamed.

    python fallback_run.py keras.src _flatten_layers
    python fallback_run.py tensorflow registry

The last line that it prints is JSON: the weights, and what was warned.
"""

import importlib.abc
import importlib.machinery
import json
import os
import re
import sys
import types
import warnings
from unittest import mock

if os.environ["KERAS_BACKEND"] == "torch":
    import torch


class Renamed(importlib.machinery.SourceFileLoader):
    """Compiles a module with another name in the place of a private one."""

    name_in_source = None

    def get_code(self, fullname):
        source = self.get_data(self.path).decode()
        name = self.name_in_source
        source = re.sub(rf"\b{name}\b", f"moved{name}", source)
        return compile(source, self.path, "exec")


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if not fullname.startswith("keras.src."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        spec.loader = Renamed(fullname, spec.origin)
        return spec


def without_module():
    """`tensorflow.python.framework.ops` has moved."""
    from tensorflow.python import framework

    stack = mock.patch.dict(
        sys.modules, {"tensorflow.python.framework.ops": None}
    )
    return stack, mock.patch.object(framework, "ops", None)


def without_registry():
    from tensorflow.python.framework import ops

    return (
        mock.patch.object(ops, "gradient_registry", types.SimpleNamespace()),
    )


def without_jaxpr_as_fun():
    import jax.extend.core

    # Looked up when a step is traced.
    del jax.extend.core.jaxpr_as_fun
    return ()


def without_operations():
    return (mock.patch.object(torch.ops, "aten", types.SimpleNamespace()),)


PATCHES = {
    ("tensorflow", "ops"): without_module,
    ("tensorflow", "registry"): without_registry,
    ("jax", "jaxpr_as_fun"): without_jaxpr_as_fun,
    ("torch", "aten"): without_operations,
}


def import_package(library, name):
    if library == "keras.src":
        Renamed.name_in_source = name
        sys.meta_path.insert(0, Finder())
    import keras

    patches = PATCHES.get((library, name), tuple)()
    for patch in patches:
        patch.start()
    try:
        import keras_monoflow
    finally:
        for patch in patches:
            patch.stop()
    return keras, keras_monoflow


def train(keras, kmf):
    import numpy as np

    keras.utils.set_random_seed(0)
    layers = keras.layers
    critic = keras.Sequential(
        [
            layers.Input((2,)),
            layers.Dense(8),
            layers.LeakyReLU(0.2),
            layers.Dropout(0.5, seed=3),
            layers.Dense(8, activation="relu"),
            layers.Dense(1),
        ]
    )
    generator = kmf.networks.mlp_generator(2, 2, units=(8,), seed=1)
    model = kmf.W1FE(generator, critic)
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.optimizers.SGD(0.01),
        critic_steps=2,
        persistency=7,
        step_size=0.1,
    )
    x = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
    model.fit(x, batch_size=4, shuffle=False, verbose=0)
    networks = (generator, critic)
    return [w.tolist() for n in networks for w in n.get_weights()]


if __name__ == "__main__":
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weights = train(*import_package(*(sys.argv[1:] or ("", ""))))
    told = {
        str(w.message)
        for w in caught
        if "keras_monoflow" in w.filename or "keras_monoflow" in str(w.message)
    }
    print(json.dumps({"weights": weights, "warnings": sorted(told)}))
