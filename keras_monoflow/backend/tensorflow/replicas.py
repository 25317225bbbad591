"""The devices of a `tf.distribute` strategy, which share one batch.

The functions are documented in `keras_monoflow.backend.replicas`.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_monoflow.backend.keras_internals import clip_gradients
from keras_monoflow.optimizers import clips
from keras_monoflow.typing import Tensor

#: Whether optimizers themselves add up the gradients of replicas.
ADDS_UP = True


def index() -> Tensor:
    return tf.distribute.get_replica_context().replica_id_in_sync_group


def expected(model: keras.Model) -> int:
    return model.distribute_strategy.num_replicas_in_sync


def check_strategy(model: keras.Model) -> None:
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


def mean(tensors: Sequence) -> list:
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, tensors)


def gather(x: Tensor) -> Tensor:
    context = tf.distribute.get_replica_context()
    return context.all_gather(x[None], axis=0)


def gradients(optimizer: keras.Optimizer, values: Sequence) -> list:
    """The optimizer itself adds up those of all replicas."""
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        # All replicas must agree on whether they are finite.
        values = mean(values)
    elif clips(optimizer):
        # It clips before it adds up. What was clipped as a whole stays below
        # the limit when it is divided.
        values = clip_gradients(optimizer, mean(values))
    return [value / replicas for value in values]


def assert_equal(sizes: Tensor, message: str) -> None:
    same = tf.reduce_all(sizes == sizes[0])
    tf.debugging.Assert(same, [message, sizes])
