"""What every velocity in the registry must do."""

import keras
import numpy as np
import pytest
from helpers import numpy

from contracts.shared import check_names, check_round_trip
from keras_monoflow import velocities
from keras_monoflow.registry import VELOCITIES

pytestmark = pytest.mark.parametrize("name", sorted(VELOCITIES.makers))


@pytest.fixture
def batches(rng):
    """Generated rows, real ones and a second generated batch."""
    y, other = np.float32(rng.normal(size=(2, 24, 3)))
    return y, np.float32(rng.normal(size=(32, 3))) + 4.0, other


def test_names_and_configurations(name):
    check_names(VELOCITIES, velocities.get, name)
    check_round_trip(velocities.get(name))
    check_round_trip(2 * velocities.get(name) + velocities.Energy())


def test_rows_move_towards_the_data(name, batches):
    y, x, other = batches
    velocity = velocities.get(name)
    moved, logs = velocity.with_logs(velocity.pairs(y, x, other), seed=0)
    moved = numpy(moved)
    assert moved.shape == y.shape
    assert (moved.mean(0) > 0).all()
    assert tuple(logs) == velocity.log_names
    assert all(np.isfinite(float(numpy(value))) for value in logs.values())


def test_a_step_lowers_what_is_logged(name, batches):
    y, x, other = batches
    velocity = velocities.get(name)
    if "generator_loss" not in velocity.log_names:
        pytest.skip("it descends nothing that is known")

    def loss(y, other):
        _, logs = velocity.with_logs(velocity.pairs(y, x, other), seed=0)
        return float(numpy(logs["generator_loss"]))

    moves = [
        numpy(velocity(*p, seed=0)) for p in [(y, x, other), (other, x, y)]
    ]
    step = 0.05 / np.linalg.norm(moves[0], axis=1).mean()
    assert loss(y + step * moves[0], other + step * moves[1]) < loss(y, other)


def test_where_rows_stand_and_in_which_order_does_not_matter(name, batches):
    y, x, other = batches
    velocity = velocities.get(name)
    here = numpy(velocity(y, x, other, seed=0))
    there = numpy(velocity(*(r + 8.0 for r in batches), seed=0))
    np.testing.assert_allclose(here, there, rtol=1e-3, atol=1e-4)
    mixed = numpy(velocity(y[::-1], x[::-1], other[::-1], seed=0))
    np.testing.assert_allclose(here, mixed[::-1], rtol=1e-3, atol=1e-4)


def test_a_field_is_the_same_for_a_single_row(name, batches):
    y, x, other = batches
    velocity = velocities.get(name)
    if not velocity.is_field or getattr(velocity, "relative", False):
        pytest.skip("it depends on the batch")
    alone = numpy(velocity(y[:1], x, other))
    together = numpy(velocity(y, x, other))
    np.testing.assert_allclose(alone, together[:1], rtol=1e-4, atol=1e-5)


def test_no_gradient_goes_through(name, batches):
    from keras_monoflow.gradients import input_gradient

    y, x, other = batches
    velocity = velocities.get(name)
    gradient = input_gradient(
        lambda y: keras.ops.sum(velocity(y, x, other, seed=0) + y, axis=1),
        keras.ops.convert_to_tensor(y),
    )
    np.testing.assert_allclose(numpy(gradient), 1.0)
