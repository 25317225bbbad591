"""A step of the package does no product that it need not do.

The counts of benchmarks/flops.py, on small networks.
"""

import dataclasses
import pathlib
import sys

import keras
import pytest
from helpers import slow_except

sys.path.insert(0, str(pathlib.Path(__file__).parent / "benchmarks"))

import cases
import flops
from by_hand.recipe import Recipe

import keras_monoflow as kmf


def mlps():
    return (
        kmf.networks.mlp_generator(2, 2, units=(8, 8), seed=0),
        kmf.networks.mlp_discriminator(2, units=(8, 8), seed=0),
    )


def dcgans(batch_norm=False):
    shape = (8, 8, 1)
    return (
        kmf.networks.dcgan_generator(3, shape, filters=4, seed=0),
        kmf.networks.dcgan_discriminator(
            shape, filters=4, batch_norm=batch_norm, seed=0
        ),
    )


def resnets():
    shape = (8, 8, 3)
    return (
        kmf.networks.resnet_generator(3, shape, 4, stages=1, seed=0),
        kmf.networks.resnet_discriminator(shape, 4, pooling="mean", seed=0),
    )


def make_case(make_networks, sample_shape, **recipe):
    return cases.Case(
        Recipe(latent=make_networks()[0].input_shape[-1], **recipe),
        batch=4,
        make_networks=make_networks,
        make_data=cases.images(*sample_shape),
    )


CASES = {
    "mlp": make_case(
        mlps,
        (2,),
        networks="mlp",
        flow="w1",
        penalty="lipschitz",
        steps=2,
        persistency=3,
    ),
    "dcgan": make_case(
        dcgans, (8, 8, 1), networks="dcgan", flow="monoflow", penalty="r1"
    ),
    "resnet": make_case(
        resnets, (8, 8, 3), networks="resnet", flow="w1", penalty="gradient"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", slow_except(["mlp"], CASES))
def test_a_round_takes_the_products_that_it_needs(name):
    case = CASES[name]
    needed = sum(flops.needed_by(case).values())
    last = flops.of_network(case.make_networks()[1]).last * case.batch
    # A penalty's own forward pass ends before the last layer, in a graph.
    spare = case.recipe.steps * last
    assert needed - spare <= flops.counted(case, "ours") <= needed


@pytest.mark.slow
@pytest.mark.parametrize("reuse", slow_except([True], [False, True]))
def test_no_penalty(reuse):
    case = CASES["dcgan"]
    case = dataclasses.replace(
        case,
        recipe=dataclasses.replace(case.recipe, penalty=None, reuse=reuse),
        make_networks=lambda: dcgans(batch_norm=True),
    )
    needed = sum(flops.needed_by(case).values())
    assert flops.counted(case, "ours") == needed
    assert flops.counted(case, "theirs") == needed


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="JAX knows that they are zeros."
)
def test_autodiff_as_it_is_multiplies_zeros():
    """Or the package need not do anything about it any more."""
    case = CASES["mlp"]
    needed = sum(flops.needed_by(case).values())
    assert flops.counted(case, "theirs") > 1.05 * needed
