"""Bad input gets an error that names the argument and quotes the value."""

import warnings

import keras
import numpy as np
import pytest
from helpers import make_flow, make_gan, make_networks, slow_except
from keras import layers, ops

import keras_monoflow as kmf


def dense(inputs, outputs):
    return keras.Sequential([layers.Input((inputs,)), layers.Dense(outputs)])


@pytest.mark.parametrize(
    ("networks", "words"),
    [
        (
            lambda: (keras.Sequential([layers.Dense(2)]), dense(2, 1)),
            ["generator", "built", "keras.Input"],
        ),
        (
            lambda: (dense(2, 2), keras.Sequential([layers.Dense(1)])),
            ["discriminator", "built"],
        ),
        (
            lambda: (dense(2, 3), dense(2, 1)),
            ["generator", r"\(3,\)", "discriminator", r"\(2,\)"],
        ),
        (
            lambda: (dense(2, 2), dense(2, 5)),
            ["discriminator", r"\(None, 5\)", r"Dense\(1\)"],
        ),
        (lambda: ("mlp", dense(2, 1)), ["generator", "'mlp'"]),
    ],
)
def test_networks(networks, words):
    with pytest.raises((ValueError, TypeError)) as error:
        kmf.MonoFlowGAN(*networks())
    for word in words:
        error.match(word)


def test_a_prior_without_a_seed_is_told():
    with pytest.warns(UserWarning, match="same points for all seeds"):
        kmf.MonoFlowGAN(*make_networks(), prior=always_the_same)


def test_rows_of_a_list_are_a_prior():
    rows = [[0.0, 1.0], [2.0, 3.0]]
    gan = kmf.MonoFlowGAN(*make_networks(), prior=rows)
    drawn = gan.sample_latent(20, seed=0)
    assert {tuple(row) for row in drawn} == {tuple(row) for row in rows}


def test_flat_outputs_are_fine(data):
    discriminator = keras.Sequential(
        [layers.Input((2,)), layers.Dense(1), layers.Reshape(())]
    )
    gan = kmf.MonoFlowGAN(dense(2, 2), discriminator)
    gan.compile(
        generator_optimizer=keras.optimizers.SGD(),
        discriminator_optimizer=keras.optimizers.SGD(),
        penalty=kmf.penalties.R1(),
    )
    gan.fit(data, verbose=0)
    assert gan.velocity(data).shape == data.shape


def draws_by_numpy(shape, dtype=None, seed=None):
    return np.random.normal(size=shape).astype(dtype)


def always_the_same(shape, dtype=None, seed=None):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


@pytest.mark.parametrize(
    ("prior", "words"),
    [
        ("gaussian", ["prior", "'gaussian'", "normal", "uniform"]),
        (np.zeros((5, 3)), ["prior", r"\(5, 3\)", r"\(rows, 2"]),
        # (Not that many points at 0.)
        (64, ["prior", "array", "64"]),
        ([], ["prior", "empty"]),
        ({"a": 1}, ["prior", "name, a function, an array", "'a': 1"]),
        (draws_by_numpy, ["prior", "draw from its `seed`", "keras.random"]),
    ],
)
def test_prior(prior, words):
    with pytest.raises((ValueError, TypeError)) as error:
        kmf.MonoFlowGAN(*make_networks(), prior=prior)
    for word in words:
        error.match(word)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mapping": "vanila"}, ["mapping", "'vanila'", "'vanilla'"]),
        ({"mapping": lambda u: -u}, ["mapping", "strictly increasing", "-7"]),
        (
            {"discriminator_loss": "logistik"},
            ["discriminator_loss", "'logistik'", "Did you mean 'logistic'"],
        ),
        (
            {"discriminator_loss": "mse"},
            ["discriminator_loss", "least_squares"],
        ),
        (
            {"mapping": "arcsinh", "discriminator_loss": "matched"},
            ["dual", "Arcsinh", "'logistic'"],
        ),
        ({"discriminator_steps": 0}, ["discriminator_steps", "=0"]),
        ({"discriminator_steps": 2.5}, ["discriminator_steps", "2.5"]),
        ({"persistency": -1, "step_size": 0.1}, ["persistency", "-1"]),
        ({"persistency": 5}, ["step_size", "persistency=5"]),
        ({"step_size": 0.0}, ["step_size", "0.0"]),
        ({"step_size": float("nan")}, ["step_size", "nan"]),
        ({"step_size": "big"}, ["step_size", "'big'"]),
        ({"step_size": True}, ["step_size", "True"]),
        ({"ema": 1.5}, ["ema", "1.5"]),
        ({"discriminator_steps": True}, ["discriminator_steps", "True"]),
        ({"split_batch": "no"}, ["split_batch", "'no'"]),
        ({"normalize_velocity": 1}, ["normalize_velocity", "1"]),
        ({"reuse_generated": None}, ["reuse_generated", "None"]),
        ({"penalty": 10.0}, ["penalty", "10.0", "R1"]),
        ({"generator_optimizer": None}, ["generator_optimizer", "required"]),
        ({"loss": "mse"}, ["loss", "MonoFlowGAN"]),
        ({"metrics": ["accuracy"]}, ["metrics", "MonoFlowGAN"]),
    ],
)
def test_compile_arguments(arguments, words):
    with pytest.raises((ValueError, TypeError)) as error:
        make_gan(**arguments)
    for word in words:
        error.match(word)


@pytest.mark.parametrize(
    "make", [lambda: kmf.penalties.R1(0.0), lambda: kmf.penalties.R1(-2.0)]
)
def test_penalty_weights(make):
    with pytest.raises(ValueError, match="weight"):
        make()


def test_numbers_of_numpy_are_numbers(data):
    gan = make_gan(
        discriminator_steps=np.int64(1),
        persistency=np.int32(2),
        step_size=np.float32(0.25),
        ema=np.float64(0.9),
        split_batch=np.bool_(False),
    )
    gan.fit(data, batch_size=8, verbose=0)
    assert gan.current_step_size() == 0.25


def test_numbers_of_particles_are_no_particles():
    with pytest.raises(TypeError, match="particles=5"):
        kmf.ParticleFlow(dense(2, 1), particles=5)


def test_names_of_objectives_in_any_case(data):
    make_gan(mapping=None, discriminator_loss="Hinge").fit(
        data, batch_size=8, verbose=0
    )
    with pytest.raises(ValueError, match="W1FE"):
        make_gan(discriminator_loss="Wasserstein")


@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), ("a", TypeError)]
)
@pytest.mark.parametrize(
    "call",
    [
        lambda seed, x: make_gan(seed=seed),
        lambda seed, x: make_gan().sample(4, seed=seed),
        lambda seed, x: make_gan().sample_latent(4, seed=seed),
        lambda seed, x: make_gan().calibrate(x, seed=seed),
        lambda seed, x: make_gan().refine(x, seed=seed),
        lambda seed, x: make_flow("particles").sample(4, seed=seed),
        lambda seed, x: make_flow("particles").refine(x, seed=seed),
    ],
)
def test_seeds(call, seed, error, data):
    with pytest.raises(error, match=f"`seed` must be .*seed={seed!r}"):
        call(seed, data)


@pytest.mark.parametrize(
    "call",
    [
        lambda gan, x, y: gan.fit(x, y, verbose=0),
        lambda gan, x, y: gan.evaluate(x, y, verbose=0),
        lambda gan, x, y: gan.sample(len(y), labels=y),
        lambda gan, x, y: gan.log_ratio(x, y),
    ],
    ids=["fit", "evaluate", "sample", "log_ratio"],
)
def test_labels_of_more_than_32_bits(call, data):
    def network(size, outputs):
        x, y = keras.Input((size,)), keras.Input(())
        both = [x, ops.cast(ops.expand_dims(y, 1), "float32")]
        joined = layers.Concatenate()(both)
        return keras.Model([x, y], layers.Dense(outputs)(joined))

    gan = kmf.MonoFlowGAN(network(2, 2), network(2, 1))
    gan.compile("sgd", "sgd")
    labels = np.arange(len(data)) + 2**32
    with pytest.raises(ValueError, match="less than 2"):
        call(gan, data, labels)


def test_no_ratio_before_compile():
    assert not kmf.MonoFlowGAN(*make_networks()).estimates_ratio


def test_one_optimizer_for_two():
    adam = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="two objects"):
        make_gan(generator_optimizer=adam, discriminator_optimizer=adam)


def test_uncompiled_fit(data):
    gan = kmf.MonoFlowGAN(*make_networks())
    with pytest.raises(ValueError, match="`compile` of MonoFlowGAN"):
        gan.fit(data)


def test_data_of_another_shape():
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        make_gan().fit(np.zeros((8, 3)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_with_nan_in_the_first_batch(bad, data):
    data[3, 1] = bad
    with pytest.raises(ValueError, match=f"`x` has {bad}"):
        make_gan().fit(data, verbose=0)
    with pytest.raises(ValueError, match=f"`x` has {bad}"):
        make_gan().fit(kmf.datasets.ShuffledDataset(data, batch_size=64))


def test_streams_with_nan_in_the_first_batch(data):
    data[3, 1] = np.nan

    def batches():
        while True:
            yield (data,)

    with pytest.raises(ValueError, match="first batch gave"):
        make_gan().fit(batches(), steps_per_epoch=2, epochs=1, verbose=0)


def test_labels_for_an_unconditional_model(data):
    with pytest.raises(ValueError, match="unconditional"):
        make_gan().fit(data, np.zeros(len(data)), verbose=0)


def test_an_error_in_the_first_step_loses_no_weights(data):
    def labeled():
        while True:
            yield data, np.zeros(len(data))

    gan = make_gan()
    before = gan.get_weights()
    with pytest.raises(ValueError, match="unconditional"):
        gan.fit(labeled(), steps_per_epoch=2, verbose=0)
    for a, b in zip(before, gan.get_weights()):
        np.testing.assert_array_equal(a, b)
    gan.fit(data, verbose=0)


def test_batch_too_small_to_split(data):
    gan = make_gan(discriminator_steps=5, split_batch=True)
    with pytest.raises(ValueError, match=r"discriminator_steps=5.*batch_size"):
        gan.fit(data, batch_size=4, verbose=0)
    # A ragged last batch that is too small is found before training starts.
    before = gan.get_weights()
    with pytest.raises(ValueError, match="has 2 samples"):
        gan.fit(data[:34], batch_size=32, verbose=0)
    for a, b in zip(before, gan.get_weights()):
        np.testing.assert_array_equal(a, b)


def images_gan():
    generator = keras.Sequential(
        [layers.Input((2,)), layers.Dense(16), layers.Reshape((4, 4, 1))]
    )
    discriminator = keras.Sequential(
        [layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(1)]
    )
    gan = kmf.MonoFlowGAN(generator, discriminator)
    gan.compile(
        generator_optimizer=keras.optimizers.SGD(1e-6),
        discriminator_optimizer=keras.optimizers.SGD(1e-6),
    )
    return gan


@pytest.mark.slow
@pytest.mark.parametrize("dtype", slow_except(["uint8"], ["uint8", "float32"]))
def test_images_in_bytes_warn_once(rng, dtype, recwarn):
    x = rng.integers(0, 256, size=(8, 4, 4, 1)).astype(dtype)
    gan = images_gan()
    gan.fit(x, verbose=0)
    gan.fit(x, verbose=0)
    gan.fit(x / 127.5 - 1, verbose=0)
    said = [w for w in recwarn if "0..255" in str(w.message)]
    assert len(said) == 1
    assert "x / 127.5 - 1" in str(said[0].message)


def test_scaled_images_do_not_warn(rng, recwarn):
    images_gan().fit(rng.uniform(-1, 1, size=(8, 4, 4, 1)), verbose=0)
    assert not [w for w in recwarn if "0..255" in str(w.message)]


def test_pair_optimizer_takes_no_step_itself():
    gan = make_gan()
    with pytest.raises(ValueError, match="takes no step"):
        gan.optimizer.apply([ops.zeros(2)])


def test_pair_optimizer_scales_both_rates():
    gan = make_gan()
    gan.optimizer.learning_rate = 0.05
    rates = [
        float(ops.convert_to_numpy(o.learning_rate))
        for o in gan.optimizer.optimizers
    ]
    np.testing.assert_allclose(rates, [0.05, 0.1], rtol=1e-6)
    np.testing.assert_allclose(float(gan.optimizer.learning_rate), 0.05)


def test_a_ragged_last_batch_of_a_stream_cannot_be_split(data):
    tf = pytest.importorskip("tensorflow")
    gan = make_gan(discriminator_steps=4, split_batch=True)
    stream = tf.data.Dataset.from_tensor_slices(data[:19]).batch(16)
    errors = (ValueError, tf.errors.InvalidArgumentError)
    with pytest.raises(errors, match="drop the ragged last batch"):
        gan.fit(stream, verbose=0)


class Pairs(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return {"image": np.zeros((4, 2), "float32")}


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (None, "x=None"),
        ({"image": np.zeros((4, 2)), "label": np.zeros(4)}, r"d\['image'\]"),
        ([np.zeros((4, 2)), np.zeros((4, 2))], "list of 2"),
        (Pairs(), r"\['image'\]"),
        (np.zeros((0, 2)), r"empty array of shape \(0, 2\)"),
        (np.array([["a", "b"]]), "dtype '<U1'"),
        (np.array([[1, None]], dtype=object), "dtype 'object'"),
    ],
)
def test_what_is_no_array_of_samples(x, words):
    with pytest.raises(ValueError, match=words):
        make_gan().fit(x, verbose=0)


def test_streams_of_dictionaries(data):
    tf = pytest.importorskip("tensorflow")
    stream = tf.data.Dataset.from_tensor_slices({"image": data}).batch(8)
    with pytest.raises(ValueError, match=r"\['image'\]"):
        make_gan().fit(stream, verbose=0)


@pytest.mark.parametrize(
    "weights", [{"sample_weight": np.ones(3)}, {"class_weight": {0: 1.0}}]
)
def test_weights_of_samples(weights, data):
    (name,) = weights
    with pytest.raises(ValueError, match=f"`{name}` "):
        make_gan().fit(data, verbose=0, **weights)


def image_gan():
    gan = kmf.MonoFlowGAN(
        keras.Sequential(
            [layers.Input((2,)), layers.Dense(16), layers.Reshape((4, 4, 1))]
        ),
        keras.Sequential(
            [layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(1)]
        ),
        seed=0,
    )
    rates = keras.optimizers.SGD(1e-6), keras.optimizers.SGD(1e-6)
    gan.compile(*rates)
    return gan


def streams(images):
    import tensorflow as tf

    yield tf.data.Dataset.from_tensor_slices(images).batch(4)
    if keras.backend.backend() == "torch":
        import torch

        rows = torch.utils.data.TensorDataset(torch.as_tensor(images))
        yield torch.utils.data.DataLoader(rows, batch_size=4, shuffle=True)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 1 / 255])
def test_images_in_bytes_from_streams(scale, rng, recwarn):
    pytest.importorskip("tensorflow")
    warnings.simplefilter("always")
    images = rng.integers(0, 256, (8, 4, 4, 1)).astype("float32") * scale
    for stream in streams(images):
        recwarn.clear()
        gan = image_gan()
        gan.fit(stream, verbose=0)
        gan.fit(stream, verbose=0)
        messages = [str(w.message) for w in recwarn.list]
        assert not any("`shuffle=True` was passed" in m for m in messages)
        said = ["0..255" in message for message in messages]
        assert sum(said) == (scale == 1)
