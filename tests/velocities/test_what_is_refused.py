"""What velocities refuse, and how they say so."""

import numpy as np
import pytest

from keras_monoflow import velocities

ROWS = np.zeros((4, 2), "float32")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: velocities.KernelRatio(bandwidths=0),
            ValueError,
            "bandwidths",
        ),
        (lambda: velocities.MMD(bandwidths=[]), ValueError, "at least one"),
        (lambda: velocities.MMD(bandwidths=["a"]), ValueError, "bandwidths"),
        (lambda: velocities.KernelRatio("box"), ValueError, "'box'"),
        (lambda: velocities.KernelRatio(kernel=3), TypeError, "kernel=3"),
        (lambda: velocities.KernelRatio(mapping="x"), ValueError, "mapping"),
        (
            lambda: velocities.KernelRatio(mapping="relativistic"),
            ValueError,
            "mapping='relativistic'",
        ),
        (lambda: velocities.Drifting((0.1, -1)), ValueError, "temperatures"),
        (lambda: velocities.Drifting(floor=0), ValueError, "floor"),
        (lambda: velocities.Sinkhorn(epsilon=0), ValueError, "epsilon"),
        (lambda: velocities.Sinkhorn(iterations=0), ValueError, "iterations"),
        (
            lambda: velocities.SlicedWasserstein(1.5),
            TypeError,
            "projections=1.5",
        ),
        (lambda: -1 * velocities.Energy(), ValueError, "weights"),
        (lambda: velocities.Energy() + 3, TypeError, "velocity=3"),
        (lambda: velocities.get("sinkorn"), ValueError, "'sinkhorn'"),
        (lambda: velocities.get(3), TypeError, "velocity=3"),
        (lambda: velocities.WeightedSum([], []), ValueError, "at least one"),
    ],
)
def test_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"generated": ROWS[:1]}, "A single generated row"),
        ({"generated": ROWS[:0]}, "`generated` must hold at least one row"),
        ({"real": ROWS[:0]}, "`real` must hold at least one row"),
        ({"real": np.zeros((4, 3))}, "Rows of `real`"),
        ({"other": np.zeros((4, 3))}, "Rows of `other`"),
        ({"generated_labels": np.zeros(4)}, "`real_labels`"),
        ({"other": ROWS, "other_labels": np.zeros(4)}, "`other_labels`"),
        (
            {"generated_labels": np.zeros(3), "real_labels": np.zeros(4)},
            "`generated_labels` must hold a label for each row",
        ),
        (
            {"generated_labels": np.zeros(4), "real_labels": np.ones(4)},
            "no real row",
        ),
        (
            {"generated_labels": [0, 0, 0, 1], "real_labels": [0] * 4},
            "no real row",
        ),
        (
            {"generated_labels": np.eye(4).tolist(), "real_labels": [0] * 4},
            "same shape",
        ),
        ({"guidance": 2.0}, "`guidance` needs labels"),
        ({"guidance": 0.5}, "at least 1"),
        ({"guidance": (2.0, 1.0)}, "low < high"),
        ({"guidance": (1.0, 2.0, 3.0)}, "pair"),
    ],
)
def test_rows_and_labels(arguments, message):
    given = {"generated": ROWS, "real": ROWS, **arguments}
    with pytest.raises(ValueError, match=message):
        velocities.Energy()(**given)


@pytest.mark.parametrize("name", ["sinkhorn", "sliced"])
def test_what_a_velocity_cannot_do_is_refused(name):
    labels = {"generated_labels": np.zeros(4), "real_labels": np.zeros(4)}
    with pytest.raises(ValueError, match=r"no guidance|one class"):
        velocities.get(name)(ROWS, ROWS, **labels, guidance=2.0)
    if name == "sliced":
        with pytest.raises(ValueError, match="one class"):
            velocities.get(name)(ROWS, ROWS, **labels)


def test_a_velocity_must_say_how_rows_move():
    with pytest.raises(NotImplementedError, match="must define `flow"):
        velocities.Velocity()(ROWS, ROWS)
