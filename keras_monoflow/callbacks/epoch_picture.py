"""The base of callbacks that draw one picture per epoch."""

import os
from collections.abc import Sequence
from typing import Any

import keras

from keras_monoflow.arguments import check_integer
from keras_monoflow.plots.style import import_matplotlib
from keras_monoflow.typing import Array


class EpochPicture(keras.callbacks.Callback):
    """Base class: draws samples of one seed at the end of epochs.

    A subclass writes `draw(samples, epoch, filename)`.

    The samples are `model.sample(count, seed=seed)`: all pictures of
    a training, also of one that was interrupted and resumed, show the same
    points of the latent space, or the same particles. No global random state
    is read or changed, so that training runs the same with and without it.

    Args:
        path: Folder of the pictures; it is made if missing. They are called
            `epoch_0001.png`, `epoch_0002.png`, ...; existing files of the same
            name are overwritten.
        count: Integer, number of samples in a picture.
        every: Integer, a picture is drawn every that many epochs.
        seed: Integer, the seed of the samples.

    Raises:
        TypeError: If `every` or `seed` is not an integer; at the start of
            `fit`, if the model has no method `sample`.
        ValueError: If `every` is less than 1.
        ImportError: At the start of `fit`, if matplotlib is missing.
    """

    writes_files = True

    #: The `TensorBoard`s that show the pictures too; `fit` sets them.
    boards: Sequence[Any] = ()

    #: Methods of the model that `draw` relies on.
    needs: tuple[str, ...] = ("sample",)

    def __init__(
        self, path: str | os.PathLike, count: int, every: int, seed: int
    ) -> None:
        super().__init__()
        self.path = os.fspath(path)
        self.count = count
        self.every = check_integer("every", every, minimum=1)
        self.seed = check_integer("seed", seed)

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
        # A missing package or a folder that cannot be made should be found
        # now, not after the first epoch.
        import_matplotlib()
        os.makedirs(self.path, exist_ok=True)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if (epoch + 1) % self.every:
            return
        filename = os.path.join(self.path, f"epoch_{epoch + 1:04d}.png")
        available = getattr(self.model, "max_samples", None) or self.count
        samples = self.model.sample(
            min(self.count, available),
            seed=self.seed,
            **self.sample_arguments(),
        )
        samples = keras.ops.convert_to_numpy(samples)
        self.draw(samples, epoch + 1, filename)
        name = f"{type(self).__name__}/{os.path.basename(self.path)}"
        for board in self.boards:
            board.show_picture(name, filename, epoch)

    def sample_arguments(self) -> dict[str, Any]:
        """Returns further arguments of `model.sample`, as a dictionary."""
        return {}

    def draw(self, samples: Array, epoch: int, filename: str) -> None:
        """Draws the picture of an epoch.

        Args:
            samples: NumPy array of shape `(count, ...)`.
            epoch: Integer, the number of the epoch, from 1.
            filename: The PNG file to write.
        """
        raise NotImplementedError
