"""Differentiable augmentation of images."""

from typing import Any

import keras
from keras import ops

from keras_monoflow.augmentation.augment import Augment
from keras_monoflow.backend import replicas
from keras_monoflow.registry import lookup
from keras_monoflow.typing import Config, Seed, Tensor

#: How far an image moves, and how large the hole is, of its sides.
TRANSLATION, CUTOUT = 0.125, 0.5

#: How many channels images have.
_CHANNELS = (1, 2, 3, 4)

#: Random numbers that each change takes, the first to decide whether.
_NUMBERS = {"color": 4, "translation": 3, "cutout": 3}


@keras.saving.register_keras_serializable("keras_monoflow")
class DiffAugment(Augment):
    """Changes of color, translations and holes, with the gradient through them.

    For images `(height, width, channels)`, or with the channels first if
    `keras.config.image_data_format()` says so, with values from -1 to 1:

    - `color`: brightness `+ u - 1/2`, saturation times `2 u` around the mean
      of the channels, contrast times `u + 1/2` around the mean of the image;
    - `translation`: by up to an eighth of each side, filled up with 0;
    - `cutout`: a square of half the side is 0, its center anywhere.

    Each `u` is uniform from 0 to 1, and all are drawn for each image.

    Args:
        policy: Which changes, in their order: names with commas between them,
            or a list of names.
        probability: As for `Augment`.

    Raises:
        ValueError: If a name is unknown.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    images = np.zeros((4, 8, 8, 1), "float32")
    augment = kmf.augmentation.DiffAugment("translation,cutout")
    augment(images, seed=0).shape  # (4, 8, 8, 1)
    ```

    Source: Zhao et al. 2020, arXiv 2006.10738, and the authors' code.
    """

    def __init__(
        self,
        policy: Any = ("color", "translation", "cutout"),
        probability: Any = 1.0,
    ) -> None:
        super().__init__(probability)
        names = policy.split(",") if isinstance(policy, str) else list(policy)
        if not names:
            raise ValueError(
                "`policy` of DiffAugment must name at least one of "
                f"{', '.join(_NUMBERS)}. Received: policy={policy!r}."
            )
        known = {name: name for name in _NUMBERS}
        self.policy = tuple(lookup(name, known, "policy") for name in names)

    def check(self, sample_shape: tuple[int, ...]) -> None:
        if len(sample_shape) != 3 or None in sample_shape:
            raise ValueError(
                "DiffAugment changes images of shape (height, width, channels)."
                f" Received samples of shape {tuple(sample_shape)}. Pass "
                "augment=None, or a function of your own."
            )
        first, last = (n in _CHANNELS for n in sample_shape[::2])
        if _channels_come_first() and last and not first:
            raise ValueError(
                "`keras.config.image_data_format()` is 'channels_first', but "
                f"samples of shape {tuple(sample_shape)} have their "
                "channels last, as those of `keras_monoflow.networks` do. Call "
                "keras.config.set_image_data_format('channels_last')."
            )

    def change(self, x: Tensor, probability: Tensor, seed: Seed) -> Tensor:
        first = _channels_come_first()
        if first:
            x = ops.transpose(x, (0, 2, 3, 1))
        numbers = replicas.draw(
            keras.random.uniform,
            (ops.shape(x)[0], sum(_NUMBERS[name] for name in self.policy)),
            x.dtype,
            seed,
        )
        numbers = ops.stop_gradient(numbers)
        start = 0
        for name in self.policy:
            end = start + _NUMBERS[name]
            decides, *u = ops.unstack(numbers[:, start:end], axis=1)
            start = end
            chosen = ops.cast(decides < probability, x.dtype)
            x = _CHANGES[name](x, chosen, *u)
        return ops.transpose(x, (0, 3, 1, 2)) if first else x

    def get_config(self) -> Config:
        return {**super().get_config(), "policy": list(self.policy)}


def _channels_come_first() -> bool:
    return keras.config.image_data_format() == "channels_first"


def _column(u: Tensor) -> Tensor:
    return ops.reshape(u, (-1, 1, 1, 1))


def _color(
    x: Tensor, chosen: Tensor, a: Tensor, b: Tensor, c: Tensor
) -> Tensor:
    """Changes nothing where `chosen`, 0 or 1, is 0, as the others."""
    x = x + _column(chosen * (a - 0.5))
    for factor, axes in ((2.0 * b, (3,)), (c + 0.5, (1, 2, 3))):
        mean = ops.mean(x, axis=axes, keepdims=True)
        x = (x - mean) * _column(1.0 + chosen * (factor - 1.0)) + mean
    return x


def _translation(x: Tensor, chosen: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Row `i` of an image is row `i + shift` of the old one."""
    for axis, u, pattern in (
        (1, a, "nij,njwc->niwc"),
        (2, b, "nij,nhjc->nhic"),
    ):
        size = x.shape[axis]
        most = int(size * TRANSLATION + 0.5)
        # An integer from -most to most, each as probable as the others.
        shift = ops.floor(u * (2 * most + 1)) - most
        places = ops.cast(ops.arange(size), x.dtype)
        source = places[None] + (chosen * shift)[:, None]
        taken = ops.equal(source[:, :, None], places[None, None])
        x = ops.einsum(pattern, ops.cast(taken, x.dtype), x)
    return x


def _cutout(x: Tensor, chosen: Tensor, a: Tensor, b: Tensor) -> Tensor:
    inside: Any = 1.0
    for axis, u in ((1, a), (2, b)):
        size = x.shape[axis]
        width = int(size * CUTOUT + 0.5)
        # The first row of the hole, which may lie outside of the image.
        first = ops.floor(u * (size + 1 - width % 2)) - width // 2
        places = ops.cast(ops.arange(size), x.dtype)
        since = places[None] - first[:, None]
        shape = (-1, size, 1, 1) if axis == 1 else (-1, 1, size, 1)
        within = ops.logical_and(since >= 0, since < width)
        inside = inside * ops.reshape(ops.cast(within, x.dtype), shape)
    return x * (1.0 - _column(chosen) * inside)


_CHANGES: dict[str, Any] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}
