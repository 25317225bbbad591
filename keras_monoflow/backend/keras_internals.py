"""Every private name of Keras that the package uses, each with a fallback.

What a fallback loses stands in the docstring of its function.
`tests/backend/test_keras_internals.py` checks the names against the installed
Keras, `tests/backend/test_fallbacks.py` trains without them.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import ops

from keras_monoflow.backend.warn_once import warn_once
from keras_monoflow.typing import Tensor

# ----------------------------------------------------------------- layers


def layers_of(layer: keras.Layer) -> list:
    """Returns a layer and all layers in it.

    Fallback: those that are in public attributes.
    """
    if hasattr(layer, "_flatten_layers"):
        return layer._flatten_layers()
    layers, waiting = [], [layer]
    while waiting:
        found = waiting.pop()
        if found in layers:
            continue
        layers.append(found)
        waiting += getattr(found, "layers", [])
        # On PyTorch layers are modules, which keep their parts elsewhere.
        parts = [*vars(found).values(), *getattr(found, "children", list)()]
        waiting += [v for v in parts if isinstance(v, keras.Layer)]
    return layers


def graph_of(network: Any) -> Any:
    """Returns the functional model that a sequential one is made of, which has
    its inputs and outputs; any other network itself."""
    return getattr(network, "_functional", None) or network


def calls_of(graph: Any) -> list[tuple[keras.Layer, list, Any]]:
    """Returns the layers of a functional model in the order of their calls,
    each with its input tensors and its output; of anything else, nothing.

    Fallback: one call of each layer, without those that are networks.
    """
    by_depth = getattr(graph, "_nodes_by_depth", None)
    if by_depth is None:
        return [
            (layer, [], layer.output)
            for layer in getattr(graph, "layers", [])
            if not isinstance(layer, keras.Model)
        ]
    return [
        (node.operation, list(node.input_tensors), _one(node.outputs))
        for depth in sorted(by_depth, reverse=True)
        for node in by_depth[depth]
        if not node.is_input
    ]


def _one(values: Any) -> Any:
    values = keras.tree.flatten(values)
    return values[0] if len(values) == 1 else values


def forget_layer(owner: keras.Layer, layer: keras.Layer) -> None:
    """Lets a layer no longer count as part of another.

    Fallback: its numbers stay among those of the owner, and in its files.
    """
    untrack = getattr(getattr(owner, "_tracker", None), "untrack", None)
    if untrack is not None:
        untrack(layer)


def seed_generators(layer: keras.Layer) -> list:
    """Returns the `SeedGenerator`s of one layer.

    Fallback: those that are its attributes.
    """
    if hasattr(layer, "_seed_generators"):
        return list(layer._seed_generators)
    kind = keras.random.SeedGenerator
    return [v for v in vars(layer).values() if isinstance(v, kind)]


def use_seed_state(seed: keras.random.SeedGenerator) -> None:
    """Makes dropout on PyTorch draw from the state of a seed without number.

    Fallback: it draws from the global generator of PyTorch.
    """
    if not hasattr(seed, "_initial_seed"):
        warn_once(
            "Dropout without a `seed` may draw from a generator that no file "
            "keeps: give the layer a `seed`",
            "SeedGenerator._initial_seed",
        )
    elif seed._initial_seed is None:
        seed._initial_seed = int(seed.state.value[0])


# -------------------------------------------------------------- variables


def stored_value(variable: keras.Variable) -> Tensor:
    """Returns the value outside of all scopes, or `None` if it was taken."""
    if hasattr(variable, "_value"):
        return variable._value
    with keras.StatelessScope(initialize_variables=False):
        return variable.value


def restore_value(variable: keras.Variable, value: Tensor) -> None:
    """Gives back a value that Keras's trainer on JAX took from a variable."""
    if not hasattr(variable, "_value"):
        variable.assign(value)
    elif variable._value is None or variable._value.is_deleted():
        variable._value = value


def _current_scope() -> keras.StatelessScope | None:
    """Returns the stateless scope that is active, or `None`."""
    with keras.StatelessScope(initialize_variables=False) as probe:
        return probe.original_scope


try:
    from keras.src.backend.common.stateless_scope import (
        get_stateless_scope as current_scope,
    )
except ImportError:
    current_scope = _current_scope


# ------------------------------------------------------------- optimizers


def clip_gradients(optimizer: keras.Optimizer, gradients: list) -> list:
    """Returns gradients as the optimizer clips them.

    Fallback: the same with public functions.
    """
    if hasattr(optimizer, "_clip_gradients"):
        return optimizer._clip_gradients(gradients)
    if optimizer.clipnorm:
        return [_shorten(g, _norm([g]), optimizer.clipnorm) for g in gradients]
    if optimizer.global_clipnorm:
        norm = _norm(gradients)
        limit = optimizer.global_clipnorm
        return [_shorten(g, norm, limit) for g in gradients]
    limit = optimizer.clipvalue
    return (
        [ops.clip(g, -limit, limit) for g in gradients] if limit else gradients
    )


def learning_rate(optimizer: keras.Optimizer) -> Any:
    """Returns the learning rate of an optimizer, a variable or a schedule.

    Fallback: `None`, so that `save` does not see that a schedule cannot be
    loaded.
    """
    return getattr(optimizer, "_learning_rate", None)


def _norm(tensors: list) -> Tensor:
    return ops.sqrt(sum(ops.sum(ops.square(t)) for t in tensors))


def _shorten(tensor: Tensor, norm: Tensor, limit: float) -> Tensor:
    return tensor * limit / ops.maximum(norm, limit)


@contextlib.contextmanager
def common_update(optimizer: keras.Optimizer) -> Iterator[None]:
    """Inside, SGD on PyTorch updates weights as on all backends.

    Keras's own SGD for PyTorch reads the value of its learning rate, which no
    recorded step can do. Fallback: it stays as it is, and steps with it run
    operation by operation.
    """
    step = getattr(keras.Optimizer, "_backend_update_step", None)
    is_new = "_backend_update_step" not in vars(optimizer)
    is_sgd = isinstance(optimizer, keras.optimizers.SGD)
    if step is None or not is_new or not is_sgd:
        yield
        return
    optimizer._backend_update_step = functools.partial(step, optimizer)
    try:
        yield
    finally:
        del optimizer._backend_update_step


def adam_slots(optimizer: keras.Optimizer) -> Callable | None:
    """Returns a function that finds both moments of a variable.

    Fallback: `None`.
    """
    names = ("_momentums", "_velocities", "_get_variable_index")
    if not all(hasattr(optimizer, name) for name in names):
        return None

    def slots(variable: Any) -> tuple[Any, Any]:
        i = optimizer._get_variable_index(variable)
        return optimizer._momentums[i].value, optimizer._velocities[i].value

    return slots


# ---------------------------------------------------------------- trainer


def state_shardings(model: keras.Model) -> tuple | None:
    """Returns where JAX keeps the state of a model. Fallback: `None`."""
    spec = getattr(model, "_get_state_sharding_spec", None)
    return None if spec is None else spec()


#: What a training step on JAX takes and gives, in this order.
_GROUPS = ("trainable", "non_trainable", "optimizer", "metrics")


def publish_state(model: keras.Model, state: Sequence) -> None:
    """Tells Keras's trainer on JAX what the values are that it took away.

    Fallback: it learns of them a little later.
    """
    if hasattr(model, "_jax_state_synced"):
        names = [f"{group}_variables" for group in _GROUPS]
        model._jax_state = dict(zip(names, state))


def take_back_state(model: keras.Model) -> None:
    """Gives the variables the values that Keras's trainer on JAX has of them.

    Fallback: it may assign them again, later.
    """
    model.jax_state_sync()
    if hasattr(model, "_jax_state"):
        model._jax_state = None


def batch_function(
    model: keras.Model, step: Callable, joins: bool
) -> Callable | None:
    """Returns what Keras's trainer on JAX calls to look at batches.

    Fallback: `None`.

    Args:
        model: The `keras.Model`.
        step: A function of a state and a batch.
        joins: Whether the outputs of several batches are joined.
    """
    make = getattr(model, "_make_function", None)
    return None if make is None else make(step, concatenate_outputs=joins)


def initial_epoch(model: keras.Model) -> int:
    """Returns the epoch at which a restored backup goes on.

    Fallback: 0.
    """
    return getattr(model, "_initial_epoch", None) or 0


def set_initial_epoch(model: keras.Model, epoch: int) -> None:
    """Lets `fit` go on at an epoch. Fallback: it starts where it would."""
    if hasattr(model, "_initial_epoch"):
        model._initial_epoch = epoch or None


def backup_file(backup: keras.callbacks.BackupAndRestore) -> str:
    """Returns the path of the weights that a `BackupAndRestore` writes.

    Fallback: as Keras 3.15 names it.
    """
    default = os.path.join(backup.backup_dir, "latest.weights.h5")
    return getattr(backup, "_weights_path", default)


#: Where a `TensorBoard` counts batches. Without them a resumed run counts anew.
BATCH_COUNTS = ("_global_train_batch", "_global_test_batch")


def train_writer(callback: keras.callbacks.TensorBoard) -> Any:
    """Returns what writes the summaries of training.

    Fallback: a writer of its own in the same folder.
    """
    writer = getattr(callback, "_train_writer", None)
    if writer is None:
        writer = getattr(callback, "own_train_writer", None)
    if writer is None:
        folder = os.path.join(callback.log_dir, "train")
        writer = callback.summary.create_file_writer(folder)
        callback.own_train_writer = writer
    return writer


def variables_of(optimizer: Any) -> list | None:
    """Returns the variables that an optimizer was built for.

    Fallback: `None`, they are not known.
    """
    return getattr(optimizer, "_trainable_variables", None)


# ---------------------------------------------------------------- PyTorch


@contextlib.contextmanager
def _replaced(
    module: Any, name: str, original: Callable, stand_in: Callable
) -> Iterator[None]:
    """Inside, a function of a module is `stand_in(..., original)`."""
    setattr(module, name, functools.partial(stand_in, original=original))
    try:
        yield
    finally:
        setattr(module, name, original)


@contextlib.contextmanager
def generators_from(make: Callable) -> Iterator[None]:
    """Inside, `keras.random` on PyTorch draws from generators
    `make(seed, original)`, where `original(seed)` is what Keras makes.

    Raises:
        NotImplementedError: If Keras makes generators elsewhere. The step must
            then run operation by operation.
    """
    try:
        from keras.src.backend.torch import random

        original = random.torch_seed_generator
    except (ImportError, AttributeError) as error:
        raise NotImplementedError(
            f"This version of Keras draws noise otherwise: {error}"
        ) from error
    with _replaced(random, "torch_seed_generator", original, make):
        yield


@contextlib.contextmanager
def conditions_by(choose: Callable) -> Iterator[None]:
    """Inside, `ops.cond` on PyTorch is `choose(..., original)`.

    Fallback: it reads its condition, so that a step with one that depends on
    values of tensors runs operation by operation.
    """
    try:
        from keras.src.backend.torch import core

        original = core.cond
    except (ImportError, AttributeError):
        yield
        return
    with _replaced(core, "cond", original, choose):
        yield
