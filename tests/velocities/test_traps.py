"""Traps that were measured in pilots: each is walked into once, on purpose."""

import numpy as np
import pytest
from helpers import numpy
from velocities import oracles

from keras_monoflow import velocities


def cosine(a, b):
    return np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b)


def test_ones_own_batch_does_not_average_to_the_mean_field(rng):
    velocity = velocities.KernelRatio("gaussian", 0.5, relative=False)
    y = np.float32(rng.normal(size=(32, 2)))
    data, generated = np.float32(rng.normal(size=(2, 3200, 2)))
    mean_field = numpy(velocity(y, data, generated))
    second, own = 0.0, 0.0
    for start in range(0, 3200, 32):
        x, other = (rows[start : start + 32] for rows in (data, generated))
        second = second + numpy(velocity(y, x, other))
        own = own + numpy(velocity(y, x))
    assert cosine(second, mean_field) > 0.9
    assert cosine(own, mean_field) < 0.5


@pytest.mark.parametrize("size", [2, 40])
@pytest.mark.parametrize(
    "velocity",
    [
        velocities.KernelRatio("laplace", 0.2),
        velocities.MMD(),
        velocities.Energy(),
        velocities.Drifting(),
        velocities.Sinkhorn(),
    ],
    ids=repr,
)
def test_far_from_the_origin_nothing_is_lost(rng, velocity, size):
    # Powers of 2, so that the shift itself does not round.
    y, x, other = np.round(rng.normal(size=(3, 16, size)) * 64) / 64
    here, there = (
        numpy(velocity(*(np.float32(r + shift) for r in (y, x, other))))
        for shift in (0.0, 2048.0)
    )
    np.testing.assert_allclose(here, there, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("size", [2, 40])
@pytest.mark.parametrize(
    "velocity",
    [
        velocities.KernelRatio(),
        velocities.MMD(),
        velocities.Energy(),
        velocities.Drifting(),
        velocities.Sinkhorn(),
        velocities.SlicedWasserstein(),
    ],
    ids=repr,
)
def test_rows_that_all_coincide_stay(velocity, size):
    y = np.full((3, size), 0.3, "float32")
    pairs = velocity.pairs(y, y[:2], y)
    moved, logs = velocity.with_logs(pairs, seed=0)
    assert not numpy(moved).any()
    assert all(np.isfinite(numpy(value)) for value in logs.values())


def test_rows_close_to_each_other_are_told_apart(rng):
    # The gradient of a distance has length 1 however short it is.
    y = rng.normal(size=(8, 2))
    x, other = y + 1e-4 * rng.normal(size=(8, 2)), rng.normal(size=(8, 2))
    y, x, other = (np.float32(r).astype("float64") for r in (y, x, other))
    velocity = velocities.KernelRatio("laplace", 0.2, relative=False)
    moved = numpy(velocity(*(np.float32(r) for r in (y, x, other))))
    expected = oracles.row_gradient(
        lambda y: oracles.log_ratio(y, x, other, "laplace", [0.2]), y, 1e-8
    )
    np.testing.assert_allclose(moved, expected, rtol=1e-2, atol=1e-2)


def test_a_concentrated_start_is_left_with_the_default_floor(rng):
    y, other = np.float32(1e-3 * rng.normal(size=(2, 64, 2)))
    angles = 2 * np.pi * np.arange(64) / 8
    x = np.float32(np.stack([np.cos(angles), np.sin(angles)], 1) * 2)
    x = x + np.float32(0.05 * rng.normal(size=x.shape))
    held, free = (
        numpy(velocities.Drifting(floor=floor)(y, x, other))
        for floor in (1e-6, 1e-30)
    )
    # Rows at the center shall part; with the floor of the authors' code what
    # moves them is not where they are, and they stay together.
    spread = [np.std(v - v.mean(0)) for v in (held, free)]
    assert spread[1] > 2 * spread[0]


def test_sinkhorn_without_its_second_plan_shrinks(rng):
    # Generated rows and data are alike, so that nothing shall shrink.
    y, x, other = np.float32(rng.normal(size=(3, 256, 2)))
    velocity = velocities.Sinkhorn(0.5)
    debiased = numpy(velocity(y, x, other))
    # A single far row that repels pulls all plans alike: what is left is the
    # map to the data, around its mean.
    alone = numpy(velocity(y, x, np.zeros((1, 2), "float32"))) - y
    assert np.mean(alone * y) < -0.3
    assert abs(np.mean(debiased * y)) < 0.1
