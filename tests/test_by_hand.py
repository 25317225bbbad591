"""The hand-written steps of the benchmarks do the work of the package's.

From equal weights and with equal noise, they give equal weights.
"""

import dataclasses
import pathlib
import sys

import keras
import numpy as np
import pytest
from helpers import slow_except
from keras import ops

import keras_monoflow as kmf

sys.path.insert(0, str(pathlib.Path(__file__).parent / "benchmarks"))

import cases
import ours
from by_hand.recipe import Recipe, weights_of

ROUNDS, BATCH = 3, 8
#: A tiny one would make steps of gradients that only rounding keeps from zero.
EPSILON = 1e-2


class GivenNoise:
    """Latent points and interpolation times of some rounds.

    A round draws, for each step of the discriminator, latent points (unless
    samples are reused) and times (if the penalty wants them), and latent
    points for the generator.
    """

    def __init__(self, recipe, sample_rank):
        rng = np.random.default_rng(2)
        sets = (0 if recipe.reuse else recipe.steps) + 1
        shape = (ROUNDS, sets, BATCH, recipe.latent)
        self.latents = rng.normal(size=shape).astype("float32")
        shape = (ROUNDS, recipe.steps, BATCH) + (1,) * sample_rank
        self.times = rng.uniform(size=shape).astype("float32")
        self.has_times = recipe.penalty == "lipschitz"
        self.reuse = recipe.reuse

    def in_order(self):
        """Latent points and times by the number of the draw."""
        latents, times = [], []

        def add(latent=None, time=None):
            nothing = np.zeros_like(self.latents[0, 0])
            latents.append(nothing if latent is None else latent)
            nothing = np.zeros_like(self.times[0, 0])
            times.append(nothing if time is None else time)

        for latents_of_round, times_of_round in zip(self.latents, self.times):
            steps = list(latents_of_round)
            if self.reuse:
                add(latent=steps[0])
            for i, time in enumerate(times_of_round):
                if not self.reuse:
                    add(latent=steps[i])
                if self.has_times:
                    add(time=time)
            if not self.reuse:
                add(latent=steps[-1])
        return np.stack(latents), np.stack(times)

    def inject(self, model):
        """Lets a model of the package draw this noise."""
        latents, times = self.in_order()

        def pick(table, seed):
            number = ops.cast(seed.next()[1], "int32")
            return ops.take(ops.convert_to_tensor(table), number, axis=0)

        model.prior.function = lambda shape, dtype, seed: pick(latents, seed)
        for penalty in model.penalties:
            penalty.times = lambda x, seed: pick(times, seed)

    def of_round(self, i):
        """What the hand-written steps draw in round `i`, a tensor or not."""
        tables = [self.latents, self.times if self.has_times else None]
        return [
            None
            if table is None
            else ops.take(ops.convert_to_tensor(table), i, axis=0)
            for table in tables
        ]


def by_hand(recipe, networks, noise):
    """The hand-written step with the given noise, for any backend."""
    steps = cases.steps_module()
    weights = [weights_of(network) for network in networks]
    if keras.backend.backend() == "jax":

        def draw(key, recipe, n, rank):
            return key + 1, *noise.of_round(key)

        step = steps.ByHand(recipe, *weights, draw=draw)
        step.state = step.state._replace(key=ops.convert_to_tensor(0))
        return step
    round_number = keras.Variable(0, dtype="int32", trainable=False)

    def draw(recipe, n, rank):
        latents_and_times = noise.of_round(round_number.value)
        round_number.assign_add(1)
        return latents_and_times

    step = steps.ByHand(recipe, *weights, draw=draw)
    if keras.backend.backend() == "torch":
        for optimizer in step.optimizers:
            optimizer.register_step_pre_hook(use_epsilon_of_keras)
    return step


def use_epsilon_of_keras(optimizer, *_):
    """Moves epsilon to where Keras has it, before the bias correction."""
    for group in optimizer.param_groups:
        states = optimizer.state.values()
        t = 1 + next((int(s["step"]) for s in states if s), 0)
        group["eps"] = EPSILON / (1 - group["betas"][1] ** t) ** 0.5


def small(networks, **options):
    return Recipe(
        epsilon=EPSILON,
        networks=networks,
        latent=3,
        generator_rate=1e-2,
        discriminator_rate=1e-2,
        **options,
    )


RECIPES = {
    "r1": small("mlp", flow="monoflow", penalty="r1"),
    "r1_merged": small("mlp", flow="monoflow", penalty="r1", merged=True),
    "w1": small("mlp", flow="w1", penalty="lipschitz", steps=3, step_size=0.1),
    "w1_merged": small(
        "mlp",
        flow="w1",
        penalty="lipschitz",
        steps=3,
        persistency=3,
        step_size=0.1,
        merged=True,
    ),
    "dcgan": small("dcgan", flow="monoflow", reuse=True),
    "resnet": small(
        "resnet",
        flow="w1",
        penalty="lipschitz",
        persistency=2,
        step_size=0.1,
    ),
}

if keras.backend.backend() == "tensorflow":
    RECIPES["dcgan_elementary"] = dataclasses.replace(
        RECIPES["dcgan"], networks="dcgan_elementary"
    )


def make_networks(kind):
    """Small ones, and a sample's shape."""
    if kind == "mlp":
        return (
            kmf.networks.mlp_generator(3, 2, units=(16, 16), seed=0),
            kmf.networks.mlp_discriminator(2, units=(16, 16), seed=0),
        )
    if kind.startswith("dcgan"):
        return (
            kmf.networks.dcgan_generator(3, (8, 8, 1), filters=4, seed=0),
            kmf.networks.dcgan_discriminator(
                (8, 8, 1), filters=4, batch_norm=True, seed=0
            ),
        )
    return (
        kmf.networks.resnet_generator(3, (8, 8, 3), 4, stages=1, seed=0),
        kmf.networks.resnet_discriminator((8, 8, 3), 4, pooling="mean", seed=0),
    )


def train_both(recipe):
    """Returns the weights before, after our rounds, and after those by hand.

    Each is a pair, of generator and discriminator, of weights and statistics.
    """
    networks = make_networks(recipe.networks)
    before = [weights_of(network) for network in networks]
    shape = networks[1].input_shape[1:]
    rng = np.random.default_rng(1)
    real = rng.normal(size=(ROUNDS * BATCH, *shape)).astype("float32")
    noise = GivenNoise(recipe, len(shape))
    step = by_hand(recipe, networks, noise)
    model = ours.compile_model(recipe, networks)
    noise.inject(model)
    model.fit(real, batch_size=BATCH, shuffle=False, verbose=0)
    for batch in cases.steps_module().batches_of(real, BATCH):
        step.step(batch)
    return before, [weights_of(network) for network in networks], step.weights()


@pytest.mark.parametrize("name", slow_except(["r1", "w1_merged"], RECIPES))
def test_same_weights(name):
    for old, want, have in zip(*train_both(RECIPES[name])):
        for a, b, c in zip(old[0], want[0], have[0], strict=True):
            check_same(c, b, moved=np.abs(b - a).max())
        if keras.backend.backend() == "torch":
            # Torch averages unbiased variances, and counts frozen passes.
            continue
        for b, c in zip(want[1], have[1], strict=True):
            check_same(c, b)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["r1", "w1", "dcgan"])
def test_low_precision(name, precision):
    """Both sides round, in other places: they must move alike."""
    keras.config.set_dtype_policy(f"mixed_{precision}")
    recipe = dataclasses.replace(RECIPES[name], precision=precision)
    for old, want, have in zip(*train_both(recipe)):
        moved, error = (
            np.concatenate([(x - y).ravel() for x, y in zip(pair, other)])
            for pair, other in ((want[0], old[0]), (have[0], want[0]))
        )
        assert np.linalg.norm(error) < 0.2 * np.linalg.norm(moved)


def check_same(value, expected, moved=None):
    error = np.abs(value - expected).max()
    assert error <= 1e-5
    # The last bias of a W1 critic stands still.
    if moved is not None and expected.size > 1:
        assert error <= moved / 50
