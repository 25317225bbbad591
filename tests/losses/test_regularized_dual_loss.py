"""The regularized dual against NumPy and POT."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops

import keras_monoflow as kmf

floats = st.floats(-3, 3, width=32)


@given(
    arrays("float32", 3, elements=floats),
    arrays("float32", 4, elements=floats),
    arrays("float32", (3, 4), elements=floats),
    st.floats(0.1, 100),
)
def test_value(phi, psi, cost, weight):
    loss = kmf.losses.RegularizedDualLoss(weight)(psi, phi, cost)
    excess = [
        max(0.0, float(phi[i]) + float(psi[j]) - float(cost[i, j])) ** 2
        for i in range(3)
        for j in range(4)
    ]
    want = weight * np.mean(excess) - phi.mean() - psi.mean()
    np.testing.assert_allclose(float(loss), want, rtol=1e-4, atol=1e-4)


def test_optimum_of_pot_is_a_minimum(rng):
    """POT's L2-regularized dual has the same optimum and value."""
    ot = pytest.importorskip("ot")
    n, weight = 6, 20.0
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + 1.0
    cost = ((x[:, None] - y[None]) ** 2).sum(-1) / 2
    uniform = np.full(n, 1 / n)
    # sum_ij excess^2 / (2 reg) = weight * mean excess^2.
    plan, log = ot.smooth.smooth_ot_dual(
        uniform,
        uniform,
        cost,
        reg=n**2 / (2 * weight),
        stopThr=1e-12,
        numItermax=5000,
        log=True,
    )
    phi, psi = log["alpha"].astype("float32"), log["beta"].astype("float32")
    loss = kmf.losses.RegularizedDualLoss(weight)

    def value(phi, psi):
        return float(loss(psi, phi, cost.astype("float32")))

    best = value(phi, psi)
    for _ in range(20):
        d, e = 0.05 * rng.normal(size=(2, n)).astype("float32")
        assert value(phi + d, psi + e) > best - 1e-5
    # The density of the plan: 2 w (phi + psi - c)_+ against q(x) p(y).
    density = 2 * weight * np.maximum(phi[:, None] + psi[None] - cost, 0)
    np.testing.assert_allclose(density / n**2, plan, atol=1e-4)


@pytest.mark.parametrize("shape", [(2,), (3, 2), (2, 2, 1)])
def test_quadratic_cost(rng, shape):
    x, y = rng.normal(size=(5, *shape)), rng.normal(size=(4, *shape))
    # Far from the origin the expanded square would cancel.
    x, y = x + 100.0, y + 100.0
    cost = kmf.losses.quadratic_cost(
        ops.convert_to_tensor(x, "float32"), ops.convert_to_tensor(y, "float32")
    )
    want = ((x[:, None] - y[None]) ** 2).reshape(5, 4, -1).sum(-1) / 2
    np.testing.assert_allclose(ops.convert_to_numpy(cost), want, atol=2e-4)


def test_half_precision_outputs_are_computed_in_float32():
    half = np.full((3, 1), 300.0, "float16")
    loss = kmf.losses.RegularizedDualLoss(1.0)(
        half, half, np.zeros((3, 3), "float32")
    )
    np.testing.assert_allclose(float(loss), 600.0**2 - 600.0, rtol=1e-6)


def test_config():
    loss = kmf.losses.RegularizedDualLoss(weight=3.0)
    config = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(config)
    assert again.weight == 3.0


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_weight(weight):
    with pytest.raises(ValueError, match="weight"):
        kmf.losses.RegularizedDualLoss(weight)
