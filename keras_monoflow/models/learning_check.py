"""A look at the first epoch: whether anything learns at all."""

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow.optimizers import without_loss_scaling

_CAUSES = {
    "generator": "no gradient of the discriminator reaches it. Layers that "
    "choose or round (argmax, one-hot, casts to integers) have no gradient, "
    "and neither has a discriminator that begins with `Embedding`: let the "
    "generator return real numbers, such as a softmax, and the discriminator "
    "begin with `Dense`",
    "samples": "the discriminator has no gradient at the samples. One that "
    "begins with `Embedding`, or that rounds, has none anywhere: begin with "
    "`Dense` or `Conv2D`",
    "velocity": "the velocity is 0 at the samples. A kernel that is narrow "
    "beside the distance to the data, or a mapping whose slope vanishes far "
    "from them, moves nothing: take wider `bandwidths`, or the kernel "
    "'student'",
    "no gradient": "no gradient reaches its weights. Layers that choose or "
    "round (argmax, one-hot, casts to integers) have none: let the generator, "
    "and the features if there are any, return real numbers",
    "other": "its loss has no gradient there. Look for layers that choose or "
    "round, and for a penalty or loss that is not finite",
    "frozen": "it is frozen, and the rounds in which the discriminator learns "
    "alone are over. Raise their number, or set `generator.trainable = True`, "
    "and call `compile` again",
    "half": "its weights are in half precision, where steps are rounded away, "
    "and Adam's `beta_2=0.999` to 1. Take the dtype policy `mixed_bfloat16` or "
    "`mixed_float16`, which keeps weights in float32",
}


class LearningCheck(keras.callbacks.Callback):
    """Warns if the samples have not moved in the first round that moves them,
    or a network has not changed in the first epoch that trains it.

    Args:
        networks: Dictionary from a role to `(optimizer, networks)`.
        warmup: For how many rounds the discriminator learns alone.
    """

    # At the end of a batch it looks at logs alone, so Keras need not wait.
    async_safe = True

    def __init__(self, networks: dict[str, tuple], warmup: int = 0) -> None:
        super().__init__()
        self._networks = networks
        self._has_discriminator = any(r != "generator" for r in networks)
        self._rounds_left = warmup + 1
        self._before: dict[str, list] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        for role, (_, networks) in self._networks.items():
            self._before[role] = _weights(networks)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._rounds_left -= 1
        if self._rounds_left != 0 or not logs:
            return
        if float(logs.get("velocity_norm", 1.0)) == 0.0:
            cause = "samples" if self._has_discriminator else "velocity"
            _warn("The samples have not moved", cause)
            self._before = {}

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        is_frozen = self._before.get("generator") == []
        if is_frozen and self.model.rounds_alone() < 0:
            del self._before["generator"]
            _warn("The generator has not learned", "frozen")
        for role in list(self._before):
            optimizer, networks = self._networks[role]
            # (On JAX, `model` gives variables their values.)
            if self.model and _has_stepped(optimizer):
                before = self._before.pop(role)
                if all(map(np.array_equal, before, _weights(networks))):
                    _warn(
                        f"No weight of the {role} has changed",
                        self._cause(role, networks),
                    )

    def _cause(self, role, networks):
        if _in_half_precision(networks):
            return "half"
        return role if self._has_discriminator else "no gradient"


def _weights(networks):
    return [
        np.array(ops.convert_to_numpy(v.value))
        for network in networks
        for v in network.trainable_variables
    ]


def _in_half_precision(networks: list[keras.Model]) -> bool:
    """Returns whether a weight itself, not only its use, is in 16 bits."""
    return any(
        v.dtype in ("float16", "bfloat16")
        for network in networks
        for v in network.trainable_variables
    )


def _has_stepped(optimizer):
    optimizer = without_loss_scaling(optimizer)
    steps = int(ops.convert_to_numpy(optimizer.iterations))
    rate = float(ops.convert_to_numpy(optimizer.learning_rate))
    # A schedule tells the rate of the next step, and may begin at 0.
    scheduled = isinstance(optimizer.get_config().get("learning_rate"), dict)
    return rate > 0 and steps >= (3 if scheduled else 1)


def _warn(what, cause):
    cause = _CAUSES.get(cause, _CAUSES["other"])
    warnings.warn(
        f"{what} since training began: {cause}.",
        stacklevel=2,
    )
