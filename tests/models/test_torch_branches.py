"""Steps that decide by values, and replays that decide otherwise."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("only PyTorch replays operations", allow_module_level=True)

import torch
from helpers import make_gan, make_networks, numpy
from keras import layers, ops

import keras_monoflow as kmf
from keras_monoflow.backend.torch import program as torch_program

always_recorded = pytest.mark.filterwarnings("error:.*cannot be recorded")


def spectral(units):
    return layers.SpectralNormalization(layers.Dense(units))


def spectral_gan(**arguments):
    generator = keras.Sequential(
        [layers.Input((2,)), spectral(8), layers.LeakyReLU(), spectral(2)]
    )
    discriminator = keras.Sequential(
        [layers.Input((2,)), spectral(8), layers.LeakyReLU(), spectral(1)]
    )
    gan = kmf.MonoFlowGAN(generator, discriminator, seed=1)
    rates = keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.02)
    gan.compile(*rates, step_size=0.1, persistency=3, **arguments)
    return gan


def adam_gan(**adam):
    def make(**arguments):
        return make_gan(
            generator_optimizer=keras.optimizers.Adam(0.01, **adam),
            discriminator_optimizer=keras.optimizers.Adam(0.02, **adam),
            **arguments,
        )

    return make


def float16_gan(**arguments):
    """Its loss scale overflows at first, and grows every third step."""
    keras.config.set_dtype_policy("mixed_float16")
    gan = kmf.MonoFlowGAN(*make_networks(), seed=1)
    scaled = keras.optimizers.LossScaleOptimizer
    rates = (
        scaled(
            keras.optimizers.Adam(0.01),
            initial_scale=2.0**24,
            dynamic_growth_steps=3,
        )
        for _ in range(2)
    )
    gan.compile(*rates, **arguments)
    return gan


def recurrent_gan(layer, **arguments):
    """It leaves out the steps of sequences that are zero."""
    discriminator = keras.Sequential(
        [
            layers.Input((2,)),
            layers.Reshape((2, 1)),
            layers.Masking(),
            layer,
            layers.Dense(1),
        ]
    )
    gan = kmf.MonoFlowGAN(make_networks()[0], discriminator, seed=1)
    gan.compile(
        keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.02), **arguments
    )
    return gan


MAKERS = {
    "masked GRU": lambda **arguments: recurrent_gan(
        layers.GRU(4, recurrent_dropout=0.3), **arguments
    ),
    "masked LSTM": lambda **arguments: recurrent_gan(
        layers.LSTM(4, dropout=0.3), **arguments
    ),
    "spectral normalization": spectral_gan,
    "gradient accumulation": adam_gan(gradient_accumulation_steps=3),
    "weight average": adam_gan(use_ema=True, ema_overwrite_frequency=3),
    "loss scaling": float16_gan,
}


@always_recorded
@pytest.mark.parametrize("kind", MAKERS)
def test_replays_are_the_step(kind, data):
    """Over twenty rounds, in which each condition takes both values, but
    that of spectral normalization."""
    found = []
    data = np.where(np.abs(data) < 0.5, 0.0, data)  # for masks
    for run_eagerly in (True, False):
        keras.utils.set_random_seed(3)
        gan = MAKERS[kind](run_eagerly=run_eagerly)
        gan.fit(data, batch_size=16, epochs=5, shuffle=False, verbose=0)
        variables = [*gan.variables, *gan.optimizer.variables]
        found.append([numpy(v).copy() for v in variables])
    for eager, replayed in zip(*found, strict=True):
        np.testing.assert_array_equal(replayed, eager)


def test_a_kernel_of_zeros_is_not_recorded(data):
    """Its norm is zero, and the derivative of the other branch infinite."""
    found = []
    for run_eagerly in (True, False):
        keras.utils.set_random_seed(3)
        gan = spectral_gan(run_eagerly=run_eagerly)
        last = gan.discriminator.layers[-1].layer.kernel
        last.assign(ops.zeros_like(last))
        arguments = {"batch_size": 16, "shuffle": False, "verbose": 0}
        if run_eagerly:
            gan.fit(data, **arguments)
        else:
            with pytest.warns(UserWarning, match="is not finite"):
                gan.fit(data, **arguments)
        found.append([numpy(v).copy() for v in gan.variables])
    for eager, replayed in zip(*found, strict=True):
        assert np.isfinite(eager).all()
        np.testing.assert_array_equal(replayed, eager)


class Counts:
    """A step whose branches assign, add in place, and nest."""

    def __init__(self):
        self.steps = keras.Variable(0, dtype="int32", trainable=False)
        self.even = keras.Variable([0.0, 0.0])
        self.odd = keras.Variable([0.0, 0.0])
        self.variables = [self.steps, self.even, self.odd]

    def __call__(self, x):
        def even():
            self.even.assign_add(x)
            return self.even + 1.0

        def odd():
            self.odd.value.add_(x)
            third = ops.equal(ops.mod(self.steps, 3), 0)
            return ops.cond(
                third, lambda: self.odd * 2.0, lambda: self.odd * 1.0
            )

        is_even = ops.equal(ops.mod(self.steps, 2), 0)
        result = ops.cond(is_even, even, odd)
        ops.cond(is_even, lambda: None, lambda: self.even.assign(-x))
        self.steps.assign_add(1)
        return {"result": result}


def test_what_branches_change():
    x = torch.tensor([1.0, 2.0])
    eager, recorded = Counts(), Counts()
    with torch.no_grad():
        logs, program = torch_program.record(recorded, recorded.variables, x)
        assert isinstance(program, torch_program.Program), program
        for i in range(7):
            logs = program(x) if i else logs
            expected = eager(x)
            assert logs["result"].tolist() == expected["result"].tolist()
            for a, b in zip(eager.variables, recorded.variables):
                assert a.value.tolist() == b.value.tolist()


def test_noise_in_a_branch_is_not_recorded():
    """A replay could not know how many draws came before the next one."""
    seed = keras.random.SeedGenerator(3)
    total = keras.Variable(0.0)

    def step(x):
        noise = ops.cond(
            ops.sum(x) > 0,
            lambda: keras.random.normal((), seed=seed),
            lambda: 0.0 * ops.sum(x),
        )
        total.assign_add(noise)
        return {"noise": noise}

    x = torch.ones(2)
    with torch.no_grad():
        _, error = torch_program.record(step, [total, seed.state], -x)
    assert "draws noise in one of two branches" in str(error)
    assert float(total.value) == 0.0
    assert seed.state.value.tolist() == [3, 0]


def record_loop(add):
    """Adds to a number until Python reads that it is 3."""
    total = keras.Variable(0.0)

    def step(x):
        n = torch.tensor(0.0)
        while float(n) < 3.0:
            n = add(n, x)
            total.assign_add(ops.sum(x))
        return {"total": total.value}

    x = torch.tensor([1.0, 0.0])
    with torch.no_grad():
        _, program = torch_program.record(step, [total], x)
    return total, program, x


def test_constants_may_be_read():
    total, program, x = record_loop(lambda n, x: n + 1.0)
    assert float(total.value) == 3.0
    program(2 * x)
    assert float(total.value) == 9.0


@pytest.mark.parametrize(
    "add",
    [
        lambda n, x: n + x.sum(),
        lambda n, x: n.add_(x.sum()),
        lambda n, x: (n.view(1).add_(x.sum()), n)[1],
        lambda n, x: n + x.detach().numpy().sum(),
        lambda n, x: n + torch.ones_like(x).bernoulli_(1.0).mean(),
    ],
    ids=["data", "in place", "through a view", "numpy", "noise"],
)
def test_what_may_change_may_not_be_read(add):
    total, error, _ = record_loop(add)
    assert float(total.value) == 3.0
    assert "It reads the value of a tensor" in str(error)
