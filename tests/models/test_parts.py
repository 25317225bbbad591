"""Samples and conditions that are dictionaries or lists of tensors.

The oracle is a model of plain vectors with the same weights.
"""

import keras
import numpy as np
import pytest
from helpers import everything, numpy, slow_except, tanh_network
from keras import layers, ops

import keras_monoflow as kmf
from keras_monoflow.models.packs import Packs
from keras_monoflow.models.parts import Parts

RATE = 0.1
KINDS = ["dict", "list"]
SHAPES = {"a": (2,), "b": (3, 1)}


def as_kind(kind, a, b):
    return {"a": a, "b": b} if kind == "dict" else [a, b]


def parted(kind, rows):
    """Rows of five numbers as samples of two parts."""
    return as_kind(kind, rows[:, :2], rows[:, 2:].reshape(-1, 3, 1))


def joined(samples):
    parts = samples.values() if isinstance(samples, dict) else samples
    return np.concatenate([numpy(p).reshape(len(p), -1) for p in parts], 1)


def parts_generator(kind, flat):
    """The network of vectors `flat`, whose five numbers are two parts."""
    z = keras.Input((2,))
    x = flat(z)
    b = layers.Reshape((3, 1))(x[:, 2:])
    return keras.Model(z, as_kind(kind, x[:, :2], b))


def parts_discriminator(kind, flat, pack=1):
    """The network of vectors `flat`, given two parts of a group of samples."""
    a = keras.Input((2 * pack,), name="a")
    b = keras.Input((3, pack), name="b")
    rows = [
        row
        for i in range(pack)
        for row in (a[:, 2 * i : 2 * i + 2], b[:, :, i])
    ]
    x = ops.concatenate(rows, 1)
    for layer in flat.layers:
        x = type(layer).from_config(layer.get_config())(x)
    network = keras.Model(as_kind(kind, a, b), x)
    network.set_weights(flat.get_weights())
    return network


def networks(seed, kind, pack=1):
    """Networks for vectors, and with the same weights for two parts."""
    rng = np.random.default_rng(seed)
    generator = tanh_network(rng, 5)
    judges = [tanh_network(rng, 1, inputs=5 * pack) for _ in range(2)]
    if kind == "flat":
        return generator, judges
    return parts_generator(kind, generator), [
        parts_discriminator(kind, judge, pack) for judge in judges
    ]


def make_model(flow, kind, pack=1, **arguments):
    generator, judges = networks(1, kind, pack)
    rate = keras.optimizers.SGD(RATE)
    arguments = {
        "generator_optimizer": keras.optimizers.SGD(RATE),
        "step_size": 0.5,
        **arguments,
    }
    if flow == "samples":
        model = kmf.SampleFlow(generator, seed=0)
    elif flow == "w2fe":
        model = kmf.W2FE(generator, *judges, seed=0)
        arguments["potential_optimizer"] = rate
    elif flow == "w1fe":
        model = kmf.W1FE(generator, judges[0], seed=0)
        arguments["critic_optimizer"] = rate
    else:
        model = kmf.MonoFlowGAN(generator, judges[0], seed=0, pack=pack)
        arguments["discriminator_optimizer"] = rate
    model.compile(**arguments)
    return model


@pytest.fixture
def rows(rng):
    return np.float32(rng.normal(size=(16, 5)))


def weights_of(model):
    networks = [getattr(model, role) for role in model.network_roles()]
    return [w for n in networks if n is not None for w in n.get_weights()]


def assert_alike(one, other):
    for a, b in zip(weights_of(one), weights_of(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2])
def test_rows_and_parts(rows, kind, size):
    samples = parted(kind, rows)
    parts = Parts(as_kind(kind, *SHAPES.values()))
    assert parts.shape == (5,)
    np.testing.assert_array_equal(parts.join(samples), rows)
    tensors = keras.tree.map_structure(ops.convert_to_tensor, samples)
    np.testing.assert_array_equal(numpy(parts.join(tensors)), rows)
    packs = Packs(size)
    groups = parts.split(packs.join(rows), packs)
    for part, group in zip(
        keras.tree.flatten(samples), keras.tree.flatten(groups)
    ):
        np.testing.assert_array_equal(numpy(group), numpy(packs.join(part)))


@pytest.mark.parametrize(
    ("flow", "arguments"),
    [
        ("monoflow", {"penalty": "r1"}),
        ("monoflow", {"persistency": 3, "penalty": "r1", "ema": 0.9}),
        pytest.param(
            "monoflow",
            {"discriminator_loss": "relativistic", "mapping": "relativistic"},
            marks=pytest.mark.slow,
        ),
        ("w1fe", {"persistency": 2, "critic_steps": 2}),
        pytest.param("w2fe", {"persistency": 2}, marks=pytest.mark.slow),
        ("samples", {"persistency": 2, "velocity": "kernel_ratio"}),
        pytest.param("samples", {"velocity": "sliced"}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("kind", slow_except(["dict"], KINDS))
def test_training_is_that_of_vectors(rows, kind, flow, arguments):
    flat = make_model(flow, "flat", **arguments)
    model = make_model(flow, kind, **arguments)
    known = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}
    want = flat.fit(rows, validation_data=rows[:8], **known).history
    got = model.fit(
        parted(kind, rows), validation_data=(parted(kind, rows[:8]),), **known
    ).history
    assert_alike(flat, model)
    assert any(name.startswith("val_") for name in want)
    for name, values in want.items():
        np.testing.assert_allclose(got[name], values, rtol=2e-4, atol=1e-5)


def scale_of(second_part):
    """A term of the second part of samples alone."""

    def scale(samples, real, condition, features):
        squares = [ops.mean(second_part(s) ** 2) for s in (samples, real)]
        return (squares[0] - squares[1]) ** 2

    return scale


SCALES = {
    "flat": scale_of(lambda samples: samples[:, 2:]),
    "dict": scale_of(lambda samples: samples["b"]),
}


@pytest.mark.parametrize("persistency", [1, 2])
def test_terms(rows, persistency):
    flat, model = (
        make_model(
            "monoflow",
            kind,
            generator_terms=[SCALES[kind], kmf.terms.FeatureMatching(0.5)],
            persistency=persistency,
        )
        for kind in ("flat", "dict")
    )
    known = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}
    want = flat.fit(rows, **known).history
    got = model.fit(parted("dict", rows), **known).history
    assert_alike(flat, model)
    assert min(want["scale"]) > 0
    for name, values in want.items():
        np.testing.assert_allclose(got[name], values, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_packs_of_parts(rows, kind):
    flat = make_model("monoflow", "flat", pack=2)
    model = make_model("monoflow", kind, pack=2)
    known = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}
    flat.fit(rows, **known)
    model.fit(parted(kind, rows), **known)
    assert_alike(flat, model)


@pytest.mark.parametrize("persistency", [1, 3])
def test_linear_parts_in_closed_form(rows, persistency):
    """A linear generator, a linear critic at rest with the gradient v: after k
    fits the residual at z is (I - rate Z^T Z / n)^k step_size v."""
    rng = np.random.default_rng(0)
    z = keras.Input((4,))
    heads = [layers.Dense(size, use_bias=False) for size in (2, 3)]
    b = layers.Reshape((3, 1))(heads[1](z))
    generator = keras.Model(z, {"a": heads[0](z), "b": b})

    def kernels():
        return np.concatenate([head.get_weights()[0] for head in heads], 1)

    critic = keras.Sequential([layers.Input((5,)), layers.Dense(1)])
    v = critic.get_weights()[0][:, 0]
    latent = np.array([[0.6, -0.2, 0.1, 0.3]])
    model = kmf.W1FE(
        generator, parts_discriminator("dict", critic), prior=latent, seed=0
    )
    rate, step_size = 0.4, 0.5
    model.compile(
        keras.optimizers.SGD(rate),
        keras.optimizers.SGD(0.0),
        penalty=None,
        persistency=persistency,
        step_size=step_size,
    )
    before = kernels()
    n = 4
    known = {"batch_size": n, "verbose": 0}
    model.fit(parted("dict", np.float32(rng.normal(size=(n, 5)))), **known)
    moved = kernels() - before
    shrink = (1 - rate * np.sum(latent**2)) ** persistency
    want = latent.T @ (step_size * v[None]) * (1 - shrink)
    want = want / np.sum(latent**2)
    np.testing.assert_allclose(moved, want, rtol=1e-4, atol=1e-6)


def forms_of_data(kind, rows):
    """The same data in one batch, in all forms."""
    samples = parted(kind, rows)
    yield samples
    yield kmf.datasets.ShuffledDataset(samples, batch_size=16)
    nested = samples if kind == "dict" else tuple(samples)
    yield (s for s in [(nested,)])
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        data = tf.data.Dataset.from_tensor_slices((nested,))
        yield data.batch(16)
    if keras.backend.backend() == "torch":
        import torch

        examples = [
            (as_kind(kind, *(p[i] for p in keras.tree.flatten(samples))),)
            for i in range(16)
        ]
        yield torch.utils.data.DataLoader(examples, batch_size=16)


@pytest.mark.parametrize("kind", KINDS)
def test_every_form_of_data(rows, kind):
    """A batch of all rows has no order, so all lead to the same weights."""
    models = []
    for data in forms_of_data(kind, rows):
        models.append(make_model("monoflow", kind))
        models[-1].fit(data, batch_size=16, verbose=0)
    for model in models[1:]:
        assert_alike(models[0], model)
    losses = models[0].evaluate(parted(kind, rows), verbose=0)
    flat = make_model("monoflow", "flat")
    flat.fit(rows, batch_size=16, verbose=0)
    want = flat.evaluate(rows, verbose=0)
    np.testing.assert_allclose(losses, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_data_sets_have_no_labels_that_they_lack(rows, kind):
    samples = parted(kind, rows)
    batches = kmf.datasets.ShuffledDataset(samples, batch_size=16)
    flow = make_model("samples", kind, velocity="energy")
    flow.fit(batches, verbose=0)
    plain = make_model("samples", "flat", velocity="energy")
    plain.fit(rows, batch_size=16, verbose=0)
    assert_alike(flow, plain)
    model = make_model("monoflow", kind)
    metrics = kmf.callbacks.DistributionMetrics("frechet_distance")
    history = model.fit(
        samples,
        batch_size=16,
        validation_data=batches,
        callbacks=[metrics],
        verbose=0,
    )
    assert np.isfinite(history.history["val_frechet_distance"]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_looks(rows, kind, tmp_path):
    flat, model = (make_model("monoflow", k) for k in ("flat", kind))
    samples = model.sample(7, seed=3)
    np.testing.assert_allclose(
        joined(samples), flat.sample(7, seed=3), rtol=1e-5
    )
    assert isinstance(samples, dict if kind == "dict" else list)
    predicted = model.predict(model.sample_latent(7, seed=3), verbose=0)
    np.testing.assert_allclose(joined(predicted), joined(samples), rtol=1e-5)
    data = parted(kind, rows)
    for name in ("velocity", "refine"):
        got = getattr(model, name)(data)
        assert keras.tree.map_structure(np.shape, got) == (
            keras.tree.map_structure(np.shape, data)
        )
        want = getattr(flat, name)(rows)
        np.testing.assert_allclose(joined(got), want, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        model.log_ratio(data), flat.log_ratio(rows), rtol=1e-4
    )
    z = flat.sample_latent(5, seed=0)
    np.testing.assert_allclose(
        joined(model.refine(z, seed=0, space="latent")),
        flat.refine(z, seed=0, space="latent"),
        rtol=1e-4,
        atol=1e-5,
    )


def test_callbacks(rows, tmp_path):
    logs = []
    for kind in ("flat", "dict"):
        model = make_model("monoflow", kind)
        data = rows if kind == "flat" else parted(kind, rows)
        callbacks = [
            kmf.callbacks.DistributionMetrics("wasserstein_distance"),
            kmf.callbacks.FlowMonitor(),
        ]
        known = {"batch_size": 16, "verbose": 0, "callbacks": callbacks}
        logs.append(model.fit(data, **known).history)
    assert "val_wasserstein_distance" in logs[0]
    for name, values in logs[0].items():
        np.testing.assert_allclose(logs[1][name], values, rtol=1e-3)
    grid = kmf.callbacks.SampleGrid(tmp_path)
    with pytest.raises(ValueError, match="`part` must say which part"):
        model.fit(data, verbose=0, callbacks=grid)
    grid = kmf.callbacks.SampleGrid(tmp_path, part="a")
    with pytest.raises(ValueError, match="it draws images"):
        model.fit(data, verbose=0, callbacks=grid)


def test_a_grid_of_one_part(rng, tmp_path):
    z, x, n = keras.Input((2,)), keras.Input((4, 4, 1)), keras.Input((3,))
    image = layers.Reshape((4, 4, 1))(layers.Dense(16)(z))
    gan = kmf.MonoFlowGAN(
        keras.Model(z, [image, layers.Dense(3)(z)]),
        keras.Model(
            [x, n],
            layers.Dense(1)(layers.Concatenate()([layers.Flatten()(x), n])),
        ),
    )
    gan.compile("sgd", "sgd")
    data = [
        np.float32(rng.uniform(-1, 1, (8, 4, 4, 1))),
        np.float32(rng.normal(size=(8, 3))),
    ]
    grid = kmf.callbacks.SampleGrid(tmp_path, rows=2, columns=3, part=0)
    gan.fit(data, verbose=0, callbacks=grid)
    assert (tmp_path / "epoch_0001.png").exists()


def test_saved_and_resumed(rows, tmp_path):
    known = {"batch_size": 8, "shuffle": False, "verbose": 0}
    model = make_model("monoflow", "dict", persistency=2, ema=0.9)
    model.fit(parted("dict", rows), **known)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for m in (model, loaded):
        m.fit(parted("dict", rows), **known)
    for a, b in zip(everything(model), everything(loaded), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_refused(rows):
    model = make_model("monoflow", "dict")
    samples = parted("dict", rows)
    with pytest.raises(ValueError, match="must have the parts"):
        model.fit(rows, verbose=0)
    with pytest.raises(ValueError, match="have parts of the shapes"):
        model.fit({"a": samples["a"]}, verbose=0)
    with pytest.raises(ValueError, match="have parts of the shapes"):
        model.log_ratio({"a": samples["a"], "b": samples["a"]})
    with pytest.raises(ValueError, match="as many rows"):
        model.fit({**samples, "a": samples["a"][:3]}, verbose=0)
    bad = {**samples, "a": np.full_like(samples["a"], np.nan)}
    with pytest.raises(ValueError, match="nan"):
        model.fit(bad, verbose=0)
    with pytest.raises(ValueError, match="several parts"):
        make_model("monoflow", "dict", augment=lambda x, seed: x)
    with pytest.raises(ValueError, match="makes samples of shape"):
        kmf.MonoFlowGAN(networks(1, "dict")[0], networks(1, "flat")[1][0])
    with pytest.raises(ValueError, match="makes samples of shape"):
        kmf.MonoFlowGAN(networks(1, "dict")[0], networks(1, "list")[1][0])


# ----------------------------------------------------------- conditions


def conditional_networks(kind, judges_conditions=True):
    """Networks that take `[z, condition]` and `[x, condition]`, the condition
    a vector of five numbers or two parts of it."""
    rng = np.random.default_rng(2)
    generator = tanh_network(rng, 2, inputs=7)
    judge = tanh_network(rng, 1, inputs=7 if judges_conditions else 2)

    def conditional(flat, name):
        x = keras.Input((2,), name=name)
        if kind == "flat":
            c = keras.Input((5,), name="c")
            return keras.Model([x, c], flat(ops.concatenate([x, c], 1)))
        a, b = keras.Input((2,), name="a"), keras.Input((3, 1), name="b")
        rows = ops.concatenate([x, a, b[:, :, 0]], 1)
        return keras.Model([x, as_kind(kind, a, b)], flat(rows))

    judge = conditional(judge, "x") if judges_conditions else judge
    return conditional(generator, "z"), judge


def conditional_model(kind, terms=None, **arguments):
    model = kmf.MonoFlowGAN(*conditional_networks(kind, **arguments), seed=0)
    model.compile(
        keras.optimizers.SGD(RATE),
        keras.optimizers.SGD(RATE),
        generator_terms=terms,
    )
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_conditions_of_several_parts(rng, rows, kind):
    x = np.float32(rng.normal(size=(16, 2)))
    flat, model = conditional_model("flat"), conditional_model(kind)
    known = {"batch_size": 16, "verbose": 0, "epochs": 2, "shuffle": False}
    flat.fit(x, rows, **known)
    pair = x, parted(kind, rows)
    model.fit(*pair, validation_data=pair, **known)
    assert_alike(flat, model)
    shuffled = [conditional_model(name) for name in ("flat", kind)]
    for one, y in zip(shuffled, (rows, parted(kind, rows))):
        one.fit(kmf.datasets.ShuffledDataset(x, y), epochs=2, verbose=0)
    assert_alike(*shuffled)
    labels = parted(kind, rows)
    np.testing.assert_allclose(
        model.sample(16, seed=0, labels=labels),
        flat.sample(16, seed=0, labels=rows),
        rtol=1e-4,
    )
    np.testing.assert_allclose(
        model.log_ratio(x, labels), flat.log_ratio(x, rows), rtol=1e-3
    )
    one = keras.tree.map_structure(lambda part: part[0], labels)
    np.testing.assert_allclose(
        model.sample(5, seed=0, labels=one),
        flat.sample(5, seed=0, labels=rows[0]),
        rtol=1e-4,
    )
    with pytest.raises(ValueError, match="`labels` must be given"):
        model.sample(3)
    with pytest.raises(ValueError, match="have parts of the shapes"):
        model.fit(x, {"c": rows}, verbose=0)


def test_a_discriminator_without_the_condition(rng, rows):
    """It is as good as one that takes the condition, and ignores it."""
    x = np.float32(rng.normal(size=(16, 2)))
    terms = [kmf.terms.Reconstruction("l2", 0.5)]
    model = conditional_model("flat", terms, judges_conditions=False)
    generator, judge = conditional_networks("flat", judges_conditions=False)
    p, c = keras.Input((2,)), keras.Input((5,))
    ignores = keras.Model([p, c], judge(p) + 0.0 * c[:, :1])
    other = kmf.MonoFlowGAN(generator, ignores, seed=0)
    other.compile(
        keras.optimizers.SGD(RATE),
        keras.optimizers.SGD(RATE),
        generator_terms=terms,
    )
    known = {"batch_size": 16, "verbose": 0, "shuffle": False}
    for m in (model, other):
        m.fit(x, rows, **known)
    assert_alike(model, other)
    assert model.discriminator_inputs(x, rows) is x
    np.testing.assert_allclose(
        model.log_ratio(x), other.log_ratio(x, rows), rtol=1e-4
    )
    with pytest.raises(ValueError, match="nothing would tell samples of one"):
        conditional_model("flat", judges_conditions=False)
