"""Networks in any floating point type train, average, judge and are saved."""

import keras
import numpy as np
import pytest
from helpers import ROLES, make_networks, numpy, slow_except
from keras import layers

import keras_monoflow as kmf

#: The weights themselves are of this type. JAX has no float64 by default.
TYPES = ["float64", "float16", "bfloat16"]
OPTIMIZERS = [
    *["Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl"],
    *["Lamb", "Lion", "Muon", "Nadam", "RMSprop", "SGD"],
]
GANS = [flow for flow in ROLES if not flow.endswith("particles")]


def networks(dtype):
    def dense(units, activation=None, regularizer=None):
        return layers.Dense(
            units, activation, kernel_regularizer=regularizer, dtype=dtype
        )

    def discriminator():
        return keras.Sequential(
            [layers.Input((2,), dtype=dtype), dense(8, "tanh"), dense(1)]
        )

    generator = keras.Sequential(
        [
            layers.Input((2,), dtype=dtype),
            dense(8, "tanh", regularizer="l2"),
            layers.BatchNormalization(dtype=dtype),
            layers.ActivityRegularization(l2=0.1, dtype=dtype),
            dense(2),
        ]
    )
    return generator, discriminator(), discriminator()


def make(flow, dtype, **arguments):
    generator, discriminator, conjugate = networks(dtype)
    if flow == "monoflow":
        model = kmf.MonoFlowGAN(generator, discriminator, seed=1)
    elif flow == "w1fe":
        model = kmf.W1FE(generator, discriminator, seed=1)
    elif flow == "w2fe":
        model = kmf.W2FE(generator, discriminator, conjugate, seed=1)
    else:
        model = kmf.SampleFlow(generator, seed=1)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.9)
    rates = [keras.optimizers.SGD(0.05) for _ in model._networks()[:2]]
    model.compile(*rates, persistency=2, step_size=schedule, **arguments)
    return model


def assert_loaded_goes_on(model, x, batch_size, folder):
    """A saved model trains on to the weights of the one that was saved."""
    path = folder / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    for goes_on in (model, loaded):
        goes_on.fit(x, batch_size=batch_size, shuffle=False, verbose=0)
    for v, w in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(numpy(v), numpy(w))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("flow", slow_except(["w1fe"], GANS))
def test_every_precision(flow, dtype, rng, tmp_path):
    x = rng.normal(size=(16, 2))
    model = make(flow, dtype, ema=0.5)
    before = model.generator.get_weights()
    model.fit(x, batch_size=16, verbose=0)
    after, mean = (
        network.get_weights()
        for network in (model.generator, model.averaged_generator)
    )
    # The first average takes nine parts of ten of the new weights.
    for a, b, c in zip(before, after, mean, strict=True):
        a, b, c = (np.asarray(w, "float64") for w in (a, b, c))
        np.testing.assert_allclose(c, 0.1 * a + 0.9 * b, rtol=1e-2, atol=5e-3)
    assert all(
        np.isfinite(float(value)) for value in model.evaluate(x, verbose=0)
    )
    assert np.isfinite(np.asarray(model.velocity(x), "float64")).all()
    assert_loaded_goes_on(model, x, 16, tmp_path)


@pytest.mark.parametrize("name", slow_except(["Adam", "Nadam"], OPTIMIZERS))
def test_every_optimizer_goes_on_with_scaled_losses(name, rng, tmp_path):
    """Keras forgets a part of Nadam inside a `LossScaleOptimizer`."""
    keras.config.set_dtype_policy("mixed_float16")
    gan = kmf.MonoFlowGAN(*make_networks(), seed=1)
    gan.compile(*(getattr(keras.optimizers, name)(0.01) for _ in range(2)))
    x = rng.normal(size=(16, 2))
    gan.fit(x, batch_size=4, epochs=3, verbose=0)
    assert_loaded_goes_on(gan, x, 4, tmp_path)


def test_weights_too_coarse_for_adam():
    """In bfloat16 `beta_2 = 0.999` is 1, so that no weight moves."""
    x = np.zeros((16, 2))
    model = make("monoflow", "bfloat16")
    adam = keras.optimizers.Adam
    model.compile(adam(1e-3), adam(1e-3))
    with pytest.warns(UserWarning, match="mixed_bfloat16"):
        model.fit(x, batch_size=16, verbose=0)
