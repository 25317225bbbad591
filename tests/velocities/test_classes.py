"""Labels restrict rows to those of one class; guidance lets others repel."""

import numpy as np
import pytest
from helpers import numpy
from keras import ops
from velocities import oracles

from keras_monoflow import velocities

ABSOLUTE = [
    velocities.KernelRatio("student", 1.0, relative=False),
    velocities.MMD("laplace", 1.0, relative=False),
    velocities.Energy(),
    velocities.Sinkhorn(0.5, 50, relative=False),
]


@pytest.fixture
def batch(rng):
    """Rows of three classes, and the labels of each kind."""
    y, other = np.float32(rng.normal(size=(2, 12, 2)))
    x = np.float32(rng.normal(size=(15, 2)))
    return y, x, other, np.arange(12) % 3, np.arange(15) % 3


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("velocity", ABSOLUTE, ids=repr)
def test_rows_see_those_of_their_class(batch, velocity, one_hot):
    y, x, other, of_y, of_x = batch
    labels = (np.eye(3)[of_y], np.eye(3)[of_x]) if one_hot else (of_y, of_x)
    together = numpy(velocity(y, x, other, *labels))
    for c in range(3):
        alone = velocity(y[of_y == c], x[of_x == c], other[of_y == c])
        np.testing.assert_allclose(
            together[of_y == c], numpy(alone), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("with_other", [True, False])
@pytest.mark.parametrize(
    "velocity",
    [*ABSOLUTE, velocities.Sinkhorn(), velocities.MMD(), velocities.Drifting()],
    ids=repr,
)
def test_classes_of_one_side_alone_change_nothing(batch, velocity, with_other):
    """Class 1 has no generated rows, and class 2 no real ones."""
    y, x, other, of_y, of_x = batch
    y, other, of_y = (rows[of_y != 1] for rows in (y, other, of_y))
    x, of_x = x[of_x != 2], of_x[of_x != 2]
    x[of_x == 1] += 50.0
    # Tensors: their classes are not looked at, as in a compiled step.
    labels = map(ops.convert_to_tensor, (of_y, of_x))
    others = other if with_other else None
    moved, logs = velocity.with_logs(velocity.pairs(y, x, others, *labels))
    own = of_y == 0
    alone = numpy(
        velocity(y[own], x[of_x == 0], other[own] if with_other else None)
    )
    if not isinstance(velocity, velocities.Drifting):  # In a unit of all rows.
        np.testing.assert_allclose(
            numpy(moved)[own], alone, rtol=1e-4, atol=1e-5
        )
    assert not numpy(moved)[~own].any()
    assert all(abs(float(numpy(value))) < 100 for value in logs.values())


@pytest.mark.parametrize("velocity", ABSOLUTE[:3], ids=repr)
def test_without_a_second_batch_a_row_does_not_see_itself(batch, velocity):
    y, x, _, of_y, of_x = batch
    together = numpy(velocity(y, x, None, of_y, of_x))
    alone = velocity(y[of_y == 1], x[of_x == 1])
    np.testing.assert_allclose(
        together[of_y == 1], numpy(alone), rtol=1e-4, atol=1e-5
    )


def test_drifting_sees_one_class(batch):
    y, x, other, of_y, of_x = batch
    # Far classes: masked or not, the others have no affinity.
    y, x, other = (
        r + np.float32([[50.0, 0.0]]) * c[:, None]
        for r, c in [(y, of_y), (x, of_x), (other, of_y)]
    )
    masked = velocities.Drifting(0.1)(y, x, other, of_y, of_x)
    # Only the unit of distance differs: 0.1 in that of one class.
    same = of_y[:, None] == of_x[None], of_y[:, None] == of_y[None]
    d = [oracles.distances(y, r) for r in (x, other)]
    near = np.concatenate([a[s] for a, s in zip(d, same)]).mean()
    everything = np.concatenate([a.ravel() for a in d]).mean()
    plain = velocities.Drifting(0.1 * near / everything)(y, x, other)
    np.testing.assert_allclose(
        numpy(masked), numpy(plain), rtol=2e-2, atol=2e-2
    )


def guided_witness(y, x, other, of_y, of_x, share):
    def k(rows):
        return np.exp(-oracles.distances(y, rows))

    same, own = of_y[:, None] == of_x, of_y[:, None] == of_y
    return (
        (k(x) * same).sum(1) / same.sum(1)
        - (1 - share) * (k(other) * own).sum(1) / own.sum(1)
        - share * (k(x) * ~same).sum(1) / (~same).sum(1)
    )


def test_guidance_lets_other_classes_repel(batch):
    y, x, other, of_y, of_x = batch
    velocity = velocities.MMD("laplace", 1.0, relative=False)
    moved = velocity(y, x, other, of_y, of_x, guidance=2.0)
    expected = oracles.row_gradient(
        lambda y: guided_witness(y, x, other, of_y, of_x, 0.5),
        np.float64(y),
    )
    np.testing.assert_allclose(numpy(moved), expected, atol=1e-4)


@pytest.mark.parametrize(
    "velocity", [*ABSOLUTE[:3], velocities.Drifting()], ids=repr
)
def test_nothing_moves_where_all_classes_are_alike(batch, velocity):
    rows, other = batch[0], batch[1]
    labels, real_labels = np.zeros(12), np.repeat([0, 1], 12)
    alike, different = (
        velocity(
            rows,
            np.concatenate([rows, strangers]),
            rows,
            labels,
            real_labels[: 12 + len(strangers)],
            guidance=2.0,
        )
        for strangers in (rows, other[:12])
    )
    largest = [np.abs(numpy(v)).max() for v in (alike, different)]
    # (Drifting divides by the size of what is left.)
    assert largest[0] < 0.05 * largest[1]


def test_a_random_guidance_has_the_density_of_the_paper():
    from keras_monoflow.velocities.guidance import draw_guidance

    g = numpy(draw_guidance((1.0, 4.0), np.zeros((200000, 1), "float32"), 0))
    assert g.min() >= 1
    assert g.max() <= 4
    # P(g > t) = (t^-2 - 4^-2) / (1 - 4^-2) for the density g^-3.
    for t in (1.5, 2.0, 3.0):
        expected = (t**-2 - 1 / 16) / (1 - 1 / 16)
        assert abs((g > t).mean() - expected) < 5e-3


def test_a_random_guidance_differs_from_row_to_row(batch):
    y, x, other, of_y, of_x = batch
    velocity = velocities.Energy()
    y[:] = y[0]
    of_y[:] = 0
    one, same, another = (
        numpy(velocity(y, x, other, of_y, of_x, guidance=(1.0, 4.0), seed=seed))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert np.std(one, axis=0).min() > 1e-3
    assert np.abs(one - another).max() > 1e-3


@pytest.mark.parametrize("labeled", [False, True])
@pytest.mark.parametrize("alone", [False, True])
def test_a_sum_is_the_sum_of_its_parts(rng, alone, labeled):
    """Also without a second batch, which parts do not treat alike."""
    real, generated, other = rng.normal(size=(3, 12, 2)).astype("float32")
    arguments = {} if alone else {"other": other}
    if labeled:
        arguments["generated_labels"] = rng.integers(2, size=12)
        arguments["real_labels"] = rng.integers(2, size=12)
    parts = velocities.Energy(), velocities.Sinkhorn(0.1)
    total = 0.5 * parts[0] + 2.0 * parts[1]
    expected = sum(
        w * numpy(v(generated, real, **arguments))
        for w, v in zip((0.5, 2.0), parts)
    )
    np.testing.assert_allclose(
        numpy(total(generated, real, **arguments)),
        expected,
        rtol=1e-5,
        atol=1e-5,
    )
