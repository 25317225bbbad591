"""What the optimizer of two networks refuses."""

import keras
import numpy as np
import pytest

import keras_monoflow as kmf
from keras_monoflow.optimizers import PairOptimizer


def pair(rate=1e-3):
    sgd = keras.optimizers.SGD
    return PairOptimizer(sgd(rate), sgd(2e-3))


def test_it_takes_no_step_itself():
    variable = keras.Variable(np.zeros(2, "float32"))
    optimizer = pair()
    with pytest.raises(ValueError, match="build_networks"):
        optimizer.build([variable])
    optimizer.build_networks([variable], [])
    with pytest.raises(ValueError, match="`generator` or its `discriminator`"):
        optimizer.apply([np.ones(2, "float32")], [variable])


def test_rates_keep_their_ratio():
    optimizer = pair()
    optimizer.learning_rate = 5e-4
    np.testing.assert_allclose(float(optimizer.generator.learning_rate), 5e-4)
    np.testing.assert_allclose(
        float(optimizer.discriminator.learning_rate), 1e-3, rtol=1e-6
    )
    with pytest.raises(ValueError, match="a positive one to start from"):
        pair(0.0).learning_rate = 1e-3


def test_two_networks_are_not_one():
    gan = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2), kmf.networks.mlp_discriminator(2)
    )
    with pytest.raises(ValueError, match="optimizer of one network"):
        gan.compile(pair(), "sgd")
