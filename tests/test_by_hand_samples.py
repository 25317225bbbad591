"""The hand-written rounds from samples do the work of the package's."""

import dataclasses
import pathlib
import sys

import keras
import numpy as np
import pytest
from keras import ops

import keras_monoflow as kmf

if keras.backend.backend() != "jax":
    pytest.skip("these steps are in JAX", allow_module_level=True)
sys.path.insert(0, str(pathlib.Path(__file__).parent / "benchmarks"))

from by_hand.jax_sample_steps import VELOCITIES, ByHand
from by_hand.recipe import weights_of
from sample_rounds import RECIPE, make_flow

ROUNDS, BATCH = 3, 16


@pytest.mark.parametrize("velocity", VELOCITIES)
def test_same_weights(velocity, rng):
    latents = rng.normal(size=(2 * ROUNDS, BATCH, 2)).astype("float32")
    real = rng.normal(size=(ROUNDS * BATCH, 2)).astype("float32") + 1.0
    recipe = dataclasses.replace(RECIPE, epsilon=1e-2, generator_rate=1e-2)
    generator = kmf.networks.mlp_generator(2, 2, units=(16, 16), seed=0)
    before, _ = weights_of(generator)

    def draw(i, n, latent):
        pair = ops.convert_to_tensor(latents.reshape(ROUNDS, 2, n, latent))[i]
        return i + 1, pair[0], pair[1]

    step = ByHand(recipe, velocity, before, draw=draw)
    step.state = ops.convert_to_tensor(0), step.state[1]
    for batch in np.split(real, ROUNDS):
        step.step(ops.convert_to_tensor(batch))

    flow = make_flow(velocity, generator, recipe)
    flow.prior.function = lambda shape, dtype, seed: ops.take(
        ops.convert_to_tensor(latents),
        ops.cast(seed.next()[1], "int32"),
        axis=0,
    )
    flow.fit(real, batch_size=BATCH, shuffle=False, verbose=0)

    for old, ours, theirs in zip(
        before, generator.get_weights(), step.state[1].weights
    ):
        assert np.linalg.norm(ours - old) > 1e-2 * np.linalg.norm(old)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
