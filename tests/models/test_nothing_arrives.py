"""What cannot learn is noticed before or in the first epoch."""

import warnings

import keras
import numpy as np
import pytest
from helpers import ROLES, make_flow, make_networks, make_uncompiled
from keras import layers, ops

import keras_monoflow as kmf


class Choose(layers.Layer):
    def call(self, x):
        return ops.one_hot(ops.argmax(x, -1), 4)


def network(inputs, *stack):
    return keras.Sequential([layers.Input(inputs), *stack])


def compiled(generator, discriminator, **arguments):
    gan = kmf.MonoFlowGAN(generator, discriminator, seed=0)
    defaults = {
        "generator_optimizer": keras.optimizers.SGD(0.1),
        "discriminator_optimizer": keras.optimizers.SGD(0.1),
    }
    gan.compile(**{**defaults, **arguments})
    return gan


def warnings_of(gan, x, **arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if not isinstance(x, keras.utils.PyDataset):
            arguments["batch_size"] = 8
        gan.fit(x, verbose=0, **arguments)
    return [
        str(w.message)
        for w in caught
        if "since training began" in str(w.message)
    ]


def test_a_discriminator_that_begins_with_an_embedding(rng):
    gan = compiled(
        network((3,), layers.Dense(5)),
        network(
            (5,), layers.Embedding(10, 2), layers.Flatten(), layers.Dense(1)
        ),
    )
    x = rng.integers(0, 10, size=(16, 5)).astype("float32")
    (message,) = warnings_of(gan, x)
    assert message.startswith("The samples have not moved")
    assert "Embedding" in message
    assert warnings_of(gan, x) == []  # once is enough


@pytest.mark.parametrize("warmup", [0, 2])
def test_a_generator_that_chooses(warmup, rng):
    gan = compiled(
        network((3,), layers.Dense(8), layers.Reshape((2, 4)), Choose()),
        network((2, 4), layers.Flatten(), layers.Dense(1)),
        discriminator_warmup=warmup,
    )
    x = np.eye(4, dtype="float32")[rng.integers(0, 4, size=(32, 2))]
    (message,) = warnings_of(gan, x)
    assert message.startswith("No weight of the generator has changed")
    assert "argmax" in message


@pytest.mark.parametrize("flow", ["monoflow", "w1fe", "w2fe", "particles"])
def test_what_learns_gives_no_warning(flow, data):
    assert warnings_of(make_flow(flow), data) == []


def test_what_starts_at_zero_gives_no_warning(data):
    """Neither a discriminator nor a rate that begins with zeros."""
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, 100, warmup_target=0.1, warmup_steps=10
    )
    gan = compiled(
        network((2,), layers.Dense(2)),
        network((2,), layers.Dense(1, kernel_initializer="zeros")),
        generator_optimizer=keras.optimizers.SGD(schedule),
    )
    assert warnings_of(gan, data) == []


def test_one_network_for_two():
    generator, discriminator = make_networks()
    same = network((2,), layers.Dense(2), layers.Dense(1), layers.Dense(2))
    with pytest.raises(ValueError, match="`generator` and `discriminator`"):
        kmf.MonoFlowGAN(same, same)
    with pytest.raises(ValueError, match="`potential` and `conjugate`"):
        kmf.W2FE(generator, discriminator, discriminator)


@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_a_frozen_network(role, data):
    gan = compiled(*make_networks())
    getattr(gan, role).trainable = False
    with pytest.raises(ValueError, match=f"`{role}.trainable = True`"):
        gan.fit(data, verbose=0)


@pytest.mark.parametrize("flow", ["monoflow", "w1fe", "w2fe"])
def test_a_frozen_generator_is_judged(flow, data):
    """As long as the discriminator learns alone, and as one that is not frozen
    would be."""
    batches = kmf.datasets.ShuffledDataset(data, batch_size=8, seed=0)
    role = ROLES[flow]
    arguments = {f"{role}_warmup": len(batches), f"{role}_optimizer": "sgd"}
    judges = []
    for frozen in (True, False):
        keras.utils.set_random_seed(0)
        model = make_uncompiled(flow)
        before = model.generator.get_weights()
        model.generator.trainable = not frozen
        model.compile("sgd", **arguments)
        assert warnings_of(model, batches) == []
        for old, new in zip(before, model.generator.get_weights()):
            np.testing.assert_array_equal(old, new)
        judges.append(model.discriminator.get_weights())
        if frozen:
            with pytest.raises(ValueError, match="`generator` has no train"):
                model.fit(batches, verbose=0)
    for ours, theirs in zip(*judges):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_frozen_generator_that_is_trained_on(epochs, data):
    generator, discriminator = make_networks()
    generator.trainable = False
    gan = compiled(
        generator, discriminator, discriminator_warmup=8 * epochs - 1
    )
    (message,) = warnings_of(gan, data, epochs=2)
    assert message.startswith("The generator has not learned")


def test_a_discriminator_that_ends_in_a_sigmoid():
    generator, _ = make_networks()
    for end in (
        [layers.Dense(1, "sigmoid")],
        [layers.Dense(1), layers.Activation("sigmoid")],
    ):
        with pytest.warns(UserWarning, match="`discriminator` ends in a sig"):
            kmf.MonoFlowGAN(generator, network((2,), *end))
    with pytest.raises(ValueError, match="softmax over one number"):
        kmf.W1FE(generator, network((2,), layers.Dense(1, "softmax")))


class Called(keras.Model):
    """A subclassed network, of which Keras knows no shapes."""

    def __init__(self, units, **arguments):
        super().__init__(**arguments)
        self.dense = layers.Dense(units)

    def call(self, inputs):
        if isinstance(inputs, (list, tuple)):
            inputs = ops.concatenate(inputs, axis=-1)
        return self.dense(inputs)


@pytest.mark.slow
@pytest.mark.parametrize("conditional", [False, True])
def test_subclassed_networks_that_were_called_once(conditional, data):
    def called(units, inputs):
        made = Called(units)
        x = np.zeros((1, inputs), "float32")
        made([x, np.zeros((1, 4), "float32")] if conditional else x)
        return made

    gan = compiled(called(2, 3), called(1, 2))
    assert gan.latent_shape == (3,)
    assert gan.conditional == conditional
    labels = np.eye(4, dtype="float32")[np.arange(len(data)) % 4]
    before = gan.generator.get_weights()[0]
    gan.fit(data, labels if conditional else None, batch_size=32, verbose=0)
    assert np.abs(gan.generator.get_weights()[0] - before).max() > 0
