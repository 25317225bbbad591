import json

import keras
import numpy as np
import pytest
import scipy.optimize
from helpers import numpy
from keras import ops
from numpy.testing import assert_allclose, assert_array_equal

from keras_monoflow import losses, mappings
from keras_monoflow.gradients import input_gradient
from keras_monoflow.losses import (
    DonskerVaradhanLoss,
    ExponentialLoss,
    LeastSquaresLoss,
    LeastSquaresRatioLoss,
    LogisticLoss,
    MatchedLoss,
)

needs_float64 = pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="x64 is off on JAX by default"
)


def tensor(x, dtype="float32"):
    return ops.convert_to_tensor(np.asarray(x, dtype))


def sigmoid(u):
    return 1 / (1 + np.exp(-u))


# Two points, as batches: p = (3/4, 1/4) and q = (1/5, 4/5).
REAL, FAKE = [0, 0, 0, 1], [0, 1, 1, 1, 1]
U = np.log([0.75 / 0.2, 0.25 / 0.8])
E = 0.1  # label smoothing

# Each objective with the theoretical minimiser as a function of u.
OBJECTIVES = {
    "logistic": (LogisticLoss(), lambda u: u),
    "smoothed": (
        LogisticLoss(label_smoothing=E),
        lambda u: np.log((1 - E) / (np.exp(-u) + E)),
    ),
    "least_squares": (LeastSquaresLoss(), sigmoid),
    "exponential": (ExponentialLoss(), lambda u: u / 2),
    "donsker_varadhan": (DonskerVaradhanLoss(), lambda u: u + 0.7),
    "least_squares_ratio": (LeastSquaresRatioLoss(), np.exp),
}
MATCHED = [
    *(n for n in mappings.NAMED if mappings.get(n).dual is not None),
    "alpha3",
    "vanilla5",
]
for name in sorted(MATCHED):
    mapping = {
        "alpha3": mappings.Alpha(3),
        "vanilla5": mappings.Vanilla(5),
    }.get(name, name)
    OBJECTIVES[f"matched_{name}"] = (MatchedLoss(mapping), lambda u: u)
# One formula matches an objective to every mapping: two of them show it.
SLOW = {f"matched_{name}" for name in MATCHED if name not in ("mle", "vanilla")}
objectives = pytest.mark.parametrize(
    ("loss", "minimiser"),
    [
        pytest.param(
            *pair, id=name, marks=[pytest.mark.slow] if name in SLOW else []
        )
        for name, pair in OBJECTIVES.items()
    ],
)


def two_point_loss(loss):
    return lambda d: loss(ops.take(d, REAL), ops.take(d, FAKE))


def two_point_log_ratio(loss, d):
    """At both points, with the generated batch for Donsker-Varadhan."""
    return numpy(loss.log_ratio(d, ops.take(d, FAKE)))


@needs_float64
@objectives
def test_numerical_minimiser_is_the_log_ratio(loss, minimiser):
    def value_and_gradient(d):
        d, fn = tensor(d, "float64"), two_point_loss(loss)
        return float(fn(d)), numpy(input_gradient(fn, d))

    found = scipy.optimize.minimize(
        value_and_gradient, [0.3, 0.6], jac=True, options={"gtol": 1e-10}
    )
    u = two_point_log_ratio(loss, tensor(found.x, "float64"))
    assert_allclose(u, U, rtol=0, atol=1e-6)


@objectives
def test_gradient_vanishes_at_the_theoretical_minimiser(loss, minimiser):
    d = tensor(minimiser(U))
    real = input_gradient(lambda r: loss(ops.take(r, REAL), tensor([0.0])), d)
    total = input_gradient(two_point_loss(loss), d)
    assert np.abs(numpy(real)).min() > 1e-3
    assert_array_equal(np.abs(numpy(total)) < 1e-5 * np.abs(numpy(real)), True)
    assert_allclose(two_point_log_ratio(loss, d), U, rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        (
            LogisticLoss(),
            lambda r, f: np.logaddexp(0, -r).mean() + np.logaddexp(0, f).mean(),
        ),
        (
            LogisticLoss(0.1),
            lambda r, f: (
                -(0.9 * np.log(sigmoid(r)) + 0.1 * np.log(sigmoid(-r))).mean()
                - np.log(sigmoid(-f)).mean()
            ),
        ),
        (
            LeastSquaresLoss(),
            lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
        ),
        (ExponentialLoss(), lambda r, f: np.exp(-r).mean() + np.exp(f).mean()),
        (
            DonskerVaradhanLoss(),
            lambda r, f: -r.mean() + np.log(np.exp(f).mean()),
        ),
        (
            LeastSquaresRatioLoss(),
            lambda r, f: -r.mean() + (f**2).mean() / 2,
        ),
        (
            MatchedLoss("vanilla"),
            lambda r, f: np.logaddexp(0, f).mean() + np.logaddexp(0, -r).mean(),
        ),
        (
            MatchedLoss("pearson"),
            lambda r, f: np.expm1(2 * f).mean() / 2 - np.expm1(r).mean(),
        ),
    ],
)
def test_value(loss, formula, rng):
    real, fake = rng.normal(size=7), rng.normal(size=4)
    expected = formula(real, fake)
    for shape in [(-1,), (-1, 1)]:
        value = loss(tensor(real.reshape(shape)), tensor(fake.reshape(shape)))
        assert_allclose(float(value), expected, rtol=1e-5)


# Links -----------------------------------------------------------------------

END = np.log((1 - E) / E)
LINKS = {
    "smoothed": (
        LogisticLoss(label_smoothing=E, margin=0.01),
        lambda d: d - np.log(1 - E - E * np.exp(d)),
        (-np.inf, END - 0.01),
    ),
    "least_squares": (
        LeastSquaresLoss(margin=0.01),
        lambda d: np.log(d / (1 - d)),
        (0.01, 0.99),
    ),
    "least_squares_ratio": (
        LeastSquaresRatioLoss(margin=0.01),
        np.log,
        (0.01, np.inf),
    ),
}


@pytest.mark.parametrize(("loss", "link", "ends"), LINKS.values(), ids=LINKS)
def test_link_goes_on_as_its_tangent(loss, link, ends):
    d = np.array([-20, -3, 0, 0.009, 0.011, 0.5, 0.989, 0.991, 1, 2.1, 3, 20])
    end, e = np.clip(d, *ends), 1e-6
    slope = (link(end + e) - link(end - e)) / (2 * e)
    u = numpy(loss.log_ratio(tensor(d)))
    assert_allclose(u, link(end) + slope * (d - end), rtol=1e-4, atol=1e-5)
    gradient = numpy(input_gradient(loss.log_ratio, tensor(d)))
    assert_allclose(gradient, slope, rtol=1e-4)
    assert (np.diff(u) > 0).all()


@objectives
def test_link_is_increasing_and_smooth_across_the_margin(loss, minimiser):
    ends = [0.0, 1e-3, 0.999, 1.0, END - 1e-3, END]
    d = np.sort(
        np.concatenate(
            [
                np.linspace(-3, 3, 61),
                *[end + 1e-5 * np.arange(-3, 4) for end in ends],
            ]
        )
    )
    u = numpy(loss.log_ratio(tensor(d)))
    slope = numpy(input_gradient(loss.log_ratio, tensor(d)))
    assert np.isfinite(u).all()
    assert (np.diff(u) >= 0).all()
    assert np.isfinite(slope).all()
    assert (slope > 0).all()
    close = np.diff(d) < 1.5e-5
    ratio = slope[1:][close] / slope[:-1][close]
    assert_allclose(ratio, 1, atol=0.03)


@objectives
def test_half_precision_outputs_are_computed_in_float32(loss, minimiser):
    outputs = [ops.cast(tensor(x), "float16") for x in ([0.3, 0.9], [0.1, 0.4])]
    single = [ops.cast(x, "float32") for x in outputs]
    keras.config.set_dtype_policy("mixed_float16")
    assert keras.backend.standardize_dtype(loss(*outputs).dtype) == "float32"
    assert float(loss(*outputs)) == float(loss(*single))
    u = loss.log_ratio(outputs[0])
    assert keras.backend.standardize_dtype(u.dtype) == "float32"


@needs_float64
@objectives
def test_float64_outputs_stay(loss, minimiser):
    outputs = [tensor(x, "float64") for x in ([0.3, 0.9], [0.1, -4])]
    for result in (loss(*outputs), loss.log_ratio(outputs[0])):
        assert keras.backend.standardize_dtype(result.dtype) == "float64"


# Donsker-Varadhan ------------------------------------------------------------


def test_donsker_varadhan_ratio_has_mean_one(rng):
    fake = rng.normal(size=9) * 3 + 100  # exp(100) does not fit into float32
    u = DonskerVaradhanLoss().log_ratio(tensor(fake))
    assert_allclose(np.exp(numpy(u)).mean(), 1, rtol=1e-4)
    real = DonskerVaradhanLoss().log_ratio(tensor([99.0]), tensor(fake))
    expected = 99 - 100 - np.log(np.exp(fake - 100).mean())
    assert_allclose(numpy(real), [expected], rtol=1e-4)


def test_a_row_without_weight_may_be_far_above_the_others():
    value = DonskerVaradhanLoss()(
        tensor([0.0]), tensor([500.0, 3.0]), fake_weight=tensor([0.0, 2.0])
    )
    assert_allclose(float(value), 3.0, rtol=1e-6)


def test_donsker_varadhan_constant_has_no_gradient(rng):
    """Differences of `mean h(d - constant)` that hold the constant."""
    d, e = rng.normal(size=5), 1e-6
    constant = np.log(np.exp(d).mean())
    h = lambda d: -np.logaddexp(0, constant - d).mean()  # noqa: E731
    steps = e * np.eye(5)
    expected = [(h(d + s) - h(d - s)) / (2 * e) for s in steps]
    loss = DonskerVaradhanLoss()
    gradient = input_gradient(
        lambda d: ops.mean(-ops.softplus(-loss.log_ratio(d))), tensor(d)
    )
    assert_allclose(numpy(gradient), expected, rtol=1e-4)


# Arguments and configurations ------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogisticLoss(label_smoothing=0.5), "label_smoothing=0.5"),
        (lambda: LogisticLoss(label_smoothing=-0.1), "label_smoothing=-0.1"),
        (lambda: LogisticLoss(margin=0), "margin=0"),
        (lambda: LeastSquaresLoss(margin=0.5), "margin=0.5"),
        (lambda: LeastSquaresRatioLoss(margin=-1), "margin=-1"),
        (lambda: MatchedLoss("arcsinh"), "must have a dual"),
    ],
)
def test_invalid_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


CONFIGURED = [
    *(loss for loss, _ in OBJECTIVES.values()),
    LogisticLoss(0.2, margin=0.05, name="mine"),
    LeastSquaresLoss(margin=0.1),
    LeastSquaresRatioLoss(margin=0.1),
]


@pytest.mark.parametrize("loss", CONFIGURED)
def test_serialisation_round_trip(loss):
    config = keras.saving.serialize_keras_object(loss)
    config = json.loads(json.dumps(config))
    real, fake = tensor([0.5, -1, 4]), tensor([0.5, 2])
    for copy in (
        keras.saving.deserialize_keras_object(config),
        losses.get(config),
    ):
        assert type(copy) is type(loss)
        assert copy.name == loss.name
        assert float(copy(real, fake)) == float(loss(real, fake))
        assert_array_equal(
            numpy(copy.log_ratio(real)), numpy(loss.log_ratio(real))
        )
