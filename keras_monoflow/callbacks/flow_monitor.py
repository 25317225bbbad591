"""Numbers and pictures that say whether a flow still moves."""

import functools
import io
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_monoflow import files
from keras_monoflow.arguments import check_number
from keras_monoflow.backend import processes
from keras_monoflow.callbacks.flow_statistics import (
    flow_statistics,
    slope,
    steady_mappings,
)
from keras_monoflow.callbacks.held_out import HeldOut
from keras_monoflow.plots.flow_panel import plot_flow
from keras_monoflow.plots.style import import_matplotlib
from keras_monoflow.typing import Array, ArrayLike


class FlowMonitor(HeldOut):
    """Watches a flow at the end of epochs, and warns when it stalls.

    From a batch of real samples (those of `validation_data`, else of the data)
    and as many generated ones, it adds to the logs

    - `flow_slope_mean`, `flow_slope_q10`, `flow_slope_q50`, `flow_slope_q90`:
      mean and quantiles of `h'(u)` over generated samples, the speed at which
      they follow `grad u`;
    - `flow_vanishing`: the share of them with `h'(u)` below `threshold`;
    - `flow_log_ratio_real`, `flow_log_ratio_fake`: medians of `u`;
    - `flow_accuracy`: how often the sign of `u` tells real from generated;
    - `flow_speed`: mean of `|grad V|` over generated samples;
    - `flow_generator_gradient`, `flow_discriminator_gradient`: norms of the
      gradients of both losses at the current weights, in inference mode;
    - `flow_calibration`: root mean square of `u` less the true log ratio, on
      both batches, if `true_log_ratio` is given.

    Wasserstein flows have no `u`; for them it reports speed and gradients.

    A `TensorBoard` callback in the same `fit` shows the picture, and histograms
    of `u`, the slopes and the speeds.

    If more than `share` of the generated samples have a vanished slope, it
    prints a sentence that says so and names mappings that would move them
    (the vanishing gradient of MonoFlow, arXiv 2302.01075, section 5.2). It
    warns again only after the flow has moved in between.

    Args:
        path: Folder for a picture of each monitored epoch: histograms of `u`,
            the slope of the mapping with the samples on it, and the history.
            `None` draws none. Pictures need the extra "plot".
        every: Integer, the number of epochs from one look to the next; in
            between, its logs are NaN.
        samples: Integer, the largest number of real samples, and of generated
            ones.
        threshold: Float in (0, 1), slopes below it count as vanished.
        share: Float in (0, 1], above which share of vanished slopes it warns.
        seed: Integer, the seed of the generated samples.
        real: Array of real samples to use in place of those of `fit`.
        true_log_ratio: Function from samples to `log(p_data / p_gen)`, where
            it is known.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If an argument is out of its range.

    Example:

    ```python
    import keras_monoflow as kmf

    monitor = kmf.callbacks.FlowMonitor("pictures", every=5)
    # gan.fit(data, epochs=50, callbacks=[monitor])
    ```
    """

    #: The `TensorBoard`s that show the pictures too; `fit` sets them.
    boards: Sequence[Any] = ()

    remembers = ("memory",)

    def __init__(
        self,
        path: str | os.PathLike | None = None,
        every: int = 1,
        samples: int = 512,
        threshold: float = 0.01,
        share: float = 0.5,
        seed: int = 0,
        real: ArrayLike | None = None,
        true_log_ratio: Callable[[Array], ArrayLike] | None = None,
    ) -> None:
        super().__init__(every, samples, seed, real)
        self.path = None if path is None else os.fspath(path)
        self.threshold = check_number("threshold", threshold, above=0, below=1)
        self.share = check_number("share", share, above=0, maximum=1)
        self.true_log_ratio = true_log_ratio
        #: Pairs of an epoch, counted from 1, and its logs.
        self.history: list[tuple[int, dict[str, float]]] = []
        self._alarmed = False

    @property
    def memory(self) -> str:
        """What a backup holds, so that the curves of a resumed run are whole:
        `history`, and whether the last epoch raised an alarm."""
        return json.dumps([self.history, self._alarmed])

    @memory.setter
    def memory(self, text: str) -> None:
        history, self._alarmed = json.loads(text)
        self.history[:] = [(epoch, logs) for epoch, logs in history]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        if self.path is not None or self.boards:
            import_matplotlib()
        if self.path is not None:
            files.check_folder(self.path, type(self).__name__)
        self._names = self.log_names()
        real, labels = self._known(self.held_out)
        if labels is None and getattr(self.model, "conditional", False):
            raise ValueError(
                "`FlowMonitor` of a conditional model needs labels: leave out "
                "`real`, and pass `validation_data=(x, y)` to `fit`."
            )
        if self.model.needs_reference:
            self.model.set_reference(real, labels)
        if self.true_log_ratio is not None:
            self._check_truth(real)

    def _check_truth(self, real: Array) -> None:
        if not callable(self.true_log_ratio):
            raise TypeError(
                "`true_log_ratio` must be a function of samples. Received: "
                f"true_log_ratio={self.true_log_ratio!r}."
            )
        if self.model.packs.size > 1:
            raise ValueError(
                "`true_log_ratio` is that of one sample, but with "
                f"`pack={self.model.packs.size}` the discriminator estimates "
                "that of a group. Leave it out."
            )
        values = np.asarray(self.true_log_ratio(self.model.parts.split(real)))
        if values.size != len(real):
            raise ValueError(
                "`true_log_ratio` must return one number for each sample. "
                f"Received: shape {values.shape} for {len(real)} samples."
            )

    def log_names(self, model: Any = None) -> list[str]:
        """Returns the names of all logs, for epochs before the first look."""
        model = self.model if model is None else model
        names = ["speed"]
        if model.discriminator is not None:
            names.append("discriminator_gradient")
        if hasattr(model, "sample_latent"):
            names.append("generator_gradient")
        if model.estimates_ratio:
            names += ["slope_mean", "slope_q10", "slope_q50", "slope_q90"]
            names += ["vanishing", "accuracy"]
            names += ["log_ratio_real", "log_ratio_fake"]
            if self.true_log_ratio is not None:
                names.append("calibration")
        return [f"flow_{name}" for name in names]

    def values(self, epoch: int) -> dict[str, float]:
        """Returns the logs of an epoch by name."""
        statistics = self.look()
        logs = self.summarize(statistics)
        self._warn(epoch, logs)
        self.history.append((epoch + 1, logs))
        if self.path is not None or self.boards:
            self._show(epoch, statistics)
        return logs

    def _show(self, epoch: int, statistics: dict[str, Any]) -> None:
        curve = None
        if "slope" in statistics:
            mapping = self.model.mapping.given(statistics["log_ratio_real"])
            curve = functools.partial(slope, mapping)
        figure = plot_flow(statistics, self.history, curve, self.threshold)
        if self.path is not None and processes.index() == 0:
            filename = f"flow_{epoch + 1:04d}.png"
            path = os.path.join(self.path, filename)
            with files.replacing(path, type(self).__name__) as new:
                figure.savefig(new)
        arrays = {
            f"FlowMonitor/{name}": statistics[name]
            for name in ("log_ratio_real", "log_ratio_fake", "slope", "speed")
            if name in statistics
        }
        for board in self.boards:
            picture = io.BytesIO()
            figure.savefig(picture)
            picture.seek(0)
            board.show_picture("FlowMonitor", picture, epoch)
            board.show_histograms(arrays, epoch)

    def look(self) -> dict[str, Any]:
        """Returns the arrays that the logs and pictures are made from."""
        real, generated, labels = self.compared(self.model, self.held_out)
        inputs = None
        if hasattr(self.model, "sample_latent"):
            inputs = self.model.inputs_of_samples(len(real), self.seed, labels)
        statistics = flow_statistics(
            self.model, real, labels, generated, inputs
        )
        if self.true_log_ratio is not None and "slope" in statistics:
            truth = [
                np.reshape(self.true_log_ratio(self.model.parts.split(x)), -1)
                for x in (real, generated)
            ]
            statistics["error"] = np.concatenate(
                [
                    statistics["log_ratio_real"] - truth[0],
                    statistics["log_ratio_fake"] - truth[1],
                ]
            )
        return statistics

    def summarize(self, statistics: dict[str, Any]) -> dict[str, float]:
        """Returns the logs that arrays of statistics stand for."""
        logs = {"speed": statistics["speed"].mean()}
        for name in ("generator_gradient", "discriminator_gradient"):
            if name in statistics:
                logs[name] = statistics[name]
        if "slope" in statistics:
            slopes = statistics["slope"]
            logs["slope_mean"] = slopes.mean()
            for percent in (10, 50, 90):
                logs[f"slope_q{percent}"] = np.quantile(slopes, percent / 100)
            logs["vanishing"] = np.mean(slopes < self.threshold)
            logs["accuracy"] = statistics["accuracy"]
            for name in ("log_ratio_real", "log_ratio_fake"):
                logs[name] = np.median(statistics[name])
        if "error" in statistics:
            logs["calibration"] = np.sqrt(np.mean(statistics["error"] ** 2))
        return {f"flow_{name}": float(value) for name, value in logs.items()}

    def _warn(self, epoch: int, logs: dict[str, float]) -> None:
        vanished = logs.get("flow_vanishing", 0.0)
        if vanished <= self.share:
            self._alarmed = False
            return
        if self._alarmed:
            return
        self._alarmed = True
        u = logs["flow_log_ratio_fake"]
        names = steady_mappings(u, self.threshold)
        print(
            f"\nFlowMonitor, epoch {epoch + 1}: {100 * vanished:.0f} % of the "
            f"generated samples hardly move. At their log ratios, u = {u:.1f} "
            f"at the median, the slope h'(u) of {self.model.mapping!r} is "
            f"below {self.threshold:g}. Mappings that would move them: "
            f"{', '.join(names)}."
        )
