"""A film of the samples over a training."""

import os
import pathlib
from typing import Any

import keras
import numpy as np

from keras_monoflow.arguments import check_integer
from keras_monoflow.callbacks.epoch_picture import part_of
from keras_monoflow.callbacks.sample_grid import SampleGrid
from keras_monoflow.callbacks.sample_scatter import SampleScatter
from keras_monoflow.files import check_folder, replacing
from keras_monoflow.plots.film import check_film, check_writer, write_film
from keras_monoflow.typing import ArrayLike

_COLUMNS = 8


class FlowAnimation(keras.callbacks.Callback):
    """Joins pictures of the samples at the end of epochs into a film.

    Points in the plane are drawn as by `SampleScatter`, images as by
    `SampleGrid`, each time from the same seed. The pictures are kept in
    a folder beside the film, and the film is written from all of them when the
    training ends: it is complete also after `BackupAndRestore`
    has resumed an interrupted training.

    It needs matplotlib, `pip install "keras-monoflow[plot]"`, and for MP4 the
    program ffmpeg.

    Args:
        path: The film, a file that ends in `.gif` or `.mp4`.
        data: Array of shape `(n, 2)`, points to show beside generated points.
        samples: Integer, number of samples in a picture; 500 points or 64
            images by default, images in rows of 8.
        every: Integer, the number of epochs from one picture to the next.
        seed: Integer, the seed of the samples.
        vector_field: Boolean, whether to draw `model.velocity` behind points.
        frames_per_second: Positive integer.
        part: Where samples are a dictionary or list of tensors, the key or
            index of the points or images. Defaults to `None`.

    Raises:
        ValueError: If an argument is out of its range, or the file ends in
            something else.
        RuntimeError: When the training begins, if ffmpeg is needed and missing.

    Example:

    ```python
    import keras_monoflow as kmf

    film = kmf.callbacks.FlowAnimation("flow.gif", every=2)
    # gan.fit(data, epochs=100, callbacks=[film])
    ```
    """

    writes_files = True
    remembers = ("limits_of_samples", "_last_epoch")

    def __init__(
        self,
        path: str | os.PathLike,
        data: ArrayLike | None = None,
        samples: int | None = None,
        every: int = 1,
        seed: int = 0,
        vector_field: bool = True,
        frames_per_second: int = 10,
        part: str | int | None = None,
    ) -> None:
        super().__init__()
        self.path = check_film(path)
        if samples is not None:
            check_integer("samples", samples, minimum=1)
        self.samples = samples
        self.data = data
        self.every = check_integer("every", every, minimum=1)
        self.seed = seed
        self.vector_field = vector_field
        self.frames_per_second = check_integer(
            "frames_per_second", frames_per_second, minimum=1
        )
        self.part = part
        self.frames = self.path.with_name(self.path.stem + "_frames")
        self._picture: Any = None
        self._last_epoch = 0
        self._data_of_fit: Any = (None, None, None)

    @property
    def limits_of_samples(self) -> Any:
        """As `SampleScatter` has them, `None` for images."""
        return getattr(self._picture, "limits_of_samples", None)

    @limits_of_samples.setter
    def limits_of_samples(self, limits: Any) -> None:
        self._picture.limits_of_samples = limits

    def use_data(self, x: Any, y: Any, validation_data: Any) -> None:
        """Keeps the data of `fit`, whose labels a picture may need."""
        self._data_of_fit = x, y, validation_data

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        check_integer("seed", self.seed, minimum=0)
        check_writer(self.path)
        check_folder(self.path.parent, type(self).__name__)
        self._last_epoch = 0
        self._picture = self._make_picture()
        self._picture.owner = type(self).__name__
        self._picture.use_data(*self._data_of_fit)
        self._data_of_fit = (None, None, None)
        self._picture.set_model(self.model)
        self._picture.on_train_begin(logs)

    def _make_picture(self) -> SampleScatter | SampleGrid:
        arguments = {}
        if getattr(self.model, "conditional", False):
            arguments["labels"] = np.zeros(self.model.labels.shape, "int32")
        samples = self.model.sample(1, seed=self.seed, **arguments)
        if part_of(samples, self.part).shape[1:] == (2,):
            return SampleScatter(
                self.frames,
                self.data,
                samples=self.samples or 500,
                every=self.every,
                seed=self.seed,
                vector_field=self.vector_field,
                part=self.part,
            )
        rows = max(1, (self.samples or 64) // _COLUMNS)
        return SampleGrid(
            self.frames, rows, _COLUMNS, self.every, self.seed, part=self.part
        )

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._picture.on_epoch_end(epoch, logs)
        self._last_epoch = epoch + 1

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        pictures = sorted(self.frames.glob("epoch_*.png"), key=_epoch_of)
        pictures = [p for p in pictures if self._draws(_epoch_of(p))]
        if pictures:
            with replacing(self.path, type(self).__name__) as new:
                write_film(pictures, new, self.frames_per_second)

    def _draws(self, epoch: int) -> bool:
        """(Another training may have left its pictures in the folder.)"""
        return epoch <= self._last_epoch and epoch % self.every == 0


def _epoch_of(picture: pathlib.Path) -> int:
    """(Names of later epochs have more digits.)"""
    return int(picture.stem.removeprefix("epoch_"))
