"""A film of the samples over a training."""

import os
import pathlib

import keras

from keras_monoflow.arguments import check_integer
from keras_monoflow.callbacks.sample_grid import SampleGrid
from keras_monoflow.callbacks.sample_scatter import SampleScatter
from keras_monoflow.plots.matplotlib_import import import_matplotlib


class FlowAnimation(keras.callbacks.Callback):
    """Joins pictures of the samples at the end of epochs to a film.

    Points in the plane are drawn as by `SampleScatter`, images as by
    `SampleGrid`, each time from the same seed. The pictures are kept in
    a folder beside the film, and the film is written from all of them when the
    training ends: it is whole after `keras.callbacks.BackupAndRestore` has
    resumed an interrupted training.

    It needs the extra "plot", and for MP4 the program ffmpeg.

    Args:
        path: The film, a file that ends in `.gif` or `.mp4`.
        data: Array of shape `(n, 2)`, points to show beside generated points.
        samples: Integer, number of samples in a picture; 500 points or 64
            images by default.
        every: Integer, a picture is drawn every that many epochs.
        seed: Integer, the seed of the samples.
        vector_field: Boolean, whether to draw `model.velocity` behind points.
        frames_per_second: Positive integer.

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

    def __init__(
        self,
        path,
        data=None,
        samples=None,
        every=1,
        seed=0,
        vector_field=True,
        frames_per_second=10,
    ):
        super().__init__()
        self.path = pathlib.Path(os.fspath(path))
        if self.path.suffix not in (".gif", ".mp4"):
            raise ValueError(
                f"`path` must end in .gif or .mp4. Received: path={str(path)!r}"
            )
        if samples is not None:
            check_integer("samples", samples, minimum=1)
        self.samples = samples
        self.data = data
        self.every = check_integer("every", every, minimum=1)
        self.seed, self.vector_field = seed, vector_field
        self.frames_per_second = check_integer(
            "frames_per_second", frames_per_second, minimum=1
        )
        self.frames = self.path.with_name(self.path.stem + "_frames")
        self._picture = None
        self._last = ""

    def on_train_begin(self, logs=None):
        import_matplotlib()
        if self.path.suffix == ".mp4":
            from matplotlib.animation import FFMpegWriter

            if not FFMpegWriter.isAvailable():
                raise RuntimeError(
                    f"Writing {str(self.path)!r} needs the program ffmpeg, "
                    "which was not found. Install it, or write a .gif."
                )
        self._picture = self._make_picture()
        self._picture.set_model(self.model)
        self._picture.on_train_begin(logs)

    def _make_picture(self):
        shape = self.model.sample(1, seed=self.seed).shape[1:]
        common = {"every": self.every, "seed": self.seed}
        if shape == (2,):
            return SampleScatter(
                self.frames,
                self.data,
                samples=self.samples or 500,
                vector_field=self.vector_field,
                **common,
            )
        columns = 8
        rows = max(1, (self.samples or 64) // columns)
        return SampleGrid(self.frames, rows=rows, columns=columns, **common)

    def on_epoch_end(self, epoch, logs=None):
        self._picture.on_epoch_end(epoch, logs)
        self._last = f"epoch_{epoch + 1:04d}.png"

    def on_train_end(self, logs=None):
        # Pictures of a longer training in the same folder are left out.
        files = sorted(self.frames.glob("epoch_*.png"))
        files = [file for file in files if file.name <= self._last]
        if files:
            write_film(files, self.path, self.frames_per_second)


def write_film(files, path, frames_per_second):
    """Joins pictures of one size to a GIF or MP4, which shows the last longer.

    Args:
        files: Paths of the pictures, in order.
        path: The film, a path that ends in `.gif` or `.mp4`.
        frames_per_second: Integer.
    """
    from matplotlib.animation import FFMpegWriter, PillowWriter
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    first = imread(files[0])
    height, width = first.shape[:2]
    # A video codec wants even sides.
    size = ((width + 1) // 2 * 2 / 100, (height + 1) // 2 * 2 / 100)
    figure = Figure(figsize=size, dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    shown = axes.imshow(first, interpolation="nearest", aspect="auto")
    kind = PillowWriter if path.suffix == ".gif" else FFMpegWriter
    writer = kind(fps=frames_per_second)
    with writer.saving(figure, path, dpi=100):
        for file in [*files, *[files[-1]] * frames_per_second]:
            shown.set_data(imread(file))
            writer.grab_frame()
