"""Samples that are accepted by their density ratio."""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_monoflow.typing import Array

#: So many times as many samples as were asked for may be drawn.
MOST_DRAWN = 10_000


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What turns an estimated log ratio into chances of acceptance.

    A sample with the estimate `u` is accepted with the chance
    `min(1, exp(slope u + offset - bound))`.

    Args:
        slope: Float, at least 0; with 0 all samples are accepted.
        offset: Float. `slope u + offset` is the calibrated log ratio.
        bound: Its largest value on generated samples, or a quantile of it.
        acceptance: The share of these samples that would be accepted.
    """

    slope: float
    offset: float
    bound: float
    acceptance: float = float("nan")

    def chances(self, ratio: Array) -> Array:
        """Returns the chance of acceptance for estimates `(n,)`."""
        ratio = self.slope * np.asarray(ratio, "float64") + self.offset
        return np.exp(np.minimum(ratio - self.bound, 0.0))


def calibrate(
    real_ratio: Array, fake_ratio: Array, quantile: float = 1.0
) -> Calibration:
    """Returns the calibration of log ratios of held-out and generated samples.

    Logistic regression: `sigmoid(slope u + offset)` is the chance that a sample
    is real, where as many are real as generated.

    Args:
        real_ratio: Estimates of `log(p_data / p_gen)` at held-out samples.
        fake_ratio: The same at as many generated ones.
        quantile: Which quantile of their calibrated ratios is the bound.
    """
    u = np.concatenate([real_ratio, fake_ratio]).astype("float64")
    is_real = np.repeat([1.0, 0.0], [len(real_ratio), len(fake_ratio)])
    rows = np.stack([u, np.ones_like(u)], axis=1)
    # (A little ridge: where both are told apart perfectly, there is no end.)
    ridge = 1e-6 * len(u) * np.diag([1.0, 0.0])
    weights = np.zeros(2)
    for _ in range(100):
        chance = 0.5 * (1.0 + np.tanh(rows @ weights / 2.0))
        slope = rows.T @ (chance - is_real) + ridge @ weights
        curvature = (rows.T * (chance * (1.0 - chance))) @ rows + ridge
        step = np.linalg.solve(curvature + 1e-9 * np.eye(2), slope)
        weights = weights - np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-9:
            break
    if weights[0] <= 0:
        warnings.warn(
            "The discriminator tells held-out samples from generated ones no "
            "better than chance, or the wrong way round: all samples will be "
            "accepted.",
            stacklevel=3,
        )
        return Calibration(0.0, 0.0, 0.0, 1.0)
    slope, offset = map(float, weights)
    bound = slope * float(np.quantile(fake_ratio, quantile)) + offset
    found = Calibration(slope, offset, bound)
    acceptance = float(np.mean(found.chances(fake_ratio)))
    return dataclasses.replace(found, acceptance=acceptance)


def accept(
    draw: Callable[[Any, int], tuple[Array, Array]],
    calibration: Calibration,
    n: int,
    size: int,
    seed: int,
) -> tuple[Array, int]:
    """Returns `n` accepted samples, and how many were drawn. Shows a progress
    bar.

    Args:
        draw: Function of the places `(size,)` in `range(n)` that samples are
            for, and of a seed, to samples and their estimated log ratios.
        calibration: A `Calibration`.
        n: How many.
        size: How many to draw at once.
        seed: Integer seed.

    Raises:
        ValueError: If too few are accepted.
    """
    rng = np.random.default_rng(seed)
    accepted: dict[int, Array] = {}
    drawn = 0
    progress = keras.utils.Progbar(n, unit_name="sample")
    while len(accepted) < n:
        if drawn >= MOST_DRAWN * n:
            raise ValueError(
                f"Of {drawn} samples, {len(accepted)} of {n} were accepted: "
                "the generator hardly makes what the discriminator takes for "
                "data. Train longer, call `calibrate` with `quantile=0.9`, or "
                "take `refine`."
            )
        waiting = [i for i in range(n) if i not in accepted]
        places = np.resize(waiting, size)
        samples, ratio = draw(places, int(rng.integers(2**31)))
        drawn += size
        lucky = rng.uniform(size=size) < calibration.chances(ratio)
        for place, sample in zip(places[lucky], samples[lucky]):
            accepted.setdefault(int(place), sample)
        progress.update(len(accepted))
    return np.stack([accepted[i] for i in range(n)]), drawn
