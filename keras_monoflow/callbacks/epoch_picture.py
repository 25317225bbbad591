"""The base of callbacks that draw one picture per epoch."""

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_monoflow import files
from keras_monoflow.arguments import check_integer
from keras_monoflow.data import first_labels
from keras_monoflow.plots.style import import_matplotlib
from keras_monoflow.typing import Array


class EpochPicture(keras.callbacks.Callback):
    """Base class: draws samples of one seed at the end of epochs.

    A subclass writes `draw(samples, epoch, filename)` and `check(shape)`.

    The samples are `model.sample(count, seed=seed)`: all pictures of
    a training, also of one that was interrupted and resumed, show the same
    points of the latent space, or the same particles. No global random state
    is read or changed, so that training runs the same with and without it.

    Args:
        path: Folder of the pictures; it is made if missing. They are called
            `epoch_0001.png`, `epoch_0002.png`, ...; existing files of the same
            name are overwritten.
        count: Integer, number of samples in a picture.
        every: Integer, the number of epochs from one picture to the next.
        seed: Integer, the seed of the samples.
        part: Of samples that are a dictionary or list, which part is drawn.

    Raises:
        TypeError: If `every` or `seed` is not an integer; at the start of
            `fit`, if the model has no method `sample`.
        ValueError: If `every` is less than 1, or `seed` than 0; at the start of
            `fit`, if the samples cannot be drawn.
        OSError: At the start of `fit`, if the folder cannot be written.
        ImportError: At the start of `fit`, if matplotlib is missing.
    """

    writes_files = True

    #: The `TensorBoard`s that show the pictures too; `fit` sets them.
    boards: Sequence[Any] = ()

    #: Methods of the model that `draw` relies on.
    needs: tuple[str, ...] = ("sample",)

    def __init__(
        self,
        path: str | os.PathLike,
        count: int,
        every: int,
        seed: int,
        part: str | int | None = None,
    ) -> None:
        super().__init__()
        self.path = os.fspath(path)
        #: What messages call the callback.
        self.owner = type(self).__name__
        self.count = count
        self.every = check_integer("every", every, minimum=1)
        self.part = part
        self.seed = seed
        # Some of the labels of the data, unless they are class numbers.
        self._labels: Array | None = None
        # All parts of what was drawn last, and its labels.
        self._drawn: tuple[Any, Array | None] = (None, None)

    def set_model(self, model: Any) -> None:
        for name in self.needs:
            if not callable(getattr(model, name, None)):
                raise TypeError(
                    f"`{type(self).__name__}` needs a model with a method "
                    f"`{name}`, such as `keras_monoflow.MonoFlowGAN`. "
                    f"Received: model={model!r}"
                )
        super().set_model(model)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # What would stop training after the first epoch should be found now.
        check_integer("seed", self.seed, minimum=0)
        import_matplotlib()
        files.check_folder(self.path, self.owner)
        try:
            self.check(self._samples(trial=True).shape)
        except (TypeError, ValueError) as error:
            raise type(error)(f"`{self.owner}`: {error}") from error

    def use_data(self, x: Any, y: Any, validation_data: Any) -> None:
        """Keeps some labels of the data of `fit`, to draw samples of these."""
        self._labels = first_labels(x, y)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if (epoch + 1) % self.every:
            return
        filename = os.path.join(self.path, f"epoch_{epoch + 1:04d}.png")
        with files.replacing(filename, self.owner) as new:
            self.draw(self._samples(), epoch + 1, new)
        name = f"{type(self).__name__}/{os.path.basename(self.path)}"
        for board in self.boards:
            board.show_picture(name, filename, epoch)

    def _samples(self, trial: bool = False) -> Array:
        n = self.count
        n = min(n, getattr(self.model, "max_samples", None) or n)
        arguments: dict[str, Any] = {}
        if getattr(self.model, "conditional", False):
            known = self.model.labels
            if self.has_labels() or known.seen:
                labels = self.labels_of_samples(known)
                if labels is None:  # Those that the model would draw.
                    labels = known.draw(n, self.seed)
                arguments["labels"] = labels
            elif trial and known.may_be_numbers:
                arguments["labels"] = np.zeros(known.shape, "int32")
            else:
                raise ValueError(
                    "which labels to draw is not known: those of the data are "
                    "no integers, and are in a stream. Use "
                    "`SampleGrid(labels=...)`, or pass arrays to `fit`."
                )
        samples = self.model.sample(n, seed=self.seed, **arguments)
        self._drawn = samples, arguments.get("labels")
        return keras.ops.convert_to_numpy(part_of(samples, self.part))

    def labels_of_samples(self, known: Any) -> Array | None:
        """Returns the labels of the samples of a conditional model, or `None`
        to leave them to the model.

        Args:
            known: The model's `LabelCounter`.
        """
        if self._labels is None:
            return None
        return self._labels[np.arange(self.count) % len(self._labels)]

    def has_labels(self) -> bool:
        """Whether there are labels to draw that the model does not know."""
        return self._labels is not None

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises an error if samples `(count, ...)` cannot be drawn."""

    def draw(self, samples: Array, epoch: int, filename: str) -> None:
        """Draws the picture of an epoch.

        Args:
            samples: NumPy array of shape `(count, ...)`.
            epoch: Integer, the number of the epoch, from 1.
            filename: The PNG file to write.
        """
        raise NotImplementedError


def part_of(samples: Any, part: str | int | None) -> Any:
    """Returns the part of samples that is drawn, or samples of one part.

    Raises:
        ValueError: If there are parts and `part` is none of them, or it is
            given and there are none.
    """
    if hasattr(samples, "shape"):
        if part is not None:
            raise ValueError(
                "`part` must be None: samples of this model are one array. "
                f"Received: part={part!r}."
            )
        return samples
    is_dict = isinstance(samples, dict)
    known = list(samples) if is_dict else list(range(len(samples)))
    if part not in known:
        raise ValueError(
            "`part` must say which part of a sample to draw, one of "
            f"{known}. Received: part={part!r}."
        )
    return samples[part]
