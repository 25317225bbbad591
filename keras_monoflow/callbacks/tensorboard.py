"""One TensorBoard folder for everything that a training shows."""

import contextlib
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from typing import IO, Any

import keras
import numpy as np

from keras_monoflow.backend import keras_internals
from keras_monoflow.callbacks.held_out import OCCASIONAL_LOGS
from keras_monoflow.files import check_folder
from keras_monoflow.plots.style import import_matplotlib
from keras_monoflow.typing import Array, Config


class TensorBoard(keras.callbacks.TensorBoard):
    """Keras's `TensorBoard` with pictures, histograms and the configuration.

    One folder shows on its pages

    - *Scalars*: what Keras's callback writes: all logs, those of
      `DistributionMetrics` and `FlowMonitor` among them, and the learning
      rates. Logs that a callback did not compute in an epoch leave no point;
    - *Images*: what `SampleGrid`, `SampleScatter` and `FlowMonitor` of the
      same `fit` draw. `FlowMonitor` needs no folder of its own for this;
    - *Histograms* and *Distributions*: the log ratios, slopes and speeds that
      `FlowMonitor` looks at, and all weights if `histogram_freq` is set;
    - *HParams*: the arguments of `compile`, and `hparams`.

    `fit` of the package's models introduces it to the other callbacks, in
    whatever order they are passed. As in Keras, the step of an epoch is its
    number from 0.

    It needs TensorFlow and TensorBoard on every backend:
    `pip install "keras-monoflow[tensorboard]"`.

    Args:
        log_dir: Folder of the run. Runs in folders side by side are compared:
            `tensorboard --logdir` takes the folder above them.
        hparams: Dictionary of more values to show beside the arguments of
            `compile`, such as the batch size: strings, numbers and booleans.
        **kwargs: Other arguments of `keras.callbacks.TensorBoard`.

    Raises:
        ImportError: At the start of `fit`, if TensorFlow or TensorBoard is
            missing.
        OSError: If the folder cannot be written.
        TypeError: If a value of `hparams` is of another type.

    Example:

    ```python
    import keras_monoflow as kmf

    callbacks = [
        kmf.callbacks.TensorBoard("runs/first", hparams={"batch_size": 128}),
        kmf.callbacks.SampleGrid("runs/first/samples"),
        kmf.callbacks.FlowMonitor(),
    ]
    # gan.fit(images, batch_size=128, epochs=50, callbacks=callbacks)
    ```
    """

    shows_pictures = True
    writes_files = True
    #: (Where the logs of batches are written, their steps go on.)
    remembers = keras_internals.BATCH_COUNTS

    def __init__(
        self,
        log_dir: str | os.PathLike = "logs",
        hparams: Mapping[str, str | bool | float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(log_dir, **kwargs)
        self.hparams = dict(hparams or {})
        for name, value in self.hparams.items():
            if not isinstance(value, (str, bool, int, float)):
                raise TypeError(
                    "`hparams` takes strings, numbers and booleans. Received: "
                    f"hparams[{name!r}]={value!r}"
                )

    def set_model(self, model: Any) -> None:
        try:
            import tensorboard  # noqa: F401
            import tensorflow  # noqa: F401
        except ImportError as error:
            raise ImportError(
                "`TensorBoard` needs the packages tensorboard and tensorflow "
                "on every backend. Install them with "
                '`pip install "keras-monoflow[tensorboard]"`.'
            ) from error
        check_folder(self.log_dir, type(self).__name__, remote=True)
        super().set_model(model)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        from tensorboard.plugins.hparams import api

        with self._naming():
            super().on_train_begin(logs)
            writer = self.summary.create_file_writer(self.log_dir)
            with writer.as_default():
                api.hparams({**configuration(self.model), **self.hparams})
            writer.close()

    @contextlib.contextmanager
    def _naming(self) -> Iterator[None]:
        """Lets an error of the writer name the callback."""
        from tensorflow import errors

        try:
            yield
        except errors.OpError as error:
            raise OSError(
                None,
                f"`{type(self).__name__}` cannot write in {self.log_dir!r}: "
                f"{error.message}",
            ) from error

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        # Keras offers TensorFlow all logs of every batch, also where only
        # those of epochs are written; TensorFlow then drops them, but keeps
        # each number in memory for good.
        with self._naming():
            super().on_train_batch_end(
                batch, None if self.update_freq == "epoch" else logs
            )

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        with self._naming():
            super().on_epoch_end(epoch, _computed(logs or {}))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        with self._naming():
            super().on_train_end(logs)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Lets summaries go to the folder of the training's scalars."""
        writer = keras_internals.train_writer(self)
        with self._naming(), writer.as_default():
            yield

    def show_picture(
        self, name: str, file: str | os.PathLike | IO[bytes], epoch: int
    ) -> None:
        """Shows a PNG file.

        Args:
            name: String, the title.
            file: Path of the file, or a binary file object.
            epoch: Integer, the epoch from 0.
        """
        image = import_matplotlib().image.imread(file)
        image = image[:, :, None] if image.ndim == 2 else image
        with self._writing():
            self.summary.image(name, image[None], step=epoch)

    def show_histograms(self, arrays: Mapping[str, Array], epoch: int) -> None:
        """Shows the distributions of arrays by name in an epoch from 0."""
        with self._writing():
            for name, values in arrays.items():
                values = values[np.isfinite(values)]
                self.summary.histogram(name, values, step=epoch)


def _computed(logs: dict[str, Any]) -> dict[str, Any]:
    """Leaves out the NaN of epochs in which a log was not computed."""
    return {
        name: value
        for name, value in logs.items()
        if not (name.startswith(OCCASIONAL_LOGS) and np.isnan(float(value)))
    }


def configuration(model: Any) -> Config:
    """Returns what a model was compiled with, as a flat dictionary.

    An object is shown by its class, and by those of its arguments that are not
    the default: `mapping: "Vanilla"`, `mapping.shift: 3.0`.
    """
    values = {
        "model": type(model).__name__,
        "backend": keras.backend.backend(),
        "dtype": model.dtype_policy.name,
    }
    for name, value in (model.get_compile_config() or {}).items():
        if name != "distribution_metrics":
            values.update(_flat(name, value))
    return values


def _flat(name: str, value: Any) -> Config:
    if isinstance(value, (bool, int, str)):
        return {name: value}
    if isinstance(value, float):
        return {name: float(f"{value:.6g}")}
    if isinstance(value, (list, tuple)):
        if len(value) == 1:
            return _flat(name, value[0])
        items = [_flat(f"{name}[{i}]", item) for i, item in enumerate(value)]
        return {key: v for item in items for key, v in item.items()}
    if isinstance(value, dict) and "class_name" in value:
        config = value.get("config") or {}
        if value["class_name"] == "__lambda__":
            return {name: "lambda"}
        if not isinstance(config, dict):
            return {name: str(config)}  # the name of a function
        values = {name: value["class_name"]}
        defaults = _defaults(value)
        for key, inner in config.items():
            if key != "name" and inner != defaults.get(key):
                values.update(_flat(f"{name}.{key}", inner))
        return values
    return {}


def _defaults(serialized: Config) -> Config:
    """Returns the default arguments of a serialized object's class."""
    module = sys.modules.get(str(serialized.get("module")))
    cls = getattr(module, serialized["class_name"], None)
    parameters = inspect.signature(cls).parameters if cls else {}
    return {key: p.default for key, p in parameters.items()}
