"""Weights of samples: those of whole numbers are repeated rows.

All latent points are one, so that the generated samples of a batch are alike
and their number does not matter.
"""

import keras
import numpy as np
import pytest
from helpers import numpy, slow_except, tanh_network
from keras import layers, ops

import keras_monoflow as kmf

RATE = 0.1
WEIGHTS = np.array([1, 3, 0, 2, 1, 1])


def shift(x, seed=None):
    return x + 0.3


def patches(rng):
    x = keras.Input((2,))
    hidden = layers.Dense(6, "tanh")(x)
    heads = [
        layers.Reshape((3, 1))(layers.Dense(3)(hidden)),
        layers.Dense(1)(hidden),
    ]
    network = keras.Model(x, heads)
    network.set_weights(
        [rng.normal(size=w.shape) for w in network.get_weights()]
    )
    return network


def conditional(rng, size):
    """A network of `[points, condition]`."""
    x, c = keras.Input((2,)), keras.Input((1,))
    network = tanh_network(rng, size, inputs=3)
    return keras.Model([x, c], network(layers.Concatenate()([x, c])))


def make_model(kind="plain", flow=kmf.MonoFlowGAN, **arguments):
    rng = np.random.default_rng(4)
    if kind == "conditional":
        networks = conditional(rng, 2), conditional(rng, 1)
    else:
        judge = patches(rng) if kind == "patches" else tanh_network(rng, 1)
        networks = tanh_network(rng, 2), judge
    model = flow(*networks, prior=np.array([[0.4, -0.7]]), seed=0)
    role = model.role
    arguments = {
        "generator_optimizer": keras.optimizers.SGD(RATE),
        f"{role}_optimizer": keras.optimizers.SGD(RATE),
        "step_size": 1.0,
        **arguments,
    }
    model.compile(**arguments)
    return model


@pytest.fixture
def data(rng):
    """Samples, conditions and their weights."""
    x = np.float32(rng.normal(size=(6, 2)))
    return x, np.float32(rng.normal(size=(6, 1))), WEIGHTS


def repeated(*arrays):
    return [np.repeat(array, WEIGHTS, axis=0) for array in arrays]


def assert_alike(one, other, **tolerance):
    tolerance = {"rtol": 1e-3, "atol": 1e-5, **tolerance}
    for role in one.network_roles():
        networks = getattr(one, role), getattr(other, role)
        for a, b in zip(*(n.get_weights() for n in networks), strict=True):
            np.testing.assert_allclose(a, b, **tolerance)


def check(data, kind="plain", objective_is_a_mean=False, **arguments):
    """Trains on weighted and on repeated rows for two rounds."""
    x, c, weights = data
    models = [make_model(kind, **arguments) for _ in range(2)]
    y, y_repeated = None, None
    if kind == "conditional":
        y, (y_repeated,) = c, repeated(c)
    known = {"batch_size": 8, "epochs": 2, "verbose": 0, "shuffle": False}
    first = models[0].fit(x, y, sample_weight=weights, **known).history
    second = models[1].fit(*repeated(x), y_repeated, **known).history
    assert_alike(*models)
    for name in first:
        if kind != "conditional" or name != "velocity_norm":
            np.testing.assert_allclose(
                first[name], second[name], rtol=1e-4, atol=1e-6
            )
    losses = [
        models[0].evaluate(x, y, sample_weight=weights, verbose=0),
        models[1].evaluate(*repeated(x), y_repeated, verbose=0),
    ]
    np.testing.assert_allclose(*losses, rtol=1e-4, atol=1e-5)
    if objective_is_a_mean:
        known = {"sample_weight": weights, "batch_size": 2, "verbose": 0}
        parts = models[0].evaluate(x, y, **known)
        np.testing.assert_allclose(parts, losses[0], rtol=1e-4, atol=1e-5)
    # The weights count.
    unweighted = make_model(kind, **arguments)
    unweighted.fit(x, y, **known)
    with pytest.raises(AssertionError):
        assert_alike(unweighted, models[0])


@pytest.mark.parametrize(
    "objective",
    slow_except(
        ["logistic", "donsker_varadhan", "relativistic"],
        [
            "logistic",
            "least_squares",
            "exponential",
            "donsker_varadhan",
            "least_squares_ratio",
            "matched",
            "relativistic",
            "chi2_tight",
            "hinge",
        ],
    ),
)
def test_objectives(data, objective):
    mapping = None if objective == "hinge" else "reverse_kl"
    mapping = "kl" if objective == "matched" else mapping
    check(data, discriminator_loss=objective, mapping=mapping)


@pytest.mark.parametrize(
    "objective", slow_except(["logistic"], ["logistic", "matched", "hinge"])
)
@pytest.mark.parametrize(
    ("persistency", "update"),
    [(1, "persistent"), (3, "persistent"), (2, "proximal")],
)
def test_conditions(data, objective, persistency, update):
    """Generated samples count as much as the conditions they are made for."""
    mapping = None if objective == "hinge" else "kl"
    check(
        data,
        "conditional",
        discriminator_loss=objective,
        mapping=mapping,
        persistency=persistency,
        update=update,
    )


@pytest.mark.parametrize(
    "penalty",
    [
        kmf.penalties.R1(1.0),
        kmf.penalties.R2(1.0),
        kmf.penalties.Centering(0.3),
        kmf.penalties.LeCam(0.3),
        kmf.penalties.Consistency(0.3, shift),
    ],
)
@pytest.mark.parametrize(
    "kind", slow_except(["plain"], ["plain", "conditional"])
)
def test_penalties(data, penalty, kind):
    check(data, kind, penalty=penalty)


def test_patches(data):
    check(data, "patches", objective_is_a_mean=True, penalty="r1")


def test_critics(data):
    check(data, flow=kmf.W1FE, penalty=None, persistency=2)


def test_slices_of_a_batch(data):
    x, _, weights = data
    x, weights = np.tile(x, (2, 1)), np.tile(weights, 2)
    one = make_model(split_batch=True, discriminator_steps=2)
    one.fit(x, sample_weight=weights, batch_size=12, shuffle=False, verbose=0)
    # Both slices are the same rows.
    half = make_model(discriminator_steps=2)
    half.fit(x[:6], sample_weight=weights[:6], shuffle=False, verbose=0)
    assert_alike(one, half)


@pytest.mark.parametrize("name", ["gradient_penalty", "lipschitz", "dragan"])
def test_penalties_at_random_points(rng, name):
    """D(x) = |x|^2 / 2 has the gradient x."""
    penalty = kmf.penalties.get(name)[0]
    real, fake = np.float32(rng.normal(size=(2, 6, 2)) + 2)

    def discriminator(x):
        return ops.sum(x**2, axis=1) / 2

    weight = np.float32(WEIGHTS / WEIGHTS.mean())
    points = numpy(penalty.points(*map(ops.convert_to_tensor, (real, fake)), 3))
    excess = np.linalg.norm(points, axis=1) - 1.0
    if name == "lipschitz":
        excess = np.maximum(excess, 0.0)
    value = penalty.value(discriminator, real, fake, 3, real_weight=weight)
    np.testing.assert_allclose(
        float(value), np.mean(weight * excess**2), rtol=1e-4
    )


def test_generated_samples_have_other_weights(rng):
    real, fake = np.float32(rng.normal(size=(2, 6, 2)) + 2)

    def discriminator(x):
        return ops.sum(x**2, axis=1) / 2

    weight = np.float32(WEIGHTS / WEIGHTS.mean())
    for known, weights in (
        ({"real_weight": weight}, 1.0),
        ({"fake_weight": weight}, weight),
    ):
        value = kmf.penalties.R2(1.0).value(discriminator, real, fake, **known)
        want = np.mean(weights * np.sum(fake**2, 1)) / 2
        np.testing.assert_allclose(float(value), want, rtol=1e-4)


@pytest.mark.parametrize(
    ("objective", "output_of"),
    [
        ("logistic", lambda u: u),
        ("least_squares", lambda u: 1 / (1 + np.exp(-u))),
        ("exponential", lambda u: u / 2),
        ("donsker_varadhan", lambda u: u + 0.3),
        ("least_squares_ratio", np.exp),
        ("relativistic", lambda u: u - 0.7),
        ("chi2_tight", lambda u: np.exp(u) - 1 + 0.2),
    ],
)
def test_the_ratio_is_that_of_weighted_data(objective, output_of):
    """On a space of two points, the objective has its minimum at the link of
    the log ratio of weighted data, by finite differences."""
    real, fake = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1])
    weights = np.array([4.0, 2.0, 0.5, 0.5, 1.0])
    p = np.bincount(real, weights) / weights.sum()
    q = np.bincount(fake) / len(fake)
    u = np.log(p / q)
    loss = kmf.losses.get(objective)
    best = output_of(u)

    def value(d, **known):
        outputs = (ops.convert_to_tensor(d[rows]) for rows in (real, fake))
        return float(loss(*outputs, **known))

    known = {"real_weight": ops.convert_to_tensor(weights / weights.mean())}
    step = np.array([0.01, 0.0])
    for arguments, low, high in ((known, 0.0, 5e-4), ({}, 0.01, 10.0)):
        ends = [value(best + s * step, **arguments) for s in (1, -1)]
        assert low <= abs(ends[0] - ends[1]) / 0.02 < high
    assert value(best + 30 * step, **known) > value(best, **known)
    ratio = loss.log_ratio(best, ops.convert_to_tensor(best[fake]))
    np.testing.assert_allclose(numpy(ratio), u, atol=1e-5)


def forms_of_data(x, weights):
    """Weighted data in one batch, in all forms."""
    yield kmf.datasets.ShuffledDataset(x, sample_weight=weights)
    yield (triple for triple in [(x, weights, weights)])
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        data = tf.data.Dataset.from_tensor_slices((x, weights, weights))
        yield data.batch(8)
    if keras.backend.backend() == "torch":
        import torch

        tensors = [torch.tensor(a) for a in (x, weights, weights)]
        data = torch.utils.data.TensorDataset(*tensors)
        yield torch.utils.data.DataLoader(data, batch_size=8)


def test_every_form_of_data(data):
    x, _, weights = data
    want = make_model()
    want.fit(x, sample_weight=weights, verbose=0, validation_split=0.0)
    for weighted in forms_of_data(x, np.float32(weights)):
        model = make_model()
        model.fit(weighted, verbose=0)
        assert_alike(want, model)
    model = make_model()
    model.train_on_batch(x, sample_weight=np.float32(weights))
    assert_alike(want, model)


def test_conditions_of_several_parts(data):
    """Keras hands the weights on once for each part."""
    x, c, weights = data
    y, weights = {"a": x, "b": c}, np.float32(weights)

    def network(units):
        x, a = keras.Input((2,)), keras.Input((2,))
        b = keras.Input(c.shape[1:])
        h = keras.layers.Concatenate()([x, a, b])
        return keras.Model(
            [x, {"a": a, "b": b}],
            keras.layers.Dense(units, kernel_initializer="ones")(h),
        )

    def make():
        model = kmf.MonoFlowGAN(network(2), network(1), seed=0)
        model.compile("sgd", "sgd")
        return model

    model, other = make(), make()
    known = {"verbose": 0, "batch_size": len(x), "shuffle": False}
    known["validation_data"] = (x, y, weights)
    model.fit(x, y, sample_weight=weights, **known)
    other.train_on_batch(x, y, sample_weight=weights)
    assert_alike(model, other)
    plain = make()
    plain.train_on_batch(x, y)
    with pytest.raises(AssertionError):
        assert_alike(plain, other)
    weighted = model.evaluate(x, y, sample_weight=weights, verbose=0)
    assert weighted != model.evaluate(x, y, verbose=0)


@pytest.mark.parametrize("kind", [tuple, list])
def test_held_out_data(data, kind):
    x, _, weights = data
    model = make_model()
    held_out = kind([x, None, weights])
    history = model.fit(x, verbose=0, validation_data=held_out).history
    other = make_model()
    known = {"verbose": 0, "validation_data": repeated(x)[0]}
    want = other.fit(x, **known).history
    for name, values in want.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4, atol=1e-5)


def test_weights_by_place(data):
    """As in Keras, `evaluate` takes them as its fifth argument."""
    x, _, weights = data
    model = make_model()
    want = model.evaluate(x, sample_weight=weights, verbose=0)
    assert model.evaluate(x, None, None, 0, weights) == want
    assert model.evaluate(x, verbose=0) != want


def test_split_off_data(data):
    x, _, weights = data
    model, other = make_model(), make_model()
    known = {"verbose": 0, "shuffle": False}
    got = model.fit(
        x, sample_weight=weights, validation_split=0.5, **known
    ).history
    want = other.fit(
        x[:3],
        sample_weight=weights[:3],
        validation_data=(x[3:], None, weights[3:]),
        **known,
    ).history
    assert got == want


def test_metrics_see_weighted_data(data):
    """Rows are drawn by their weights."""
    x, _, _ = data
    x = np.concatenate([x, x + 100.0])
    weights = np.repeat([1.0, 0.0], 6)
    metric = kmf.metrics.WassersteinDistance()
    for arguments in (
        {"sample_weight": weights},
        {"validation_data": (x, None, weights)},
    ):
        callback = kmf.callbacks.DistributionMetrics(metric)
        model = make_model()
        known = {"verbose": 0, "callbacks": callback, "batch_size": 12}
        history = model.fit(x, **known, **arguments).history
        assert history["val_wasserstein_distance"][0] < 10
        got = model.evaluate(x, sample_weight=weights, verbose=0)
        assert got[-1] < 10
        assert model.evaluate(x, verbose=0)[-1] > 10
    callback = kmf.callbacks.DistributionMetrics(metric)
    stream = kmf.datasets.ShuffledDataset(x, sample_weight=weights)
    history = make_model().fit(stream, verbose=0, callbacks=callback).history
    assert history["val_wasserstein_distance"][0] < 10
    z, x_of_two = keras.Input((2,)), keras.Input((1,), name="a")
    y_of_two = keras.Input((1,), name="b")
    parts = {"a": layers.Dense(1)(z), "b": layers.Dense(1)(z)}
    judge = layers.Dense(1)(layers.Concatenate()([x_of_two, y_of_two]))
    of_parts = kmf.MonoFlowGAN(
        keras.Model(z, parts),
        keras.Model({"a": x_of_two, "b": y_of_two}, judge),
    )
    of_parts.compile("sgd", "sgd")
    stream = kmf.datasets.ShuffledDataset(
        {"a": x[:, :1], "b": x[:, 1:]}, sample_weight=weights
    )
    history = of_parts.fit(stream, verbose=0, callbacks=callback).history
    assert history["val_wasserstein_distance"][0] < 10
    callback = kmf.callbacks.DistributionMetrics(metric, samples=4000)
    many = np.repeat(np.float32([[0.0, 0.0], [1.0, 0.0]]), 2000, axis=0)
    drawn, _ = callback.choose(many, None, np.repeat([1.0, 3.0], 2000))
    assert abs(drawn[:, 0].mean() - 0.75) < 0.03


@pytest.mark.parametrize("kind", ["numbers", "one-hot"])
def test_weights_of_classes(data, kind):
    x, _, _ = data
    y = np.array([0, 1, 1, 2, 0, 2])
    weights = np.array([2.0, 5.0])[[0, 0, 0, 1, 0, 1]]
    weights[y == 1] = 1.0
    one, other = make_model(), make_model()
    classes = y if kind == "numbers" else np.eye(3)[y]
    known = {"verbose": 0, "shuffle": False}
    one.fit(x, classes, class_weight={0: 2.0, 2: 5.0}, **known)
    other.fit(x, sample_weight=weights, **known)
    assert_alike(one, other)
    model, other = make_model("conditional"), make_model("conditional")
    y = y[:, None]
    model.fit(x, y, class_weight={0: 2.0, 2: 5.0}, **known)
    other.fit(x, y, sample_weight=weights, **known)
    assert_alike(model, other)


def with_penalty_of_ones_own():
    class Own(kmf.penalties.Penalty):
        def value(self, discriminator, real, generated, seed=None):
            return ops.mean(discriminator(real) ** 2)

    return make_model(penalty=Own(1.0))


def sample_flow():
    model = kmf.SampleFlow(tanh_network(np.random.default_rng(0), 2))
    model.compile("sgd")
    return model


def packed():
    rng = np.random.default_rng(0)
    model = kmf.MonoFlowGAN(
        tanh_network(rng, 2), tanh_network(rng, 1, inputs=4), pack=2
    )
    model.compile("sgd", "sgd")
    return model


def w2fe():
    rng = np.random.default_rng(0)
    model = kmf.W2FE(
        tanh_network(rng, 2), tanh_network(rng, 1), tanh_network(rng, 1)
    )
    model.compile("sgd", "sgd")
    return model


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (sample_flow, "a velocity from samples"),
        (packed, "pack=2"),
        (w2fe, "KantorovichPotential"),
        (with_penalty_of_ones_own, "the penalty Own"),
        (
            lambda: make_model(
                mapping="relativistic", discriminator_loss="relativistic"
            ),
            "the mapping 'relativistic'",
        ),
        (
            lambda: make_model(
                "conditional", discriminator_loss="donsker_varadhan"
            ),
            "donsker_varadhan' with conditions",
        ),
        (
            lambda: make_model(
                generator_terms=lambda x, real, c, features: ops.mean(x)
            ),
            "`generator_terms`",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*not registered")
def test_where_weights_cannot_be_meant(data, make, reason):
    x, c, weights = data
    model = make()
    y = c if model.conditional else None
    with pytest.raises(ValueError, match=f"with .*{reason}"):
        model.fit(x, y, sample_weight=weights, verbose=0)
    with pytest.raises(ValueError, match=f"with .*{reason}"):
        model.evaluate(x, y, sample_weight=weights, verbose=0)


def test_what_is_refused(data):
    x, y, weights = data
    model = make_model()
    for bad, message in (
        (weights[:3], "one number for each sample"),
        (np.tile(weights[:, None], 2), "one number for each sample"),
        (-weights, "at least 0"),
        (weights * np.nan, "finite"),
        (0 * weights, "not be 0 for all"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(x, sample_weight=bad, verbose=0)
    classes = np.array([0, 1, 1, 2, 0, 2])
    for labels, arguments, message in (
        (None, {"class_weight": {0: 1.0}}, "needs an array of classes"),
        (y, {"class_weight": {0: 1.0}}, "needs an array of classes"),
        (classes, {"class_weight": {7: 1.0}}, "the class 7"),
        (
            classes,
            {"class_weight": {0: 1.0}, "sample_weight": weights},
            "do not go together",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(x, labels, verbose=0, **arguments)
    with pytest.raises(TypeError, match="must be a dictionary"):
        model.fit(x, classes, class_weight=[1.0], verbose=0)


@pytest.mark.parametrize("form", ["arrays", "classes", "data set"])
@pytest.mark.parametrize("batch_size", [32, 128])
def test_rare_rows_that_count_much(form, batch_size, rng):
    """A batch without them counts less than one with them: the weights are
    divided by their mean over the data, not over a batch."""
    x = np.zeros((3200, 1), "float32")
    x[:32] = 1.0
    y = x[:, 0].astype("int32")
    judge = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    judge.set_weights([np.ones((1, 1)), np.zeros(1)])
    generator = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    gan = kmf.MonoFlowGAN(generator, judge)
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0))
    weights = 1.0 + 98.0 * y
    arguments = {"batch_size": batch_size, "verbose": 0}
    if form == "arrays":
        history = gan.fit(x, sample_weight=weights, **arguments)
    elif form == "classes":
        history = gan.fit(x, y, class_weight={1: 99.0}, **arguments)
    else:
        data = kmf.datasets.ShuffledDataset(
            x, sample_weight=weights, batch_size=batch_size
        )
        history = gan.fit(data, verbose=0)
    # `u` is `x`, and half of the weight is that of the rare rows.
    ratio = history.history["log_ratio_real"][-1]
    assert ratio == pytest.approx(99 / (99 + 99), rel=1e-4)


def test_other_weights_are_not_taken_for_the_first_ones(data):
    """The mean of the weights is part of the compiled step."""
    x, _, weights = data
    twice, once = make_model(), make_model()
    twice.fit(x, sample_weight=5.0 + weights, batch_size=3, verbose=0)
    twice.set_weights(once.get_weights())
    for model in (twice, once):
        fit = {"batch_size": 3, "shuffle": False, "verbose": 0}
        model.fit(x, sample_weight=weights, **fit)
    assert_alike(twice, once, rtol=1e-6, atol=1e-7)
