"""Each velocity against its formula, in NumPy or by a library."""

import keras
import numpy as np
import ot
import pytest
from helpers import numpy
from keras import ops
from velocities import oracles

from keras_monoflow import velocities
from keras_monoflow.gradients import input_gradient
from keras_monoflow.velocities.pairs import Pairs

KERNELS = ["gaussian", "laplace", "student"]
#: Coordinates are subtracted one by one, or multiplied out.
SIZES = [3, 24]


def rows(rng, size, n=12, m=15, k=12):
    """Generated rows, real ones and a second generated batch."""
    y, x, other = (rng.normal(size=(r, size)) for r in (n, m, k))
    return y, x + 0.5, other


def call(velocity, y, x, other=None, **arguments):
    arrays = [None if a is None else np.float32(a) for a in (y, x, other)]
    return numpy(velocity(*arrays, **arguments))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bandwidths", [[1.5], [1.0, 3.0]])
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_ratio_is_the_gradient_of_the_mapped_ratio(
    rng, kernel, bandwidths, size
):
    y, x, other = rows(rng, size)
    velocity = velocities.KernelRatio(kernel, bandwidths, "arcsinh", False)
    u = oracles.log_ratio(y, x, other, kernel, bandwidths)
    slope = numpy(velocity.mapping.derivative(u))
    gradient = oracles.row_gradient(
        lambda y: oracles.log_ratio(y, x, other, kernel, bandwidths), y
    )
    np.testing.assert_allclose(
        call(velocity, y, x, other), slope[:, None] * gradient, atol=2e-4
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_closed_form_is_the_automatic_gradient(rng, kernel, size):
    y, x, other = (
        ops.convert_to_tensor(np.float32(r)) for r in rows(rng, size)
    )
    velocity = velocities.KernelRatio(kernel, [1.0, 2.0], relative=False)

    def u(y):
        return velocity.log_ratio(Pairs(y, x, other))[0]

    np.testing.assert_allclose(
        numpy(velocity(y, x, other)), numpy(input_gradient(u, y)), atol=1e-4
    )


def test_a_gaussian_ratio_is_the_mean_shift_form_of_drifting(rng):
    y, x, other = rows(rng, 2)
    velocity = velocities.KernelRatio("gaussian", 0.8, relative=False)
    shift = oracles.mean_shift(y, x, 0.8) - oracles.mean_shift(y, other, 0.8)
    np.testing.assert_allclose(
        0.8**2 * call(velocity, y, x, other), shift, atol=1e-5
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_mmd_is_the_gradient_of_the_witness(rng, kernel, size):
    y, x, other = rows(rng, size)
    bandwidths = [1.0, 4.0]
    expected = oracles.row_gradient(
        lambda y: oracles.witness(y, x, other, kernel, bandwidths), y
    )
    velocity = velocities.MMD(kernel, bandwidths, relative=False)
    np.testing.assert_allclose(call(velocity, y, x, other), expected, atol=1e-5)


def test_mmd_descends_the_unbiased_mmd(rng):
    y, x, _ = rows(rng, 2, n=8)
    n = len(y)

    def squared_mmd(y):
        k = np.exp(-(oracles.distances(y, y) ** 2) / 2)
        among = (k.sum() - n) / (n * (n - 1))
        return among - 2 * np.exp(-(oracles.distances(y, x) ** 2) / 2).mean()

    velocity = velocities.MMD("gaussian", 1.0, relative=False)
    np.testing.assert_allclose(
        call(velocity, y, x),
        -n / 2 * oracles.gradient(squared_mmd, y),
        atol=1e-5,
    )


@pytest.mark.parametrize("size", SIZES)
def test_energy_is_the_gradient_of_mean_distances(rng, size):
    y, x, other = rows(rng, size)
    expected = oracles.row_gradient(
        lambda y: oracles.energy_witness(y, x, other), y
    )
    np.testing.assert_allclose(
        call(velocities.Energy(), y, x, other), expected, atol=1e-4
    )


@pytest.mark.parametrize("second_batch", [True, False])
@pytest.mark.parametrize("floor", [1e-30, 1e-6])
def test_drifting_is_algorithm_2(rng, floor, second_batch):
    y, x, other = rows(rng, 3)
    other = other if second_batch else None
    velocity = velocities.Drifting((0.1, 0.3), floor)
    expected = oracles.drifting(y, x, other, (0.1, 0.3), floor)
    np.testing.assert_allclose(
        call(velocity, y, x, other), expected, atol=1e-5, rtol=1e-4
    )


def test_drifting_is_antisymmetric(rng):
    y, x, other = rows(rng, 2)
    there, back = (
        call(velocities.Drifting(), y, *pair)
        for pair in [(x, other), (other, x)]
    )
    np.testing.assert_allclose(there, -back, atol=1e-5)


def divergence(y, x, epsilon):
    """The Sinkhorn divergence by POT, with the cost `d^2 / 2`."""

    def transport(a, b):
        cost = ot.dist(a, b) / 2
        return ot.solve(
            cost, reg=epsilon, reg_type="KL", max_iter=5000, tol=1e-13
        ).value

    return transport(y, x) - transport(y, y) / 2 - transport(x, x) / 2


def test_sinkhorn_descends_the_divergence(rng):
    y, x, _ = rows(rng, 2, n=6, m=7)
    velocity = velocities.Sinkhorn(0.5, iterations=300, relative=False)
    expected = -len(y) * oracles.gradient(
        lambda y: divergence(y, x, 0.5), y, step=1e-4
    )
    np.testing.assert_allclose(call(velocity, y, x), expected, atol=1e-4)


def test_sinkhorn_moves_along_the_plans_of_pot(rng):
    y, x, other = rows(rng, 2)
    expected = 0.0
    for sign, target in [(1, x), (-1, other)]:
        plan = ot.solve(
            ot.dist(y, target) / 2, reg=0.3, max_iter=5000, tol=1e-12
        ).plan
        expected = expected + sign * len(y) * plan @ target
    velocity = velocities.Sinkhorn(0.3, iterations=300, relative=False)
    np.testing.assert_allclose(call(velocity, y, x, other), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("n", "m"), [(9, 9), (9, 4), (9, 23), (1, 2), (300, 700), (700, 300)]
)
def test_sliced_is_optimal_transport_on_a_line(rng, n, m):
    y, x, _ = rows(rng, 1, n=n, m=m)
    x = x + 20.0
    plan = ot.emd_1d(y, x)
    velocity = velocities.SlicedWasserstein(4)
    moved, logs = velocity.with_logs(
        velocity.pairs(np.float32(y), np.float32(x)), seed=0
    )
    np.testing.assert_allclose(numpy(moved), n * plan @ x - y, atol=1e-4)
    cost = ot.emd2_1d(y, x)
    np.testing.assert_allclose(logs["generator_loss"], cost / 2, rtol=1e-5)


def test_sliced_takes_more_real_rows_or_fewer(rng):
    y, x = np.arange(4.0)[:, None], np.arange(8.0)[:, None]
    velocity = velocities.SlicedWasserstein(1)
    # Each generated row stands for two real ones.
    np.testing.assert_allclose(
        call(velocity, y, x, seed=0), 2 * y + 0.5 - y, atol=1e-5
    )
    np.testing.assert_allclose(
        call(velocity, x, y, seed=0).sum(), y.sum() * 2 - x.sum(), atol=1e-4
    )


def test_sliced_gives_back_a_shift(rng):
    y = rng.normal(size=(50, 3))
    velocity = velocities.SlicedWasserstein(4000)
    shift = np.array([1.0, -2.0, 0.5])
    moves = call(velocity, y, y + shift, seed=0)
    np.testing.assert_allclose(moves.mean(0), shift, atol=0.2)


def test_a_sum_is_a_sum_with_weights(rng):
    y, x, other = rows(rng, 2)
    parts = velocities.Energy(), velocities.Sinkhorn()
    total = 0.5 * (2 * parts[0] + parts[1])
    np.testing.assert_allclose(
        call(total, y, x, other),
        call(parts[0], y, x, other) + 0.5 * call(parts[1], y, x, other),
        rtol=1e-5,
    )
    assert total.log_names == ("generator_loss",)
    assert (velocities.Energy() + velocities.Drifting()).log_names == ()
    assert not total.is_field


def loss_of(velocity, y, x, other):
    arrays = (np.float32(a) for a in (y, x, other))
    return float(
        numpy(velocity.with_logs(velocity.pairs(*arrays))[1]["generator_loss"])
    )


def test_the_logged_losses(rng):
    y, x, other = rows(rng, 2)
    d = oracles.distances
    bandwidths = [1.5]
    expected = {
        velocities.Energy(): d(y, x).mean() - d(y, other).mean() / 2,
        velocities.MMD("gaussian", bandwidths, relative=False): np.exp(
            -(d(y, other) ** 2) / 4.5
        ).mean()
        / 2
        - np.exp(-(d(y, x) ** 2) / 4.5).mean(),
        velocities.KernelRatio(
            "student", bandwidths, relative=False
        ): -oracles.log_ratio(y, x, other, "student", bandwidths).mean(),
        velocities.Sinkhorn(0.5, 300, relative=False): ot.solve(
            ot.dist(y, x) / 2, reg=0.5, max_iter=5000, tol=1e-12
        ).value
        - ot.solve(
            ot.dist(y, other) / 2, reg=0.5, max_iter=5000, tol=1e-12
        ).value
        / 2,
    }
    for velocity, value in expected.items():
        np.testing.assert_allclose(
            loss_of(velocity, y, x, other), value, rtol=1e-4, err_msg=velocity
        )


# ------------------------------------------------------- units and scale

RELATIVE = [
    velocities.KernelRatio(),
    velocities.MMD(),
    velocities.Energy(),
    velocities.Drifting(),
    velocities.Sinkhorn(),
]


@pytest.mark.parametrize("velocity", RELATIVE, ids=repr)
def test_units_are_those_of_the_mean_distance(rng, velocity):
    y, x, other = rows(rng, 2)
    directions = [
        v / np.linalg.norm(v)
        for v in (
            call(velocity, scale * y, scale * x, scale * other)
            for scale in (1.0, 100.0)
        )
    ]
    np.testing.assert_allclose(*directions, atol=1e-4)


def test_a_bandwidth_of_one_is_the_mean_distance(rng):
    y, x, other = rows(rng, 2)
    unit = oracles.distances(y, x).mean()
    np.testing.assert_allclose(
        call(velocities.KernelRatio("laplace", 0.5), y, x, other),
        call(
            velocities.KernelRatio("laplace", 0.5 * unit, relative=False),
            y,
            x,
            other,
        ),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("velocity", RELATIVE, ids=repr)
def test_nothing_moves_where_both_sets_are_one(rng, velocity):
    y, x, _ = rows(rng, 3)
    moves = call(velocity, y, x, x)
    # (Drifting divides by the size of what is left.)
    is_drift = isinstance(velocity, velocities.Drifting)
    atol = 1e-2 if is_drift else 1e-5
    np.testing.assert_allclose(moves, 0.0, atol=atol)


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="float64 is off by default"
)
def test_float64_stays(rng):
    y, x, other = rows(rng, 2)
    for velocity in RELATIVE:
        result = velocity(y, x, other)
        assert keras.backend.standardize_dtype(result.dtype) == "float64"


def test_rows_have_any_shape(rng):
    y, x, other = (np.float32(r).reshape(-1, 2, 3, 4) for r in rows(rng, 24))
    for velocity in RELATIVE:
        flat = (r.reshape(-1, 24) for r in (y, x, other))
        result = numpy(velocity(y, x, other))
        assert result.shape == y.shape
        np.testing.assert_allclose(
            result.reshape(-1, 24), numpy(velocity(*flat)), atol=1e-6
        )


@pytest.mark.parametrize("name", ["kernel_ratio", "drifting", "sliced"])
def test_configurations_by_keras(name):
    velocity = 2 * velocities.get(name) + velocities.Energy()
    config = keras.saving.serialize_keras_object(velocity)
    assert repr(keras.saving.deserialize_keras_object(config)) == repr(velocity)
    assert repr(velocities.get(config)) == repr(velocity)
