"""Models whose networks take labels."""

import keras
import numpy as np
import pytest
from helpers import numpy, slow_except
from keras import layers, ops
from matplotlib.image import imread

import keras_monoflow as kmf
from keras_monoflow.models.label_counter import LabelCounter

CENTERS = np.array([[2.0, 0.0], [-1.0, 1.5], [0.0, -2.0]])
CLASSES = len(CENTERS)


def with_label_input(inputs, units):
    """A network of `[inputs, labels]` that sees a one-hot label."""
    x = keras.Input((inputs,))
    y = keras.Input((), dtype="int32")
    one_hot = layers.CategoryEncoding(CLASSES, output_mode="one_hot")
    h = layers.Concatenate()([x, one_hot(layers.Reshape((1,))(y))])
    h = layers.Dense(16, "tanh")(h)
    return keras.Model([x, y], layers.Dense(units, dtype="float32")(h))


def make_networks():
    return with_label_input(2, 2), with_label_input(2, 1)


def make_gan(**arguments):
    gan = kmf.MonoFlowGAN(*make_networks(), seed=1)
    defaults = {
        "generator_optimizer": keras.optimizers.Adam(1e-2, beta_1=0.5),
        "discriminator_optimizer": keras.optimizers.Adam(1e-2, beta_1=0.5),
    }
    gan.compile(**{**defaults, **arguments})
    return gan


@pytest.fixture
def pairs(rng):
    labels = rng.integers(CLASSES, size=960).astype("int32")
    x = CENTERS[labels] + 0.1 * rng.normal(size=(960, 2))
    return x.astype("float32"), labels


@pytest.mark.slow
def test_every_class_goes_to_its_own_place(pairs):
    gan = make_gan(penalty=kmf.penalties.R1(0.1), discriminator_steps=2)
    gan.fit(*pairs, batch_size=32, epochs=8, verbose=0)
    for label, center in enumerate(CENTERS):
        x = gan.sample(200, seed=0, labels=label)
        assert np.linalg.norm(x.mean(axis=0) - center) < 0.5


def table_networks():
    """`G(z, y) = z / 10 + table[y]` and `D(x, y) = x . table[y]`."""
    x, y = keras.Input((2,)), keras.Input((), dtype="int32")
    generator = keras.Model([x, y], 0.1 * x + layers.Embedding(CLASSES, 2)(y))
    x, y = keras.Input((2,)), keras.Input((), dtype="int32")
    score = layers.Dot(-1)([x, layers.Embedding(CLASSES, 2)(y)])
    return generator, keras.Model([x, y], score)


@pytest.mark.parametrize("split_batch", slow_except([True], [False, True]))
def test_discriminator_steps_against_numpy(rng, split_batch):
    """Generated samples have the labels of the data beside them."""
    generator, discriminator = table_networks()
    tables = rng.normal(size=(2, CLASSES, 2))
    generator.set_weights([tables[0]])
    discriminator.set_weights([tables[1]])
    gan = kmf.MonoFlowGAN(generator, discriminator, prior=np.ones((1, 2)))
    gan.compile(
        generator_optimizer=keras.optimizers.SGD(0.0),
        discriminator_optimizer=keras.optimizers.SGD(0.5),
        discriminator_steps=2,
        split_batch=split_batch,
    )
    x, y = rng.normal(size=(8, 2)), np.array([0, 2, 1, 0, 2, 2, 1, 1])
    gan.fit(x, y, batch_size=8, shuffle=False, verbose=0)

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    table = tables[1].copy()
    halves = [slice(0, 4), slice(4, 8)] if split_batch else [slice(8)] * 2
    for half in halves:
        gradient, n = np.zeros_like(table), half.stop - (half.start or 0)
        for real, label in zip(x[half], y[half]):
            fake = 0.1 + tables[0][label]
            gradient[label] -= sigmoid(-real @ table[label]) * real / n
            gradient[label] += sigmoid(fake @ table[label]) * fake / n
        table -= 0.5 * gradient
    got = discriminator.get_weights()[0]
    np.testing.assert_allclose(got, table, rtol=1e-4, atol=1e-6)
    assert int(ops.convert_to_numpy(gan.labels.count)) == CLASSES


@pytest.mark.slow
def test_penalty_against_numpy(rng):
    """The gradient of `D(x, y)` is `table[y]`."""
    generator, discriminator = table_networks()
    table = rng.normal(size=(CLASSES, 2))
    discriminator.set_weights([table])
    gan = kmf.MonoFlowGAN(generator, discriminator)
    still = keras.optimizers.SGD(0.0)
    gan.compile(still, keras.optimizers.SGD(0.0), penalty=kmf.penalties.R1(2.0))
    y = np.array([0, 2, 2, 1])
    history = gan.fit(rng.normal(size=(4, 2)), y, verbose=0).history
    want = (table[y] ** 2).sum(axis=1).mean()
    assert history["penalty"][0] == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize("model", ["monoflow", "w1fe"])
@pytest.mark.parametrize(
    "update", slow_except(["persistent"], ["persistent", "naive", "proximal"])
)
def test_label_of_a_generator_step(model, update):
    """Only the weights of the one label that the batch has are moved."""

    generator, critic = table_networks()
    critic.set_weights([np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])])
    before = generator.get_weights()[0]
    common = {"generator_optimizer": keras.optimizers.SGD(0.05)}
    rest = keras.optimizers.SGD(0.0)
    if model == "w1fe":
        flow = kmf.W1FE(generator, critic)
        flow.compile(
            critic_optimizer=rest,
            penalty=None,
            **common,
            persistency=2,
            step_size=0.1,
            update=update,
        )
    else:
        flow = kmf.MonoFlowGAN(generator, critic)
        flow.compile(
            discriminator_optimizer=rest,
            mapping="identity",
            **common,
            persistency=2,
            step_size=0.1,
            update=update,
        )
    flow.fit(np.zeros((4, 2)), np.full(4, 1), batch_size=4, verbose=0)
    moved = generator.get_weights()[0] - before
    np.testing.assert_array_equal(moved[[0, 2]], 0.0)
    # The critic of label 1 pulls along the second axis.
    assert moved[1, 1] > 1e-3
    assert abs(moved[1, 0]) < 1e-6


@pytest.mark.slow
def test_sample_and_its_labels(pairs):
    gan = make_gan()
    with pytest.raises(ValueError, match="`labels` must be given"):
        gan.sample(3)
    gan.fit(*pairs, batch_size=96, verbose=0)
    z = gan.sample_latent(7, seed=3)
    labels = np.array([0, 1, 2, 0, 1, 2, 0])
    want = ops.convert_to_numpy(gan.generator([z, labels]))
    x = gan.sample(7, seed=3, labels=labels, batch_size=3)
    np.testing.assert_allclose(x, want, rtol=1e-5, atol=1e-6)
    ones = gan.sample(7, seed=3, labels=1)
    np.testing.assert_allclose(
        ones, gan.sample(7, seed=3, labels=np.ones(7, int)), atol=1e-6
    )
    # Random labels by default, the same for the same seed.
    np.testing.assert_array_equal(
        gan.sample(50, seed=4), gan.sample(50, seed=4)
    )
    drawn = gan.labels.draw(300, seed=0)
    assert set(drawn) == {0, 1, 2}
    with pytest.raises(ValueError, match=r"`labels`.*\(7,\)"):
        gan.sample(7, labels=[0, 1])


@pytest.mark.parametrize("shape", [(), (1,)])
def test_which_labels_are_drawn(shape):
    labels = LabelCounter(shape)
    for batch in ([2, 4, 0], [1, 1, 1]):
        batch = np.reshape(batch, (3, *shape)).astype("int32")
        labels.update(ops.convert_to_tensor(batch))
    drawn = labels.draw(100, seed=0)
    assert drawn.shape == (100, *shape)
    assert set(drawn.flat) == {0, 1, 2, 3, 4}
    assert (labels.draw(100, seed=1) != drawn).any()


@pytest.mark.parametrize(("shape", "dtype"), [((), "float32"), ((3,), "int32")])
def test_labels_that_are_not_classes(shape, dtype):
    labels = LabelCounter(shape)
    labels.update(ops.ones((8, *shape), dtype))
    with pytest.raises(ValueError, match="`labels` must be given"):
        labels.draw(4, seed=0)


@pytest.mark.slow
def test_looking_at_samples_with_labels(pairs):
    gan = make_gan(discriminator_loss="donsker_varadhan")
    gan.fit(*pairs, batch_size=96, verbose=0)
    x, y = pairs[0][:5], pairs[1][:5]
    ratio = gan.log_ratio(x, labels=y)
    assert ratio.shape == (5,)
    assert not np.allclose(ratio, gan.log_ratio(x, labels=(y + 1) % CLASSES))
    want = x + 0.01 * gan.velocity(x, labels=y)
    moved = gan.refine(x, labels=y, steps=1, step_size=0.01)
    np.testing.assert_allclose(moved, want, rtol=1e-4, atol=1e-6)
    in_parts = gan.refine(x, y, steps=1, step_size=0.01, batch_size=2)
    np.testing.assert_allclose(in_parts, want, rtol=1e-4, atol=1e-6)
    for method in (gan.log_ratio, gan.velocity, gan.refine):
        with pytest.raises(ValueError, match="labels"):
            method(x)
    assert np.isfinite(gan.evaluate(*pairs, verbose=0)).all()


def test_data_sets_of_pairs(pairs):
    x, y = pairs
    batches = kmf.datasets.ShuffledDataset(x, y, batch_size=96, seed=0)
    gan = make_gan()
    history = gan.fit(batches, validation_data=(x, y), verbose=0)
    assert "val_generator_loss" in history.history
    assert int(ops.convert_to_numpy(gan.labels.count)) == CLASSES


def test_keras_file(tmp_path, pairs):
    gan = make_gan(ema=0.9)
    arguments = {"batch_size": 96, "shuffle": False, "verbose": 0}
    gan.fit(*pairs, **arguments)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert loaded.conditional
    np.testing.assert_array_equal(
        loaded.sample(9, seed=1), gan.sample(9, seed=1)
    )
    for m in (gan, loaded):
        m.fit(*pairs, **arguments)
    for a, b in zip(gan.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_clear_errors(pairs):
    x, y = pairs
    generator, discriminator = make_networks()
    plain = kmf.networks.mlp_discriminator(2)
    with pytest.raises(ValueError, match="must take the labels that"):
        kmf.MonoFlowGAN(kmf.networks.mlp_generator(2, 2), discriminator)
    with pytest.raises(ValueError, match="nothing would tell samples of one"):
        kmf.MonoFlowGAN(generator, plain).compile("sgd", "sgd")
    with pytest.raises(ValueError, match="ParticleFlow is unconditional"):
        kmf.ParticleFlow(discriminator, x)
    with pytest.raises(ValueError, match="W2FE is unconditional"):
        kmf.W2FE(generator, discriminator, with_label_input(2, 1))
    with pytest.raises(ValueError, match="without"):
        make_gan().fit(x, verbose=0)
    with pytest.raises(ValueError, match="reuse_generated"):
        make_gan(reuse_generated=True, split_batch=True)
    unconditional = kmf.MonoFlowGAN(kmf.networks.mlp_generator(2, 2), plain)
    unconditional.compile(
        generator_optimizer="sgd", discriminator_optimizer="sgd"
    )
    with pytest.raises(ValueError, match="take no labels"):
        unconditional.fit(x, y, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("label", slow_except([3], [-1, 3]))
def test_labels_out_of_range(pairs, label):
    gan = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2, classes=CLASSES),
        kmf.networks.mlp_discriminator(2, classes=CLASSES),
    )
    gan.compile(generator_optimizer="sgd", discriminator_optimizer="sgd")
    x, y = pairs
    y[5] = label
    with pytest.raises(ValueError, match=f"from 0 to 2.*{label}"):
        gan.fit(x, y, verbose=0)
    y[5] = 2
    gan.fit(x, y, batch_size=96, verbose=0)
    assert np.isfinite(gan.sample(9, seed=0)).all()
    wrong = np.array([0, label])
    for look in (
        lambda: gan.sample(2, labels=wrong),
        lambda: gan.velocity(x[:2], wrong),
        lambda: gan.log_ratio(x[:2], wrong),
        lambda: gan.refine(x[:2], wrong, steps=1),
        lambda: gan.interpolate(np.zeros((2, 2)), np.ones((2, 2)), 2, wrong),
        lambda: gan.evaluate(x[:2], wrong, verbose=0),
    ):
        with pytest.raises(ValueError, match=f"from 0 to 2.*{label}"):
            look()


def test_regularized_embedding(pairs):
    """Its gradient is sparse on TensorFlow."""
    _, discriminator = table_networks()
    x, y = keras.Input((2,)), keras.Input((), dtype="int32")
    table = layers.Embedding(CLASSES, 2, embeddings_regularizer="l2")
    generator = keras.Model([x, y], 0.1 * x + table(y))
    gan = kmf.MonoFlowGAN(generator, discriminator)
    gan.compile(generator_optimizer="sgd", discriminator_optimizer="sgd")
    gan.fit(*pairs, batch_size=96, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "labels", [None, pytest.param([2, 2, 0, 1], marks=pytest.mark.slow)]
)
def test_grid_with_a_row_for_each_class(tmp_path, pairs, monkeypatch, labels):
    gan = make_gan()
    gan.fit(*pairs, batch_size=96, verbose=0)
    grid = kmf.callbacks.SampleGrid(
        tmp_path, rows=4, columns=3, seed=6, labels=labels
    )
    seen = []
    monkeypatch.setattr(grid, "draw", lambda samples, *_: seen.append(samples))
    grid.set_model(gan)
    grid.on_epoch_end(0)
    rows = np.repeat(labels or [0, 1, 2, 0], 3)
    np.testing.assert_array_equal(seen[0], gan.sample(12, seed=6, labels=rows))
    with pytest.raises(ValueError, match="one label for each row"):
        kmf.callbacks.SampleGrid(tmp_path, rows=3, labels=[0, 1])


def networks_of_labels(shape):
    """Networks of gray images that take labels of any shape."""
    z, c = keras.Input((3,)), keras.Input(shape)
    joined = layers.Concatenate()([z, layers.Flatten()(c)])
    image = layers.Reshape((4, 4, 1))(layers.Dense(16)(joined))
    x = keras.Input((4, 4, 1))
    both = layers.Concatenate()([layers.Flatten()(x), layers.Flatten()(c)])
    return keras.Model([z, c], image), keras.Model(
        [x, c], layers.Dense(1)(both)
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one-hot", "float", "image"])
@pytest.mark.parametrize("form", ["arrays", "data set", "tf.data"])
def test_pictures_of_labels_that_are_no_integers(tmp_path, kind, form):
    """They show labels of the data, which the model does not know by itself."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 4, 4, 1)).astype("float32")
    classes = np.array([2, 0, 1, 1, 2, 0, 2, 1])
    y = {
        "one-hot": np.eye(3, dtype="float32")[classes],
        "float": classes.astype("float32")[:, None],
        "image": rng.normal(size=(8, 4, 4, 1)).astype("float32"),
    }[kind]
    gan = kmf.MonoFlowGAN(*networks_of_labels(y.shape[1:]), seed=0)
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    grid = kmf.callbacks.SampleGrid(tmp_path / "grid", rows=3, columns=2)
    film = kmf.callbacks.FlowAnimation(tmp_path / "film.gif", samples=8)
    data = {"arrays": (x, y), "data set": (Pairs(x, y),)}.get(form)
    if form == "tf.data":
        tf = pytest.importorskip("tensorflow")
        data = (tf.data.Dataset.from_tensor_slices((x, y)).batch(4),)
    gan.fit(*data, batch_size=None, callbacks=[grid, film], verbose=0)
    first = {
        "one-hot": np.eye(3, dtype="float32"),
        "float": np.array([[0.0], [1.0], [2.0]], "float32"),
        "image": y[:3],
    }[kind]
    expected = gan.sample(6, seed=0, labels=np.repeat(first, 2, axis=0))
    if kind == "image":  # Each stands between its source and its target.
        parts = [y[:3], expected[::2], expected[1::2], x[:3]]
        expected = np.stack(parts, 1).reshape(-1, 4, 4, 1)
    picture = imread(tmp_path / "grid" / "epoch_0001.png")[..., :3]
    expected = kmf.plots.image_grid(
        expected, columns=4 if kind == "image" else 2
    )
    np.testing.assert_array_equal(np.rint(255 * picture), expected)
    assert (tmp_path / "film.gif").exists()


class Pairs(keras.utils.PyDataset):
    """One batch of samples and labels."""

    def __init__(self, *pair):
        super().__init__()
        self.pair = pair

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.pair


@pytest.mark.slow
def test_grid_of_labels_out_of_range(tmp_path):
    gan = kmf.MonoFlowGAN(
        kmf.networks.dcgan_generator(4, (8, 8, 1), classes=4),
        kmf.networks.dcgan_discriminator((8, 8, 1), classes=4),
    )
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    grid = kmf.callbacks.SampleGrid(tmp_path, labels=[99] * 8)
    x, y = np.zeros((4, 8, 8, 1), "float32"), np.arange(4)
    with pytest.raises(ValueError, match=r"labels.*SampleGrid.*99"):
        gan.fit(x, y, callbacks=[grid], verbose=0)
    assert int(numpy(gan.rounds_counter)) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "rounds"), [((3,), 0), ((1,), 1)])
def test_labels_in_a_stream_that_are_no_integers(tmp_path, shape, rounds):
    """Only single numbers may still turn out to be integers."""
    gan = kmf.MonoFlowGAN(*networks_of_labels(shape), seed=0)
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    batch = np.zeros((4, 4, 4, 1), "float32"), np.ones((4, *shape), "float32")
    one_step = {"steps_per_epoch": 1, "verbose": 0}

    def stream():
        while True:
            yield batch

    grid = kmf.callbacks.SampleGrid(tmp_path, rows=2, columns=2)
    with pytest.raises(ValueError, match=r"SampleGrid\(labels="):
        gan.fit(stream(), callbacks=[grid], **one_step)
    assert int(numpy(gan.rounds_counter)) == rounds
    grid = kmf.callbacks.SampleGrid(
        tmp_path, rows=2, columns=2, labels=np.ones((2, *shape))
    )
    gan.fit(stream(), callbacks=[grid], **one_step)
    assert (tmp_path / "epoch_0001.png").exists()


def test_a_reference_for_conditions_that_are_not_numbers(rng):
    """The link of Donsker and Varadhan averages over generated samples, whose
    conditions are then those of the data."""
    x, c = rng.normal(size=(2, 64, 2)).astype("float32")
    gan = kmf.MonoFlowGAN(*(condition_network(units) for units in (2, 1)))
    gan.compile("sgd", "sgd", discriminator_loss="donsker_varadhan")
    gan.fit(x, c, batch_size=32, verbose=0)
    outputs = numpy(gan.discriminator([x, c]))[:, 0]
    generated = gan.sample(64, seed=0, labels=c)
    of_generated = numpy(gan.discriminator([generated, c]))[:, 0]
    expected = outputs - np.log(np.mean(np.exp(of_generated)))
    np.testing.assert_allclose(
        gan.log_ratio(x, c), expected, rtol=1e-4, atol=1e-5
    )
    assert np.isfinite(gan.velocity(x[:5], c[:5])).all()


def condition_network(units):
    x, c = keras.Input((2,)), keras.Input((2,))
    h = layers.Dense(8, "tanh")(layers.Concatenate()([x, c]))
    return keras.Model([x, c], layers.Dense(units)(h))
