"""The cases of steps.py: a model of the package, its data and its recipe."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import ours
from by_hand.recipe import Recipe, weights_of

import keras_monoflow as kmf


def steps_module(framework=None):
    """The hand-written steps for a framework, the backend of Keras if none."""
    backend = framework or keras.backend.backend()
    if backend == "jax":
        from by_hand import jax_steps as steps
    elif backend == "tensorflow":
        from by_hand import tensorflow_steps as steps
    else:
        from by_hand import torch_steps as steps
    return steps


def hand_written(case, jit):
    """The expert's step, from the same weights."""
    options = {} if keras.backend.backend() == "jax" else {"jit_compile": jit}
    weights = [weights_of(network) for network in case.make_networks()]
    return steps_module().ByHand(case.recipe, *weights, **options)


def keras_io(case, jit):
    """What the examples of keras.io do; TensorFlow only."""
    from by_hand import keras_io_wgan_gp

    return keras_io_wgan_gp.make(case.recipe, case.make_networks(), jit)


def authors_loop(case, jit):
    """What papers publish: PyTorch, whatever runs ours, and never compiled."""
    from by_hand import monoflow_authors_loop

    weights = [weights_of(network) for network in case.make_networks()]
    return monoflow_authors_loop.Loop(case.recipe, *weights)


@dataclasses.dataclass(frozen=True)
class Case:
    """A recipe, and how to make networks, data and what to compare with."""

    recipe: Recipe
    batch: int
    make_networks: Callable
    make_data: Callable
    make_rival: Callable = hand_written
    backend: str | None = None
    rival_framework: str | None = None

    def make_batches(self, data, size):
        return steps_module(self.rival_framework).batches_of(data, size)


def ring_networks():
    return (
        kmf.networks.mlp_generator(2, 2, seed=0),
        kmf.networks.mlp_discriminator(2, seed=0),
    )


def ring(n):
    return kmf.datasets.gaussian_ring(n, seed=0)


def paper_networks():
    """Those of `examples/mnist.py --recipe monoflow`."""
    return (
        kmf.networks.dcgan_generator(seed=0),
        kmf.networks.dcgan_discriminator(batch_norm=True, seed=0),
    )


def wgan_gp_networks():
    """No batch norm in the critic, whose gradients are penalised."""
    return (
        kmf.networks.dcgan_generator(128, seed=0),
        kmf.networks.dcgan_discriminator(seed=0),
    )


def resnet_networks(filters=64):
    return (
        kmf.networks.resnet_generator(filters=filters, seed=0),
        kmf.networks.resnet_discriminator(
            filters=filters, pooling="mean", seed=0
        ),
    )


def images(*shape):
    """Noise takes as long as pictures."""

    def draw(n):
        rng = np.random.default_rng(0)
        return np.tanh(rng.normal(size=(n, *shape))).astype("float32")

    return draw


def monoflow_ring(batch):
    recipe = Recipe(
        flow="monoflow",
        networks="mlp",
        latent=2,
        penalty="r1",
        weight=1.0,
        merged=True,
        generator_rate=1e-3,
        discriminator_rate=1e-3,
    )
    return Case(recipe, batch, ring_networks, ring)


def w1fe_ring(batch, persistency):
    recipe = Recipe(
        flow="w1",
        networks="mlp",
        latent=2,
        steps=5,
        penalty="lipschitz",
        persistency=persistency,
        step_size=0.1,
        merged=True,
        generator_rate=5e-4,
        discriminator_rate=1e-3,
        beta_2=0.9,
    )
    return Case(recipe, batch, ring_networks, ring)


def paper_mnist(batch=128):
    recipe = Recipe(flow="monoflow", networks="dcgan", latent=100, reuse=True)
    return Case(recipe, batch, paper_networks, images(28, 28, 1))


def resnet_cifar(batch=32):
    recipe = Recipe(
        flow="w1",
        networks="resnet",
        latent=128,
        penalty="lipschitz",
        step_size=0.1,
        beta_1=0.0,
        beta_2=0.9,
    )
    return Case(recipe, batch, resnet_networks, images(32, 32, 3))


def resnet_loops(batch=16):
    """Several steps of each network, which the package may run in a loop.

    XLA's convolutions on a CPU are slow inside of one.
    """
    case = resnet_cifar(batch)
    recipe = dataclasses.replace(case.recipe, steps=2, persistency=3)
    return dataclasses.replace(
        case, recipe=recipe, make_networks=lambda: resnet_networks(32)
    )


def wgan_gp(batch=512):
    recipe = Recipe(
        flow="w1",
        networks="dcgan",
        latent=128,
        steps=3,
        penalty="gradient",
        step_size=1.0,
    )
    return Case(
        recipe,
        batch,
        wgan_gp_networks,
        images(28, 28, 1),
        make_rival=keras_io,
        backend="tensorflow",
    )


def elementary_mnist():
    """What Keras's batch norm costs: the hand-written step has it as well."""
    case = paper_mnist()
    recipe = dataclasses.replace(case.recipe, networks="dcgan_elementary")
    return dataclasses.replace(case, recipe=recipe, backend="tensorflow")


def authors_mnist():
    return dataclasses.replace(
        paper_mnist(), make_rival=authors_loop, rival_framework="torch"
    )


CASES = {
    "monoflow_64": monoflow_ring(64),
    "monoflow_512": monoflow_ring(512),
    "w1fe_k1": w1fe_ring(512, 1),
    "w1fe_k3": w1fe_ring(512, 3),
    "w1fe_k10": w1fe_ring(512, 10),
    "w1fe_k3_64": w1fe_ring(64, 3),
    "mnist": paper_mnist(),
    "resnet": resnet_cifar(),
    "resnet_loops": resnet_loops(),
    "wgan_gp_keras_io": wgan_gp(),
    "authors_mnist": authors_mnist(),
    "mnist_elementary": elementary_mnist(),
}


RING = [
    name for name, case in CASES.items() if case.make_networks is ring_networks
]
#: Names of several cases at once.
GROUPS = {"all": [*RING, "mnist", "resnet", "resnet_loops"], "ring": RING}


def names():
    return [*GROUPS, *CASES]


def chosen(names):
    """The cases of some names, of cases or groups, on this backend."""
    wanted = [case for name in names for case in GROUPS.get(name, [name])]
    backend = keras.backend.backend()
    return [n for n in wanted if CASES[n].backend in (None, backend)]


def make_model(case, jit_compile="auto", **options):
    """The package's model of a case, compiled."""
    return ours.compile_model(
        case.recipe, case.make_networks(), jit_compile=jit_compile, **options
    )
