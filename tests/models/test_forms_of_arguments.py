"""Forms of arguments that Keras users know, beside the usual ones."""

import inspect

import keras
import numpy as np
import pytest
from helpers import ROLES, make_flow, make_uncompiled, tanh_network

import keras_monoflow as kmf


def make_gan(rng, **arguments):
    gan = kmf.MonoFlowGAN(
        tanh_network(rng, 2), tanh_network(rng, 1), seed=0, **arguments
    )
    gan.compile("sgd", "sgd")
    return gan


def test_a_prior_of_batches_is_that_of_their_rows(rng):
    rows = np.float32(rng.normal(size=(10, 2)))
    batches = [rows[:4], (rows[4:8],), keras.ops.convert_to_tensor(rows[8:])]
    latent = make_gan(rng, prior=batches).sample_latent(50, seed=1)
    np.testing.assert_array_equal(
        latent, make_gan(rng, prior=rows).sample_latent(50, seed=1)
    )


def test_a_list_of_callbacks_of_keras(rng):
    """`fit` puts its own before those that are in a `CallbackList`."""
    x = np.float32(rng.normal(size=(16, 2)))
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(
            logs["val_wasserstein_distance"]
        )
    )
    gan = make_gan(rng)
    metric = kmf.callbacks.DistributionMetrics("wasserstein_distance", real=x)
    callbacks = keras.callbacks.CallbackList(
        [look, metric], add_history=True, model=gan
    )
    gan.fit(x, batch_size=8, epochs=2, verbose=0, callbacks=callbacks)
    assert len(seen) == 2
    assert np.isfinite(seen).all()


def test_no_samples_at_all(rng):
    gan = make_gan(rng)
    x = np.zeros((0, 2), "float32")
    for method in (gan.fit, gan.evaluate, gan.calibrate):
        with pytest.raises(ValueError, match=r"shape \(0, 2\)"):
            method(x)
    assert gan.velocity(x).shape == gan.refine(x).shape == (0, 2)
    assert gan.refine(x, space="latent").shape == (0, 2)
    assert gan.log_ratio(x).shape == (0,)


def test_a_mapping_of_one_ratio_at_a_time(rng):
    gan = make_gan(rng)
    for mapping in (
        lambda u: u + keras.ops.mean(u),
        lambda u: u - keras.ops.max(u),
        lambda u: u / keras.ops.std(u),
    ):
        with pytest.raises(ValueError, match="depends on the others"):
            gan.compile("sgd", "sgd", mapping=mapping)


def test_parts_of_as_many_rows():
    parts = {"numbers": np.zeros((4, 2)), "classes": np.zeros((5, 3))}
    with pytest.raises(ValueError, match=r"parts of \[4, 5\] rows"):
        kmf.datasets.ShuffledDataset(parts, batch_size=2)


def test_a_term_from_its_configuration(rng):
    term = kmf.terms.Reconstruction(weight=3.0)
    config = keras.saving.serialize_keras_object(term)
    (copy,) = kmf.terms.get([config])
    assert copy.weight == 3.0
    assert keras.saving.serialize_keras_object(copy) == config
    with pytest.raises(TypeError, match="`name` of Reconstruction"):
        kmf.terms.Reconstruction(name=3)


@pytest.mark.parametrize("flow", sorted(ROLES))
@pytest.mark.parametrize(
    "argument", ["augment", "generator_terms", "log_names", "potential", "foo"]
)
def test_arguments_that_compile_does_not_have(flow, argument):
    """What only some flows take, or none, is not dropped by the others."""
    known = inspect.signature(make_uncompiled(flow).compile).parameters
    if argument in known:
        return
    with pytest.raises(
        TypeError, match=f"compile has no argument `{argument}`"
    ):
        make_flow(flow, **{argument: [lambda x, seed: x]})
