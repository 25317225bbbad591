"""How several replicas of a model share one batch.

Each of them runs the training step on its part of the batch: the devices of
`tf.distribute.MirroredStrategy`, or the processes of `torch.distributed`. The
step gives the weights that one device would have got if

- each draws the noise of the whole batch from the same seed, and keeps
  the rows of its own part (`draw`),
- the gradients, which are means over the part, are averaged (`gradients`),
- and so is everything else that is computed from the batch (`mean`).

On JAX there is nothing to do: a program is written for the whole batch, and
XLA divides it.
"""

from collections.abc import Iterable, Sequence

import keras
from keras import ops

from keras_monoflow.backend import framework, processes
from keras_monoflow.optimizers import clips
from keras_monoflow.typing import RandomFunction, Seed, Tensor

__all__ = [
    "adds_up",
    "agree_on_means",
    "all_rows",
    "check_equal",
    "check_strategy",
    "clips",
    "count",
    "draw",
    "expected",
    "gather",
    "gradients",
    "index",
    "mean",
    "own_rows",
    "std",
]

#: Returns how many replicas share the batch of the running step.
count = framework.engine.count_replicas


def index() -> Tensor:
    """Returns which of them this one is, from 0."""
    return framework.replicas.index()


def expected(model: keras.Model) -> int:
    """Returns how many replicas will share the batches of `model.fit`."""
    return framework.replicas.expected(model)


def adds_up() -> bool:
    """Returns whether optimizers themselves add up gradients of replicas."""
    return framework.replicas.ADDS_UP


def check_strategy(model: keras.Model) -> None:
    """Checks that Keras can train under the `tf.distribute` strategy.

    Raises:
        ValueError: If it cannot.
    """
    framework.replicas.check_strategy(model)


def draw(
    random: RandomFunction, shape: Sequence[int], dtype: str, seed: Seed
) -> Tensor:
    """Draws this replica's rows of what one device would draw for the batch.

    Args:
        random: A function `f(shape, dtype=..., seed=...)` like those of
            `keras.random`.
        shape: Shape of this replica's part, the rows first.
        dtype: Data type.
        seed: Integer or `keras.random.SeedGenerator`, the same everywhere.

    Returns:
        A tensor of the shape `shape`.

    Example:

    ```python
    import keras
    from keras_monoflow.backend import replicas

    replicas.draw(keras.random.normal, (32, 2), "float32", seed=0)
    ```
    """
    rows, replicas = shape[0], count()
    if replicas == 1:
        return random(shape, dtype=dtype, seed=seed)
    everything = random((replicas * rows, *shape[1:]), dtype=dtype, seed=seed)
    start = (index() * rows,) + (0,) * (len(shape) - 1)
    return ops.slice(everything, start, shape)


def mean(tensors: Sequence) -> Sequence:
    """Returns a list of tensors averaged over the replicas.

    No gradient is taken through it on PyTorch.
    """
    if count() == 1 or not tensors:
        return tensors
    with processes.explaining():
        return framework.replicas.mean(tensors)


def agree_on_means(metrics: Iterable[keras.metrics.Metric]) -> None:
    """Averages the variables of running means over processes.

    Over devices of one process, Keras does so by itself.
    """
    if count() == 1 or processes.count() == 1:
        return
    variables = [v for metric in metrics for v in metric.variables]
    for variable, value in zip(variables, mean([v.value for v in variables])):
        variable.assign(value)


def std(x: Tensor) -> Tensor:
    """Returns the standard deviation of all values of the batch."""
    if count() == 1:
        return ops.std(x)
    (center,) = mean([ops.mean(x)])
    (variance,) = mean([ops.mean((x - center) ** 2)])
    return ops.sqrt(variance)


def gather(x: Tensor) -> Tensor:
    """Returns the tensor `x` of each replica, stacked."""
    x = ops.convert_to_tensor(x)
    if count() == 1:
        return x[None]
    with processes.explaining():
        return framework.replicas.gather(x)


def all_rows(x: Tensor | None) -> Tensor | None:
    """Returns the rows of all replicas, one part after the other.

    Args:
        x: Tensor `(rows, ...)` of this replica's part, or `None`.
    """
    if x is None or count() == 1:
        return x
    return ops.reshape(gather(x), (-1, *x.shape[1:]))


def own_rows(x: Tensor, rows: Tensor) -> Tensor:
    """Returns this replica's part of the rows of all.

    Args:
        x: Tensor `(replicas * rows, ...)`.
        rows: How many rows a part has.
    """
    if count() == 1:
        return x
    start = (index() * rows,) + (0,) * (len(x.shape) - 1)
    return ops.slice(x, start, (rows, *x.shape[1:]))


def gradients(optimizer: keras.Optimizer, values: Sequence) -> Sequence:
    """Returns gradients of the whole batch, as `optimizer.apply` wants them.

    Args:
        optimizer: A `keras.optimizers.Optimizer`.
        values: List of gradients of means over the part of this replica.

    Returns:
        A list of tensors.
    """
    if count() == 1:
        return values
    return framework.replicas.gradients(optimizer, values)


def check_equal(rows: Tensor) -> None:
    """Checks that all replicas see equally many rows of the batch.

    Means over parts average to the mean over the batch only then.

    Raises:
        ValueError: On PyTorch, if they do not. On TensorFlow, the compiled
            step raises a `tf.errors.InvalidArgumentError`.
    """
    if count() > 1:
        framework.replicas.assert_equal(gather(rows), _UNEQUAL)


_UNEQUAL = (
    "All replicas must get equally many rows of a batch. Take a `batch_size` "
    "that the number of replicas divides, and drop the ragged last batch, for "
    "example with `ShuffledDataset(..., drop_remainder=True)`. Received parts "
    "with these numbers of rows: "
)
