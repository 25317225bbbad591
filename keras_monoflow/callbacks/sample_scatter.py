"""A scatter plot of generated points at the end of epochs."""

import os
from typing import Any

import numpy as np

from keras_monoflow.arguments import check_integer
from keras_monoflow.callbacks.epoch_picture import EpochPicture, part_of
from keras_monoflow.plots.limits import check_limits, square_around
from keras_monoflow.plots.scatter_plot import as_points, plot_scatter
from keras_monoflow.typing import Array, ArrayLike


class SampleScatter(EpochPicture):
    """Draws data, generated points and the vector field at the end of epochs.

    For samples in the plane. The generated points come from the same latents
    every time and the axes stay the same, so that the pictures can be compared
    or joined to a film. The arrows show `model.velocity`, the field along which
    the samples move: all have the same length, and their color is the
    logarithm of the speed. Where the velocity is one of a whole generated
    batch (optimal transport, drifting), or depends on labels or on other parts
    of a sample, arrows start at the samples instead.

    The callback leaves the random numbers of the training alone, and goes on
    with the same latents after `BackupAndRestore` resumed a
    training. It needs matplotlib: `pip install "keras-monoflow[plot]"`.

    Args:
        path: Folder of the pictures; it is made if missing. They are called
            `epoch_0001.png`, `epoch_0002.png`, ...; existing files of the same
            name are overwritten.
        data: Array or tensor of shape `(n, 2)`, points to compare with. Where
            there are more than `samples`, that many are picked and shown.
            Defaults to `None`, no data in the picture.
        samples: Integer, number of generated points. Defaults to `1000`.
        every: Integer, the number of epochs from one picture to the next.
            Defaults to `1`.
        seed: Integer, the seed of the latents and of the choice of data
            points. Defaults to `0`.
        vector_field: Boolean, whether to draw the arrows. Defaults to `True`.
        limits: `(low, high)` for both axes, or
            `((x_low, x_high), (y_low, y_high))`, in data units. Defaults to a
            square around `data`; without data, around the samples of the first
            picture that this training draws.
        part: Where samples are a dictionary or list of tensors, the key or
            index of the points. Defaults to `None`, for samples of one tensor.

    Raises:
        ValueError: If an argument is out of its range; at the start of `fit`,
            if the samples are not two-dimensional.
        OSError: If the folder or a picture cannot be written.
        TypeError: If the model has no method `sample`, or none
            `velocity` though `vector_field=True`.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    data = np.random.default_rng(0).normal(size=(4000, 2))
    scatter = kmf.callbacks.SampleScatter("pictures", data, every=10)
    # gan.fit(data, epochs=100, callbacks=[scatter])
    ```
    """

    remembers = ("limits_of_samples",)

    def __init__(
        self,
        path: str | os.PathLike,
        data: ArrayLike | None = None,
        samples: int = 1000,
        every: int = 1,
        seed: int = 0,
        vector_field: bool = True,
        limits: Any = None,
        part: str | int | None = None,
    ) -> None:
        self.samples = check_integer("samples", samples, minimum=1)
        super().__init__(path, self.samples, every, seed, part)
        self.vector_field = bool(vector_field)
        if self.vector_field:
            self.needs = (*EpochPicture.needs, "velocity")
        self.data = None if data is None else as_points("data", data)
        if limits is None and self.data is not None:
            limits = square_around(self.data)
        self.limits = None if limits is None else check_limits(limits)
        self._limits_are_given = limits is not None
        if self.data is not None and len(self.data) > self.samples:
            rows = np.random.default_rng(self.seed).choice(
                len(self.data), self.samples, replace=False
            )
            self.data = self.data[rows]

    @property
    def limits_of_samples(self) -> Any:
        """The axes where they are those of the first picture, else `None`; a
        resumed run must not take those of another picture."""
        return None if self._limits_are_given else self.limits

    @limits_of_samples.setter
    def limits_of_samples(self, limits: Any) -> None:
        if not self._limits_are_given:
            self.limits = check_limits(limits)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._limits_are_given:
            self.limits = None
        super().on_train_begin(logs)

    def check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 2 or shape[1] != 2:
            raise ValueError(
                "it draws points in the plane, samples of shape (2,). "
                f"Received: samples of shape {shape[1:]}. For images use "
                "`SampleGrid`."
            )

    def draw(self, samples: Array, epoch: int, filename: str) -> None:
        if self.limits is None:
            self.limits = square_around(as_points("samples", samples))
        figure = plot_scatter(
            self.data,
            samples,
            velocity=self._velocity() if self.vector_field else None,
            limits=self.limits,
            title=f"Epoch {epoch}",
        )
        figure.savefig(filename)

    def _velocity(self) -> Any:
        """The field, or the vectors of the samples where there is none."""
        model, (samples, labels) = self.model, self._drawn
        if not getattr(model, "discriminator_is_conditional", True):
            labels = None
        is_field = getattr(model, "velocity_is_field", True)
        if is_field and labels is None and self.part is None:
            return model.velocity
        known = {} if labels is None else {"labels": labels}
        return part_of(model.velocity(samples, **known), self.part)
