"""Perceptrons: shapes, initial weights, seeds, saving."""

from itertools import pairwise

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_monoflow.networks import mlp_discriminator, mlp_generator


def dense_layers(model):
    return [x for x in model.layers if isinstance(x, keras.layers.Dense)]


def forward(model, x, slope):
    """Recompute the network with NumPy."""
    weights = model.get_weights()
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2]):
        x = x @ kernel + bias
        x = np.where(x > 0, x, slope * x)
    return x @ weights[-2] + weights[-1]


@settings(max_examples=15)
@given(
    latent_dim=st.integers(1, 9),
    output_dim=st.integers(1, 9),
    units=st.lists(st.integers(1, 9), max_size=4),
    slope=st.floats(0.0, 0.9),
)
def test_generator_is_the_formula(latent_dim, output_dim, units, slope):
    model = mlp_generator(latent_dim, output_dim, units, slope, seed=0)
    z = np.random.default_rng(0).normal(size=(5, latent_dim)).astype("float32")
    out = keras.ops.convert_to_numpy(model(z))
    assert out.shape == (5, output_dim)
    np.testing.assert_allclose(out, forward(model, z, slope), atol=1e-5)
    sizes = [latent_dim, *units, output_dim]
    expected = sum((a + 1) * b for a, b in pairwise(sizes))
    assert model.count_params() == expected


def test_discriminator_is_the_formula():
    model = mlp_discriminator(3, units=(8, 4), seed=0)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    out = keras.ops.convert_to_numpy(model(x))
    assert out.shape == (5, 1)
    np.testing.assert_allclose(out, forward(model, x, 0.2), atol=1e-5)


def test_defaults():
    generator, discriminator = mlp_generator(2, 3), mlp_discriminator(2)
    assert [d.units for d in dense_layers(generator)] == [64, 64, 64, 3]
    assert [d.units for d in dense_layers(discriminator)] == [64, 64, 64, 1]
    assert generator.name == "generator"
    assert discriminator.name == "discriminator"
    assert generator.built
    assert generator.input_shape == (None, 2)
    assert generator.output_shape == (None, 3)


def test_weights_and_biases_are_uniform_in_the_torch_range():
    model = mlp_generator(4, 400, units=(400, 400), seed=0)
    fan_ins = [4, 400, 400]
    for layer, fan_in in zip(dense_layers(model), fan_ins):
        bound = fan_in**-0.5
        for values in layer.get_weights():
            assert np.abs(values).max() <= bound
            # A uniform law has the standard deviation bound / sqrt(3).
            np.testing.assert_allclose(values.std(), bound / 3**0.5, rtol=0.1)
            assert abs(values.mean()) < 0.15 * bound
            assert np.abs(values).max() > 0.95 * bound


def test_seed():
    first, again = (mlp_generator(2, 2, seed=1).get_weights() for _ in range(2))
    other = mlp_generator(2, 2, seed=2).get_weights()
    for a, b, c in zip(first, again, other):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


def test_no_two_layers_share_their_weights():
    models = mlp_generator(64, 64, seed=0), mlp_discriminator(64, seed=0)
    weights = [w for model in models for w in model.get_weights()]
    for i, one in enumerate(weights):
        for other in weights[:i]:
            if one.shape == other.shape:
                assert not np.array_equal(one, other)


def test_without_a_seed_the_global_one_counts():
    keras.utils.set_random_seed(5)
    first, second = mlp_generator(2, 2), mlp_generator(2, 2)
    assert not np.array_equal(first.get_weights()[0], second.get_weights()[0])
    keras.utils.set_random_seed(5)
    again = mlp_generator(2, 2)
    np.testing.assert_array_equal(
        first.get_weights()[0], again.get_weights()[0]
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_outputs_are_float32_under_mixed_policies(policy):
    keras.config.set_dtype_policy(policy)
    for model in (mlp_generator(2, 2), mlp_discriminator(2)):
        out = model(np.zeros((3, 2), "float32"))
        assert keras.backend.standardize_dtype(out.dtype) == "float32"
        assert dense_layers(model)[0].compute_dtype == policy[6:]


def test_round_trip(tmp_path):
    model = mlp_generator(2, 2, seed=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    z = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    np.testing.assert_array_equal(
        model.predict(z, verbose=0), loaded.predict(z, verbose=0)
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: mlp_generator(0, 2), r"`latent_dim` .* latent_dim=0"),
        (lambda: mlp_generator(2, -1), r"`output_dim` .* output_dim=-1"),
        (lambda: mlp_generator(2, 2, (8, 0)), r"`units` .* units=0"),
        (lambda: mlp_generator(2, 2, seed=-3), r"`seed` .* seed=-3"),
        (lambda: mlp_discriminator(0), r"`input_dim` .* input_dim=0"),
    ],
)
def test_values_out_of_range(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_wrong_types():
    with pytest.raises(TypeError, match=r"`output_dim` .* output_dim=\(2,\)"):
        mlp_generator(2, (2,))
    with pytest.raises(TypeError, match=r"`units` .* units=8\.0"):
        mlp_generator(2, 2, units=(8.0,))
    with pytest.raises(TypeError, match=r"`units` must .* units=8$"):
        mlp_discriminator(2, units=8)


def test_labels_change_no_hidden_weights_of_a_discriminator():
    plain, seeing = (
        mlp_discriminator(2, units=(8, 4), classes=classes, seed=0)
        for classes in (None, 3)
    )
    for a, b in zip(plain.get_weights()[:4], seeing.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_sizes_with_labels():
    generator = mlp_generator(2, 3, units=(8,), classes=5)
    assert generator.input_shape == [(None, 2), (None,)]
    assert generator.count_params() == 5 * 5 + (2 + 5 + 1) * 8 + 9 * 3
    discriminator = mlp_discriminator(2, units=(8,), classes=5)
    assert discriminator.input_shape == [(None, 2), (None,)]
    assert discriminator.count_params() == 3 * 8 + 9 + 5 * 8
