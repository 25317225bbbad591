"""Samples that move along a velocity themselves, with no generator."""

import zlib
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from keras_monoflow.typing import Array, Seed, Tensor


def euler_step(
    x: Tensor,
    velocity: Tensor,
    step_size: float | Tensor,
    temperature: float = 0.0,
    seed: Seed = None,
) -> Tensor:
    """Returns `x + step_size v + sqrt(2 temperature step_size) xi`.

    Without noise this is forward Euler; with it, where `xi` is standard normal,
    Euler-Maruyama for Langevin dynamics.
    """
    x = x + step_size * velocity
    if not temperature:
        return x
    noise = keras.random.normal(ops.shape(x), dtype=x.dtype, seed=seed)
    return x + ops.sqrt(2.0 * temperature * step_size) * noise


def _noise_seed(seed: int | None) -> int | None:
    """Returns the seed of another stream than that of latent points, which with
    the same seed would be the first noise that is added to them."""
    if seed is None:
        return None
    sequence = np.random.SeedSequence([seed % 2**32, zlib.crc32(b"noise")])
    return int(sequence.generate_state(1)[0] % 2**31)


def follow(
    velocity_at: Callable[[Tensor, Tensor | None], Tensor],
    samples: Array,
    labels: Array | None,
    steps: int,
    step_size: float | Tensor,
    temperature: float,
    seed: int | None,
    batch_size: int,
) -> Array:
    """Moves samples by Euler steps along `velocity_at(x, labels)`.

    Batches of `batch_size` move one after the other.
    """
    if not len(samples):
        return samples.copy()
    generator = keras.random.SeedGenerator(_noise_seed(seed))
    moved = []
    for start in range(0, len(samples), batch_size):
        part = slice(start, start + batch_size)
        x = ops.convert_to_tensor(samples[part])
        batch_labels = None if labels is None else labels[part]
        for _ in range(steps):
            velocity = velocity_at(x, batch_labels)
            x = euler_step(x, velocity, step_size, temperature, generator)
            x = ops.stop_gradient(x)
        moved.append(ops.convert_to_numpy(x))
    return np.concatenate(moved)
