"""A weight of a row says how often it counts, real or generated."""

import numpy as np
import pytest
from keras import ops

import keras_monoflow as kmf
from keras_monoflow.registry import OBJECTIVES

COUNTS = {"real": np.array([1, 3, 2, 2]), "fake": np.array([2, 1, 1, 4])}
LOSSES = {
    **{name: make() for name, make in OBJECTIVES.makers.items()},
    "hinge": kmf.losses.HingeLoss(),
    "wasserstein": kmf.losses.WassersteinLoss(),
    "matched": kmf.losses.MatchedLoss("vanilla"),
}


def weight_of(counts):
    return np.float32(counts / counts.mean())


@pytest.mark.parametrize("sides", [["real"], ["fake"], ["real", "fake"]])
@pytest.mark.parametrize("name", LOSSES)
def test_weights_are_repetitions(name, sides, rng):
    outputs = dict(zip(("real", "fake"), np.float32(rng.normal(size=(2, 4)))))
    repeated = {
        side: np.repeat(x, COUNTS[side]) if side in sides else x
        for side, x in outputs.items()
    }
    weights = {f"{side}_weight": weight_of(COUNTS[side]) for side in sides}
    loss = LOSSES[name]
    np.testing.assert_allclose(
        float(loss(outputs["real"], outputs["fake"], **weights)),
        float(loss(repeated["real"], repeated["fake"])),
        rtol=1e-5,
    )


@pytest.mark.parametrize("sides", [["real"], ["fake"], ["real", "fake"]])
def test_a_pair_of_rows_has_one_weight(sides, rng):
    real, fake = np.float32(rng.normal(size=(2, 4)))
    weights = {f"{side}_weight": weight_of(COUNTS[side]) for side in sides}
    loss = kmf.losses.RelativisticLoss(pairs="rows")
    counts = COUNTS[sides[0]]
    np.testing.assert_allclose(
        float(loss(ops.convert_to_tensor(real), fake, **weights)),
        np.average(np.logaddexp(0.0, fake - real), weights=counts),
        rtol=1e-5,
    )


def test_the_matched_objective_needs_a_mapping():
    with pytest.raises(ValueError, match="none was given"):
        kmf.losses.get("matched")
