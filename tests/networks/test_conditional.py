"""Networks that see labels, and the layers they are made of."""

import keras
import numpy as np
import pytest
from helpers import numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from training_passes import make_passes

from keras_monoflow import gradients
from keras_monoflow.networks import (
    ConditionalBatchNormalization,
    LabelEmbedding,
    ProjectionOutput,
    dcgan_discriminator,
    dcgan_generator,
    mlp_discriminator,
    mlp_generator,
    resnet_discriminator,
    resnet_generator,
)

IMAGES = {"image_shape": (4, 4, 1), "filters": 3, "stages": 1}
GENERATORS = {
    "mlp": lambda **k: mlp_generator(2, 2, units=(8,), **k),
    "dcgan": lambda **k: dcgan_generator(2, **IMAGES, **k),
    "resnet": lambda **k: resnet_generator(2, **IMAGES, **k),
    "resnet_plain": lambda **k: resnet_generator(
        2, batch_norm=False, **IMAGES, **k
    ),
}
DISCRIMINATORS = {
    "mlp": lambda **k: mlp_discriminator(2, units=(8,), **k),
    "dcgan": lambda **k: dcgan_discriminator(**IMAGES, **k),
    "resnet": lambda **k: resnet_discriminator(**IMAGES, **k),
    "resnet_spectral": lambda **k: resnet_discriminator(
        spectral_normalization=True, **IMAGES, **k
    ),
}
NETWORKS = [*GENERATORS.values(), *DISCRIMINATORS.values()]
NAMES = [f"{n}_generator" for n in GENERATORS]
NAMES += [f"{n}_discriminator" for n in DISCRIMINATORS]
FAST = ["mlp_generator", "resnet_discriminator"]
every_network = pytest.mark.parametrize(
    "build",
    [
        pytest.param(n, marks=[] if name in FAST else [pytest.mark.slow])
        for n, name in zip(NETWORKS, NAMES)
    ],
    ids=NAMES,
)


def one_point(model, n):
    """The same latent vector or sample `n` times."""
    shape = model.input_shape[0][1:]
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    return np.repeat(x[None], n, axis=0)


def set_random_weights(layer, rng):
    """Variances must be positive; all else may be anything."""
    layer.set_weights(
        [
            0.5 + rng.random(w.shape)
            if "variance" in w.name
            else 0.5 * rng.normal(size=w.shape)
            for w in layer.weights
        ]
    )


# ------------------------------------------------------------ label embedding


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_embedding_takes_rows(dtype):
    layer = LabelEmbedding(4, 3)
    labels = np.array([0, 3, 1, 3], dtype)
    out = numpy(layer(labels))
    (matrix,) = layer.get_weights()
    assert matrix.shape == (4, 3)
    np.testing.assert_allclose(out, matrix[labels], rtol=1e-6)


def test_embedding_starts_from_the_standard_normal_law():
    layer = LabelEmbedding(100, 100)
    layer.build((None,))
    (matrix,) = layer.get_weights()
    assert abs(matrix.mean()) < 0.05
    assert abs(matrix.std() - 1) < 0.05


def test_labels_out_of_range_give_nan():
    """In their rows only, and on every backend."""
    out = numpy(LabelEmbedding(3, 2)(np.array([0, 3, 2, -1, 1])))
    np.testing.assert_array_equal(
        np.isnan(out).all(axis=1), [False, True, False, True, False]
    )
    np.testing.assert_array_equal(np.isnan(out[:, 0]), np.isnan(out[:, 1]))


def test_embedding_has_dense_gradients():
    layer = LabelEmbedding(4, 2)
    layer.build((None,))
    labels = np.array([2, 0, 2, 2])
    _, (gradient,) = gradients.value_and_grad(
        lambda: keras.ops.sum(layer(labels)), layer.trainable_variables
    )
    counts = np.array([1, 0, 3, 0])
    np.testing.assert_allclose(
        numpy(gradient), np.stack([counts, counts], axis=1)
    )


# ----------------------------------------------------------------- projection


@pytest.mark.slow
@settings(max_examples=10)
@given(
    classes=st.integers(1, 5),
    features=st.integers(1, 6),
    use_bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_projection_is_the_formula(classes, features, use_bias, seed):
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(7, features)).astype("float32")
    y = rng.integers(classes, size=7)
    layer = ProjectionOutput(classes, use_bias=use_bias)
    layer.build([(None, features), (None,)])
    set_random_weights(layer, rng)
    w, v = layer.linear.kernel, layer.embedding.kernel
    expected = h @ numpy(w)[:, 0] + np.sum(numpy(v)[y] * h, axis=1)
    if use_bias:
        expected = expected + numpy(layer.linear.bias)
    out = numpy(layer([h, y]))
    np.testing.assert_allclose(out, expected[:, None], atol=1e-4)


@pytest.mark.slow
def test_gradients_of_the_projection_and_of_its_gradient():
    """With no hidden layer the gradient at x is w + v_y, by hand."""
    model = mlp_discriminator(3, units=(), classes=3, seed=0)
    layer = model.layers[-1]
    w, v = numpy(layer.linear.kernel)[:, 0], numpy(layer.embedding.kernel)
    y = np.array([0, 2, 0, 0])
    x, labels = map(keras.ops.convert_to_tensor, (one_point(model, 4), y))

    def gradient():
        return gradients.input_gradient(lambda x: model([x, labels]), x)

    np.testing.assert_allclose(numpy(gradient()), w + v[y], rtol=1e-5)
    _, (second,) = gradients.value_and_grad(
        lambda: keras.ops.sum(gradient() ** 2) / 2, [layer.embedding.kernel]
    )
    counts = np.array([[3], [0], [1]])
    np.testing.assert_allclose(numpy(second), counts * (w + v), atol=1e-5)


def test_projection_divides_both_spectra():
    layer = ProjectionOutput(3, spectral_normalization=True)
    inputs = [keras.Input((5,)), keras.Input((), dtype="int32")]
    model = keras.Model(inputs, layer(inputs))
    rng = np.random.default_rng(0)
    set_random_weights(model, rng)
    h = rng.normal(size=(4, 5)).astype("float32")
    y = np.array([0, 1, 2, 0])
    make_passes(model, [h, y], 60)
    w, v = layer.linear.layer.kernel, layer.embedding.layer.kernel
    for kernel in (w, v):
        largest = np.linalg.svd(numpy(kernel), compute_uv=False)[0]
        assert abs(largest - 1) < 1e-3
    expected = h @ numpy(w)[:, 0] + np.sum(numpy(v)[y] * h, axis=1)
    expected = expected + numpy(layer.linear.layer.bias)
    np.testing.assert_allclose(numpy(layer([h, y]))[:, 0], expected, atol=1e-4)


# ------------------------------------------- conditional batch normalization


def numpy_batch_norm(x, y, layer, mean, variance):
    scale, offset = numpy(layer.scale.embeddings), layer.offset.embeddings
    normal = (x - mean) / np.sqrt(variance + layer.epsilon)
    rows = (len(x), *(1,) * (x.ndim - 2), x.shape[-1])
    return normal * scale[y].reshape(rows) + numpy(offset)[y].reshape(rows)


@pytest.mark.parametrize("shape", [(6, 3), (6, 2, 5, 3)])
def test_conditional_batch_norm(shape, rng):
    layer = ConditionalBatchNormalization(4, momentum=0.8, epsilon=1e-3)
    layer.build([(None, *shape[1:]), (None,)])
    for table in (layer.scale, layer.offset):
        set_random_weights(table, rng)
    x = (3 + 2 * rng.normal(size=shape)).astype("float32")
    y = np.array([0, 1, 3, 3, 2, 0])
    axes = tuple(range(len(shape) - 1))
    mean, variance = x.mean(axis=axes), x.var(axis=axes)
    np.testing.assert_allclose(
        numpy(layer([x, y])), numpy_batch_norm(x, y, layer, 0, 1), atol=1e-4
    )
    np.testing.assert_allclose(
        numpy(layer([x, y], training=True)),
        numpy_batch_norm(x, y, layer, mean, variance),
        atol=1e-4,
    )
    # The moving statistics have been updated once, from 0 and 1.
    moving = 0.2 * mean, 0.8 + 0.2 * variance
    norm = layer.normalization
    for value, expected in zip(
        (norm.moving_mean, norm.moving_variance), moving
    ):
        np.testing.assert_allclose(numpy(value), expected, rtol=1e-4)
    np.testing.assert_allclose(
        numpy(layer([x, y])), numpy_batch_norm(x, y, layer, *moving), atol=1e-4
    )


def test_conditional_batch_norm_starts_as_a_plain_one(rng):
    x = rng.normal(size=(5, 4)).astype("float32")
    plain = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    out = ConditionalBatchNormalization(2)([x, np.zeros(5, int)], training=True)
    expected = plain(x, training=True)
    np.testing.assert_allclose(numpy(out), numpy(expected), atol=1e-5)


def test_conditional_batch_norm_in_half_precision():
    """Moments are taken in float32: these squares overflow float16."""
    x = np.array([[-600.0], [600.0]], "float16")
    layer = ConditionalBatchNormalization(2, dtype="mixed_float16")
    out = layer([x, np.array([0, 1])], training=True)
    assert keras.backend.standardize_dtype(out.dtype) == "float16"
    np.testing.assert_allclose(numpy(out), [[-1.0], [1.0]], atol=1e-3)


# -------------------------------------------------------- layers: all of them

LAYERS = {
    "embedding": lambda: LabelEmbedding(3, 2, "glorot_normal", name="e"),
    "projection": lambda: ProjectionOutput(
        3, use_bias=False, spectral_normalization=True, name="p"
    ),
    "batch_norm": lambda: ConditionalBatchNormalization(
        3, 0.5, 1e-2, "random_normal", "random_normal", name="b"
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_round_trip(name, tmp_path):
    x, labels = keras.Input((4,)), keras.Input((), dtype="int32")
    layer = LAYERS[name]()
    inputs = labels if name == "embedding" else [x, labels]
    model = keras.Model([x, labels], layer(inputs))
    set_random_weights(model, np.random.default_rng(0))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer(layer.name).get_config() == layer.get_config()
    batch = [one_point(model, 3), np.arange(3)]
    np.testing.assert_array_equal(
        model.predict(batch, verbose=0), loaded.predict(batch, verbose=0)
    )


@pytest.mark.parametrize("name", LAYERS)
def test_layers_refuse_other_labels(name):
    def call(labels):
        x = keras.Input((4,))
        return LAYERS[name]()(labels if name == "embedding" else [x, labels])

    message = r"labels of shape \(None, 1\)\. Make their input with `keras"
    with pytest.raises(ValueError, match=message):
        call(keras.Input((1,), dtype="int32"))
    with pytest.raises(TypeError, match="labels of dtype float32"):
        call(keras.Input(()))


@pytest.mark.parametrize("name", ["projection", "batch_norm"])
def test_layers_of_two_inputs_refuse_one(name):
    with pytest.raises(ValueError, match=r"on a list `\[.*, labels\]`"):
        LAYERS[name]()(keras.Input((4,)))


def test_projection_refuses_images():
    x, labels = keras.Input((4, 4, 1)), keras.Input((), dtype="int32")
    with pytest.raises(ValueError, match=r"shape \(None, 4, 4, 1\)\. Flatten"):
        ProjectionOutput(3)([x, labels])


@pytest.mark.parametrize(
    "layer",
    [
        lambda classes: LabelEmbedding(classes, 2),
        ProjectionOutput,
        ConditionalBatchNormalization,
        lambda classes: mlp_generator(2, 2, classes=classes),
        lambda classes: mlp_discriminator(2, classes=classes),
        lambda classes: dcgan_generator(classes=classes),
        lambda classes: dcgan_discriminator(classes=classes),
        lambda classes: resnet_generator(classes=classes),
        lambda classes: resnet_discriminator(classes=classes),
    ],
)
def test_bad_numbers_of_classes(layer):
    with pytest.raises(ValueError, match=r"`classes` .* classes=0"):
        layer(0)
    with pytest.raises(TypeError, match=r"`classes` .* classes=2\.0"):
        layer(2.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"momentum": 1.5}, r"`momentum` .*=1\.5"),
        ({"epsilon": -1.0}, "`epsilon`"),
    ],
)
def test_bad_numbers_of_normalization(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConditionalBatchNormalization(3, **arguments)


# ------------------------------------------------------------- whole networks


def numpy_hidden(x, weights):
    """One hidden layer of eight units."""
    x = x @ weights[0] + weights[1]
    return np.where(x > 0, x, 0.2 * x)


@pytest.mark.slow
def test_mlp_generator_sees_the_embedding_after_the_latents(rng):
    model = mlp_generator(2, 3, units=(8,), classes=5, seed=0)
    embedding, *weights = model.get_weights()
    assert embedding.shape == (5, 5)
    z, y = rng.normal(size=(4, 2)).astype("float32"), np.array([4, 0, 1, 4])
    x = numpy_hidden(np.concatenate([z, embedding[y]], axis=1), weights)
    expected = x @ weights[2] + weights[3]
    np.testing.assert_allclose(numpy(model([z, y])), expected, atol=1e-5)


def test_embeddings_have_64_numbers_at_most():
    model = mlp_generator(2, 2, units=(8,), classes=100)
    assert model.get_weights()[0].shape == (100, 64)


def test_mlp_discriminator_projects_the_hidden_units(rng):
    model = mlp_discriminator(2, units=(8,), classes=5, seed=0)
    kernel, bias, w, b, v = model.get_weights()
    for array in (w, b, v):
        assert np.abs(array).max() <= 8**-0.5
        assert np.abs(array).max() > 0
    x, y = rng.normal(size=(4, 2)).astype("float32"), np.array([4, 0, 1, 4])
    h = numpy_hidden(x, [kernel, bias])
    expected = h @ w + b + np.sum(v[y] * h, axis=1, keepdims=True)
    np.testing.assert_allclose(numpy(model([x, y])), expected, atol=1e-5)


@pytest.mark.slow
@every_network
def test_every_class_gives_another_output(build):
    model = build(classes=3, seed=0)
    assert [s[0] for s in model.input_shape] == [None, None]
    assert model.input_shape[1] == (None,)
    set_random_weights(model, np.random.default_rng(1))
    labels = np.array([0, 1, 2, 1])
    out = numpy(model([one_point(model, 4), labels])).reshape(4, -1)
    np.testing.assert_allclose(out[1], out[3], rtol=1e-5)
    for i in range(3):
        for j in range(i):
            assert np.abs(out[i] - out[j]).max() > 1e-4


@pytest.mark.slow
@every_network
def test_labels_out_of_range_show(build):
    model = build(classes=3)
    out = numpy(model([one_point(model, 3), np.array([0, 3, 2])]))
    nan = np.isnan(out.reshape(3, -1)).any(axis=1)
    np.testing.assert_array_equal(nan, [False, True, False])


@every_network
def test_labels_may_be_a_column(build):
    model = build(classes=3)
    x, y = one_point(model, 3), np.array([0, 2, 1])
    for labels in (y[:, None], y.astype("int64"), y.astype("uint8")):
        np.testing.assert_array_equal(
            numpy(model([x, labels])), numpy(model([x, y]))
        )


@pytest.mark.slow
@every_network
def test_gradients_reach_all_weights(build):
    """And all classes: no row of a matrix of labels is left out."""
    model = build(classes=3, seed=0)
    set_random_weights(model, np.random.default_rng(1))
    rng = np.random.default_rng(0)
    y = np.arange(9) % 3
    x = rng.normal(size=(9, *model.input_shape[0][1:])).astype("float32")
    weights = keras.ops.convert_to_tensor(
        rng.normal(size=(9, *model.output_shape[1:])), "float32"
    )
    _, grads = gradients.value_and_grad(
        lambda: keras.ops.sum(model([x, y], training=True) * weights),
        model.trainable_variables,
    )
    assert len(grads) == len(model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, grads):
        gradient = np.abs(numpy(gradient))
        assert gradient.max() > 1e-4, variable.path
        if "embedding" in variable.path:
            assert (gradient.max(axis=1) > 1e-5).all(), variable.path


@every_network
def test_round_trip_and_seed(build, tmp_path):
    model, again = build(classes=3, seed=4), build(classes=3, seed=4)
    for a, b in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(a, b)
    other = build(classes=3, seed=5).get_weights()
    assert not np.array_equal(model.get_weights()[0], other[0])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.input_shape == model.input_shape
    batch = [one_point(model, 3), np.arange(3)]
    np.testing.assert_array_equal(
        model.predict(batch, verbose=0), loaded.predict(batch, verbose=0)
    )


@pytest.mark.slow
@every_network
def test_outputs_are_float32_under_mixed_policies(build):
    keras.config.set_dtype_policy("mixed_float16")
    model = build(classes=3)
    out = model([one_point(model, 3), np.arange(3)], training=True)
    assert keras.backend.standardize_dtype(out.dtype) == "float32"
    assert np.isfinite(numpy(out)).all()
    assert any(x.compute_dtype == "float16" for x in model._flatten_layers())


@every_network
def test_without_classes_there_are_no_labels(build):
    model = build()
    assert isinstance(model.input_shape, tuple)


@pytest.mark.parametrize("copied", ["cloned", "loaded"])
@pytest.mark.parametrize(
    "layer",
    [
        lambda: ConditionalBatchNormalization(3),
        lambda: ProjectionOutput(3, spectral_normalization=True),
    ],
)
def test_what_is_frozen_stays_frozen(layer, copied, rng, tmp_path):
    x, labels = keras.Input((4,)), keras.Input((), dtype="int32")
    model = keras.Model([x, labels], layer()([x, labels]))
    model.trainable = False
    if copied == "cloned":
        other = keras.models.clone_model(model)
        other.set_weights(model.get_weights())
    else:
        model.save(tmp_path / "model.keras")
        other = keras.saving.load_model(tmp_path / "model.keras")
    batch = [
        rng.normal(3.0, size=(8, 4)).astype("float32"),
        np.arange(8, dtype="int32") % 3,
    ]
    for _ in range(2):
        outputs = [numpy(m(batch, training=True)) for m in (model, other)]
        np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-6)
    for same in other.layers[-1]._flatten_layers():
        assert not same.trainable, same.name
