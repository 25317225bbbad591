"""A grid of generated images at the end of epochs."""

import os
from typing import Any

import numpy as np

from keras_monoflow.arguments import check_integer, check_range
from keras_monoflow.callbacks.epoch_picture import EpochPicture
from keras_monoflow.callbacks.side_by_side import are_images_like, side_by_side
from keras_monoflow.data import first_rows
from keras_monoflow.models.label_checks import check_label_range
from keras_monoflow.plots.image_grid import image_grid, is_image_batch
from keras_monoflow.plots.style import import_matplotlib
from keras_monoflow.typing import Array, ArrayLike


class SampleGrid(EpochPicture):
    """Writes a grid of generated images at the end of epochs.

    The images are generated from the same latents every time, so that the
    files show one set of images getting better. They are laid out by
    `keras_monoflow.plots.image_grid`: small ones are enlarged, and
    channels that are not gray, RGB or RGBA are shown side by side.

    The callback leaves the random numbers of the training alone, and goes on
    with the same latents after `BackupAndRestore` resumed a
    training. It needs matplotlib: `pip install "keras-monoflow[plot]"`.

    Args:
        path: Folder of the pictures; it is made if missing. They are called
            `epoch_0001.png`, `epoch_0002.png`, ...; existing files of the same
            name are overwritten.
        rows: Integer, rows of the grid. Defaults to `8`.
        columns: Integer, columns of the grid. Defaults to `8`.
        every: Integer, the number of epochs from one grid to the next.
            Defaults to `1`.
        seed: Integer, the seed of the latents. Defaults to `0`.
        value_range: Pair `(low, high)`, the generated values that are shown as
            black and white; values outside are clipped. Defaults to `(-1, 1)`.
        labels: For a conditional model, the label of each row. By default the
            first row shows class 0, the next class 1, and so on, starting over
            after the last class. If labels are not class numbers (one-hot rows,
            images), the rows show different ones of the data.
        part: Where samples are a dictionary or list of tensors, the key or
            place of the images. Defaults to `None`, for samples that are one
            tensor.

    Of a model whose conditions are images, a row has the condition, the samples
    of it and, with labels from the data of `fit`, the sample of the data that
    belongs to it. With `prior=None` there is one sample of a condition, and a
    row has `columns` such triples.

    Raises:
        ValueError: If an argument is out of its range; at the start of `fit`,
            if the samples are not images, or `labels` are missing.
        OSError: If the folder or a picture cannot be written.
        TypeError: If the model has no method `sample`.

    Example:

    ```python
    import keras
    import keras_monoflow as kmf

    grid = kmf.callbacks.SampleGrid("pictures", rows=4, columns=10, every=5)
    # gan.fit(images, epochs=50, callbacks=[grid])
    ```
    """

    def __init__(
        self,
        path: str | os.PathLike,
        rows: int = 8,
        columns: int = 8,
        every: int = 1,
        seed: int = 0,
        value_range: tuple[float, float] = (-1, 1),
        labels: ArrayLike | None = None,
        part: str | int | None = None,
    ) -> None:
        self.rows = check_integer("rows", rows, minimum=1)
        self.columns = check_integer("columns", columns, minimum=1)
        self.value_range = check_range("value_range", value_range)
        self.labels = None if labels is None else np.asarray(labels)
        if self.labels is not None and len(self.labels) != self.rows:
            raise ValueError(
                "`labels` must have one label for each row. Received: "
                f"labels={labels!r}, rows={self.rows}"
            )
        super().__init__(path, self.rows * self.columns, every, seed, part)
        #: Samples of the data and their labels, where these may be images.
        self._pairs: tuple[Array, Array] | None = None

    def use_data(self, x: Any, y: Any, validation_data: Any) -> None:
        super().use_data(x, y, validation_data)
        if self._labels is not None and self._labels.ndim > 2:
            samples, labels = first_rows(x, y, self.count) or (None, None)
            if samples is not None and labels is not None:
                self._pairs = samples, labels

    def labels_of_samples(self, known: Any) -> Array | None:
        conditions, _ = self._shown()
        if conditions is not None:
            return np.repeat(conditions, self._samples_of_each(), axis=0)
        labels = self.labels
        if labels is None and self._labels is not None:
            different = _different(self._labels)
            labels = different[np.arange(self.rows) % len(different)]
        if labels is None:
            labels = known.first(self.rows)
        return np.repeat(labels, self.columns, axis=0)

    def _samples_of_each(self) -> int:
        draws = getattr(getattr(self.model, "prior", None), "draws", True)
        return self.columns if self.labels is not None or draws else 1

    def _shown(self) -> tuple[Array | None, Array | None]:
        """Returns the conditions that are drawn, if they may be images, and the
        samples of the data that belong to them, if these are known."""
        if self.labels is not None:
            return (self.labels if self.labels.ndim > 2 else None), None
        if self._pairs is None:
            return None, None
        targets, conditions = self._pairs
        rows = np.arange(self.count // self._samples_of_each()) % len(targets)
        return conditions[rows], targets[rows]

    def has_labels(self) -> bool:
        return self.labels is not None or super().has_labels()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self.labels is not None and hasattr(self.model, "generator"):
            check_label_range(
                self.labels, [self.model.generator], "labels` of `SampleGrid"
            )
        super().on_train_begin(logs)

    def check(self, shape: tuple[int, ...]) -> None:
        if not is_image_batch(shape):
            raise ValueError(
                "it draws images, of shape (height, width) or (height, width, "
                f"channels). Received: samples of shape {shape[1:]}. For "
                "two-dimensional points use `SampleScatter`."
            )

    def draw(self, samples: Array, epoch: int, filename: str) -> None:
        columns = self.columns
        conditions, targets = self._shown()
        if conditions is not None and are_images_like(conditions, samples):
            samples, together = side_by_side(conditions, samples, targets)
            single = self._samples_of_each() == 1
            columns = self.columns * together if single else together
        grid = image_grid(samples, columns, self.value_range)
        import_matplotlib().image.imsave(filename, grid)


def _different(labels: Array) -> Array:
    """Returns labels without repetitions, class 0 first."""
    if labels.ndim > 2:
        return labels  # Images: no two are the same.
    labels = np.unique(labels, axis=0)
    # One-hot rows are sorted by their last entry.
    return labels if labels[0].size == 1 else labels[::-1]
