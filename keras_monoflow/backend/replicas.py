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

import contextlib

import keras
from keras import ops

from keras_monoflow.backend import processes

_BACKEND = keras.backend.backend()

if _BACKEND == "torch":
    import torch
    import torch.distributed
elif _BACKEND == "tensorflow":
    import tensorflow as tf

# Whether a training step runs, on PyTorch: what processes do outside of it
# (samples, evaluation) is their own business.
_in_step = False


@contextlib.contextmanager
def sharing():
    """Inside, the processes of PyTorch share each batch."""
    global _in_step
    outside, _in_step = _in_step, True
    try:
        yield
    finally:
        _in_step = outside


def count():
    """Returns how many replicas share the batch of the running step."""
    if _BACKEND == "tensorflow":
        context = tf.distribute.get_replica_context()
        return context.num_replicas_in_sync if context else 1
    return processes.count() if _BACKEND == "torch" and _in_step else 1


def index():
    """Returns which of them this one is, from 0."""
    if _BACKEND == "tensorflow":
        return tf.distribute.get_replica_context().replica_id_in_sync_group
    return processes.index()


def expected(model):
    """Returns how many replicas will share the batches of `model.fit`."""
    if _BACKEND == "tensorflow":
        return model.distribute_strategy.num_replicas_in_sync
    return processes.count() if _BACKEND == "torch" else 1


def adds_up():
    """Returns whether optimizers themselves add up gradients of replicas."""
    return _BACKEND == "tensorflow"


def check_strategy(model):
    """Checks that Keras can train under the `tf.distribute` strategy.

    Raises:
        ValueError: If it cannot.
    """
    if _BACKEND != "tensorflow":
        return
    several = tf.distribute.MultiWorkerMirroredStrategy
    if isinstance(model.distribute_strategy, several):
        raise ValueError(
            "Keras cannot train any model under `tf.distribute."
            "MultiWorkerMirroredStrategy`: in 3.15.1 the first thing that its "
            "`fit` does is to reduce a batch (`_maybe_symbolic_build`), which "
            "TensorFlow refuses with 'Attempt to convert a value (PerReplica"
            "...) with an unsupported type'. For the devices of one machine "
            "use `tf.distribute.MirroredStrategy`, for several machines the "
            "JAX or PyTorch backend. Received: strategy="
            f"{model.distribute_strategy!r}."
        )


def draw(random, shape, dtype, seed):
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
    draw(keras.random.normal, (32, 2), "float32", seed=0)
    ```
    """
    rows, replicas = shape[0], count()
    if replicas == 1:
        return random(shape, dtype=dtype, seed=seed)
    everything = random((replicas * rows, *shape[1:]), dtype=dtype, seed=seed)
    start = (index() * rows,) + (0,) * (len(shape) - 1)
    return ops.slice(everything, start, shape)


def mean(tensors):
    """Returns a list of tensors averaged over the replicas.

    No gradient is taken through it on PyTorch.
    """
    replicas = count()
    if replicas == 1 or not tensors:
        return tensors
    if _BACKEND == "tensorflow":
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, tensors)
    return _mean_torch(tensors, replicas)


def agree_on_means(metrics):
    """Averages the variables of running means over processes.

    Over devices of one process, Keras does so by itself.
    """
    if processes.count() == 1:
        return
    variables = [v for metric in metrics for v in metric.variables]
    values = mean([v.value for v in variables])
    for variable, value in zip(variables, values):
        variable.assign(value)


def std(x):
    """Returns the standard deviation of all values of the batch."""
    if count() == 1:
        return ops.std(x)
    (centre,) = mean([ops.mean(x)])
    (variance,) = mean([ops.mean((x - centre) ** 2)])
    return ops.sqrt(variance)


def gather(x):
    """Returns the scalar `x` of each replica, as one tensor."""
    replicas = count()
    x = ops.convert_to_tensor(x)
    if replicas == 1:
        return x[None]
    if _BACKEND == "tensorflow":
        context = tf.distribute.get_replica_context()
        return context.all_gather(x[None], axis=0)
    values = [torch.empty_like(x) for _ in range(replicas)]
    with processes.explaining():
        torch.distributed.all_gather(values, x)
    return torch.stack(values)


def gradients(optimizer, values):
    """Returns gradients of the whole batch, as `optimizer.apply` wants them.

    Args:
        optimizer: A `keras.optimizers.Optimizer`.
        values: List of gradients of means over the part of this replica.

    Returns:
        A list of tensors.
    """
    replicas = count()
    if replicas == 1:
        return values
    if _BACKEND == "torch":
        return mean(values)
    # On TensorFlow the optimizer itself adds up those of all replicas.
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        # All replicas must agree on whether they are finite.
        values = mean(values)
    elif clips(optimizer):
        # It clips before it adds up. What was clipped as a whole stays below
        # the limit when it is divided.
        values = optimizer._clip_gradients(mean(values))
    return [value / replicas for value in values]


def check_equal(rows):
    """Checks that all replicas see equally many rows of the batch.

    Means over parts average to the mean over the batch only then.

    Raises:
        ValueError: On PyTorch, if they do not. On TensorFlow, the compiled
            step raises a `tf.errors.InvalidArgumentError`.
    """
    if count() == 1:
        return
    sizes = gather(rows)
    if _BACKEND == "tensorflow":
        same = tf.reduce_all(sizes == sizes[0])
        tf.debugging.Assert(same, [_UNEQUAL, sizes])
    elif len(set(sizes.tolist())) > 1:
        raise ValueError(_UNEQUAL + str(sizes.tolist()))


_UNEQUAL = (
    "All replicas must get equally many rows of a batch. Take a `batch_size` "
    "that the number of replicas divides, and drop the ragged last batch, for "
    "example with `ShuffledDataset(..., drop_remainder=True)`. Received parts "
    "with these numbers of rows: "
)


def clips(optimizer):
    """Returns whether an optimizer clips gradients."""
    limits = (optimizer.clipnorm, optimizer.global_clipnorm)
    return any(limit is not None for limit in (*limits, optimizer.clipvalue))


def _mean_torch(tensors, replicas):
    means = [None] * len(tensors)
    for dtype in {t.dtype for t in tensors}:
        # One message for all: the time is in their number.
        places = [i for i, t in enumerate(tensors) if t.dtype == dtype]
        flat = torch.cat([tensors[i].reshape(-1) for i in places])
        with processes.explaining():
            torch.distributed.all_reduce(flat)
        parts = torch.split(
            flat / replicas, [tensors[i].numel() for i in places]
        )
        for i, part in zip(places, parts):
            means[i] = part.reshape(tensors[i].shape)
    return means
