"""Rounds of a flow from samples, against NumPy."""

import keras
import numpy as np
import pytest
from helpers import numpy, slow_except
from keras import layers, ops

import keras_monoflow as kmf
from keras_monoflow import velocities
from keras_monoflow.models.sample_field import REFERENCE_SEED

Z = np.array([[0.5, -1.0], [1.0, 0.3], [-0.7, 0.2], [0.1, 1.5]])


@keras.saving.register_keras_serializable("tests")
def fixed_latent(shape, dtype=None, seed=None):
    """The same latent points in each draw."""
    return ops.convert_to_tensor(Z[: shape[0]], dtype)


@keras.saving.register_keras_serializable("tests")
class ToTheMean(velocities.Velocity):
    """Real rows attract to their mean, the second batch repels from its own."""

    log_names = ("generator_loss",)
    is_field = True

    def flow(self, pairs, seed):
        gap = ops.mean(pairs.x, 0) - ops.mean(pairs.z, 0)
        return gap + 0.0 * pairs.y, {"generator_loss": ops.sum(gap**2)}


def linear_generator(rng):
    generator = keras.Sequential([layers.Input((2,)), layers.Dense(2)])
    generator.set_weights([rng.normal(size=(2, 2)), rng.normal(size=2)])
    return generator


def linear_features(rng, sizes=(3,)):
    inputs = keras.Input((2,))
    outputs = [layers.Dense(size, use_bias=False)(inputs) for size in sizes]
    features = keras.Model(inputs, outputs if len(sizes) > 1 else outputs[0])
    features.set_weights([rng.normal(size=(2, size)) for size in sizes])
    return features


def mean_distance(rows):
    d = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
    return d.sum() / (len(rows) * (len(rows) - 1))


def train(model, x, rate=0.3, **choices):
    model.compile(keras.optimizers.SGD(rate), ToTheMean(), **choices)
    return model.fit(x, batch_size=len(x), verbose=0).history


def fits(weights, target, persistency, rate, pull=lambda residual: residual):
    """`K` steps of gradient descent on `mean 1/2 |target - position|^2`."""
    kernel, bias = (np.array(w, "float64") for w in weights)
    losses = []
    for _ in range(persistency):
        residual = target(Z @ kernel + bias)
        losses.append(np.sum(residual**2) / 2 / len(Z))
        force = pull(residual) / len(Z)
        kernel = kernel + rate * Z.T @ force
        bias = bias + rate * force.sum(0)
    return (kernel, bias), losses


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("persistency", [1, 4])
def test_a_round_is_the_persistent_step(rng, persistency, normalize):
    generator = linear_generator(rng)
    before = generator.get_weights()
    x = np.float32(rng.normal(1.0, size=(4, 2)))
    history = train(
        kmf.SampleFlow(generator, prior=fixed_latent),
        x,
        persistency=persistency,
        step_size=0.25,
        normalize_velocity=normalize,
    )
    y = Z @ before[0] + before[1]
    velocity = np.tile(x.mean(0) - y.mean(0), (4, 1))
    speed = np.linalg.norm(velocity[0])
    moved = y + 0.25 * velocity / (speed if normalize else 1.0)
    after, losses = fits(before, lambda y: moved - y, persistency, 0.3)
    for weight, expected in zip(generator.get_weights(), after):
        np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(history["velocity_norm"], [speed], rtol=1e-5)
    np.testing.assert_allclose(history["generator_loss"], [speed**2], rtol=1e-5)
    if persistency > 1:
        np.testing.assert_allclose(
            history["regression_loss"], [np.mean(losses[1:])], rtol=1e-4
        )


@pytest.mark.parametrize("sizes", [(3,), (3, 5)])
@pytest.mark.parametrize("persistency", [1, 3])
def test_features_move_in_place_of_samples(rng, persistency, sizes):
    generator, features = linear_generator(rng), linear_features(rng, sizes)
    before, frozen = generator.get_weights(), features.get_weights()
    x = np.float32(rng.normal(1.0, size=(4, 2)))
    model = kmf.SampleFlow(generator, features, prior=fixed_latent)
    train(model, x, rate=0.02, persistency=persistency, step_size=0.25)
    # Scaled, so that real rows have the mean distance sqrt(size).
    phi = np.concatenate(
        [w * w.shape[1] ** 0.5 / mean_distance(x @ w) for w in frozen], axis=1
    )
    y = (Z @ before[0] + before[1]) @ phi
    target = y + 0.25 * ((x @ phi).mean(0) - y.mean(0))
    after, _ = fits(
        before,
        lambda y: target - y @ phi,
        persistency,
        0.02,
        pull=lambda residual: residual @ phi.T,
    )
    for weight, expected in zip(generator.get_weights(), after):
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-5)
    for weight, expected in zip(features.get_weights(), frozen):
        np.testing.assert_array_equal(weight, expected)


def test_each_map_of_features_has_its_own_velocity(rng):
    generator, features = linear_generator(rng), linear_features(rng, (3, 5))
    x = np.float32(rng.normal(1.0, size=(16, 2)))
    model = kmf.SampleFlow(generator, features)
    energy = velocities.Energy()
    model.compile("sgd", energy)
    model.set_reference(x)
    scales = [
        w.shape[1] ** 0.5 / mean_distance(x @ w) for w in features.get_weights()
    ]
    expected = 0.0
    y, other = x[:4] + 1, model.sample(16, seed=REFERENCE_SEED)
    for scale, w in zip(scales, features.get_weights()):
        w = scale * w
        expected = expected + numpy(energy(y @ w, x @ w, other @ w)) @ w.T
    np.testing.assert_allclose(
        model.velocity(y), expected, rtol=1e-4, atol=1e-4
    )


@keras.saving.register_keras_serializable("tests")
class Apart(velocities.Velocity):
    """Logs how far the rows of both generated batches are from each other."""

    log_names = ("generator_loss",)

    def flow(self, pairs, seed):
        gap = ops.sum((pairs.y - pairs.z) ** 2, axis=1)
        return 0.0 * pairs.y + 1.0, {"generator_loss": ops.min(gap)}


def test_what_repels_is_a_second_batch(rng):
    generator = linear_generator(rng)
    model = kmf.SampleFlow(generator, seed=0)
    model.compile(keras.optimizers.SGD(0.0), Apart())
    x = np.ones((4, 2))
    history = model.fit(x, batch_size=4, epochs=3, verbose=0).history
    # Latent points are drawn anew for both, in each round.
    assert min(history["generator_loss"]) > 1e-4
    assert len(set(history["generator_loss"])) == 3


def test_generated_batch_is_independent_of_the_batch(rng):
    generator = linear_generator(rng)
    before = generator.get_weights()
    x = np.float32(rng.normal(1.0, size=(8, 2)))
    model = kmf.SampleFlow(generator, prior=fixed_latent)
    train(model, x, generated_batch=4)
    y = Z @ before[0] + before[1]
    target = y + x.mean(0) - y.mean(0)
    after, _ = fits(before, lambda y: target - y, 1, 0.3)
    np.testing.assert_allclose(generator.get_weights()[1], after[1], rtol=1e-5)


def conditional_flow(**choices):
    z, c = keras.Input((2,)), keras.Input((), dtype="int32")
    embedded = layers.Flatten()(layers.Embedding(3, 4)(c[:, None]))
    h = layers.Dense(16, "tanh")(layers.Concatenate()([z, embedded]))
    generator = keras.Model([z, c], layers.Dense(2)(h))
    model = kmf.SampleFlow(generator, seed=0)
    defaults = {
        "velocity": "energy",
        "persistency": 3,
        "step_size": 0.3,
        "normalize_velocity": True,
    }
    model.compile(keras.optimizers.Adam(0.01), **{**defaults, **choices})
    return model


def classes(rng, n=240):
    """Rows of three classes around (4, 0), (0, 4) and (-4, 0)."""
    y = np.arange(n, dtype="int32") % 3
    centers = np.array([[4.0, 0.0], [0.0, 4.0], [-4.0, 0.0]])
    x = centers[y] + 0.1 * rng.normal(size=(n, 2))
    return np.float32(x), y, centers


@pytest.mark.parametrize("generated_batch", slow_except([48], [None, 48]))
def test_each_class_goes_to_its_own_data(rng, generated_batch):
    x, y, centers = classes(rng)
    model = conditional_flow(generated_batch=generated_batch)
    model.fit(x, y, batch_size=60, epochs=40, verbose=0)
    for c in range(3):
        mean = model.sample(200, seed=1, labels=c).mean(0)
        assert np.linalg.norm(mean - centers[c]) < 1.0
    assert model.velocity(x[:6], y[:6]).shape == (6, 2)
    assert np.isfinite(model.evaluate(x, y, verbose=0)).all()


@pytest.mark.slow
def test_guidance_pushes_classes_apart(rng):
    x, y, _ = classes(rng)
    x = x * 0.2  # The classes overlap for the kernel.

    def spread(guidance):
        model = conditional_flow(guidance=guidance)
        model.fit(x, y, batch_size=60, epochs=30, verbose=0)
        means = [model.sample(200, seed=1, labels=c).mean(0) for c in (0, 2)]
        return np.linalg.norm(means[0] - means[1])

    assert spread((1.5, 3.0)) > spread(1.0) + 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kernel_ratio", "drifting", "sinkhorn"])
def test_a_generator_finds_the_ring(name):
    data = kmf.datasets.gaussian_ring(2560, seed=0)
    model = kmf.SampleFlow(kmf.networks.mlp_generator(2, 2, seed=0), seed=1)
    model.compile(
        keras.optimizers.Adam(1e-3, 0.5, 0.9),
        name,
        persistency=5,
        step_size=0.1,
        normalize_velocity=True,
    )
    model.fit(data, batch_size=128, epochs=25, verbose=0)
    distance = kmf.metrics.WassersteinDistance()
    assert distance(data[:1000], model.sample(1000, seed=0)) < 0.35


def test_log_ratios_are_those_of_the_kernels(rng):
    x = np.float32(rng.normal(size=(64, 2)))
    model = kmf.SampleFlow(linear_generator(rng))
    model.compile("sgd", velocities.KernelRatio("gaussian", 1.0, "mle", False))
    model.set_reference(x)
    other = model.sample(64, seed=REFERENCE_SEED)

    def log_density(rows):
        d = np.linalg.norm(x[:5, None] - rows[None], axis=-1)
        # A sample is not its own neighbor.
        kernel = np.where(d > 0, np.exp(-(d**2) / 2), 0)
        return np.log(kernel.sum(1) / (d > 0).sum(1))

    np.testing.assert_allclose(
        model.log_ratio(x[:5]), log_density(x) - log_density(other), rtol=1e-4
    )
    assert model.mapping == model.sample_velocity.mapping


def test_logs_on_held_out_data_are_those_of_the_velocity(rng):
    x = np.float32(rng.normal(size=(32, 2)))
    model = kmf.SampleFlow(linear_generator(rng), prior=fixed_latent)
    model.compile("sgd", ToTheMean())
    y = Z @ model.generator.get_weights()[0] + model.generator.get_weights()[1]
    values = model.evaluate(x[:4], batch_size=4, verbose=0, return_dict=True)
    gap = np.linalg.norm(x[:4].mean(0) - y.mean(0))
    np.testing.assert_allclose(values["generator_loss"], gap**2, rtol=1e-5)
    np.testing.assert_allclose(values["velocity_norm"], gap, rtol=1e-5)


@pytest.mark.parametrize(
    ("choices", "error", "message"),
    [
        ({"velocity": "drift-ing"}, ValueError, "Did you mean 'drifting'"),
        ({"velocity": 3}, TypeError, "velocity=3"),
        ({"update": "naive"}, ValueError, "`update` of a SampleFlow"),
        ({"generated_batch": 0}, ValueError, "`generated_batch`"),
        ({"generated_batch": 1.5}, TypeError, "generated_batch=1.5"),
        ({"guidance": 2.0}, ValueError, "`guidance` needs labels"),
        ({"guidance": 0.5}, ValueError, "at least 1"),
        ({"persistency": 0}, ValueError, "`persistency`"),
        ({"step_size": -1.0}, ValueError, "`step_size`"),
        ({"generator_optimizer": None}, ValueError, "`generator_optimizer` is"),
        ({"loss": "mse"}, ValueError, "`loss` is not an argument"),
    ],
)
def test_arguments_of_compile(rng, choices, error, message):
    model = kmf.SampleFlow(linear_generator(rng))
    with pytest.raises(error, match=message):
        model.compile(**{"generator_optimizer": "sgd", **choices})


def test_what_a_velocity_cannot_do_is_refused():
    with pytest.raises(ValueError, match=r"cannot restrict samples"):
        conditional_flow(velocity="sliced")
    with pytest.raises(ValueError, match="has no guidance"):
        conditional_flow(velocity="sinkhorn", guidance=2.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda g: kmf.SampleFlow(g, g), "must be two networks"),
        (
            lambda g: kmf.SampleFlow(g, kmf.networks.mlp_discriminator(3)),
            "`features` takes inputs of shape",
        ),
    ],
)
def test_features_that_do_not_fit(rng, make, message):
    with pytest.raises(ValueError, match=message):
        make(linear_generator(rng))


def test_without_rows_of_the_data_there_is_no_velocity(rng):
    model = kmf.SampleFlow(linear_generator(rng))
    with pytest.raises(ValueError, match=r"`compile` of SampleFlow"):
        model.velocity(np.zeros((2, 2)))
    model.compile("sgd", "energy")
    with pytest.raises(ValueError, match="set_reference"):
        model.velocity(np.zeros((2, 2)))
    model.set_reference(np.ones((4, 2)))
    with pytest.raises(ValueError, match="density ratio"):
        model.log_ratio(np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"of the generator have \(2,\)"):
        model.set_reference(np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"of the generator have \(2,\)"):
        model.fit(np.ones((4, 3)), verbose=0)
    with pytest.raises(ValueError, match="nan"):
        model.fit(np.full((4, 2), np.nan), verbose=0)


def test_there_is_no_discriminator_to_ask(rng):
    model = kmf.SampleFlow(linear_generator(rng))
    model.compile("sgd", "energy")
    x = np.ones((4, 2), "float32")
    with pytest.raises(ValueError, match="no discriminator"):
        model.discriminator_objective(x, x)
    model.compile("sgd", "sinkhorn")
    with pytest.raises(ValueError, match="needs a velocity that is a field"):
        model.refine(x)


def test_batches_that_are_too_small(rng):
    model = kmf.SampleFlow(linear_generator(rng))
    model.compile("sgd", "energy")
    with pytest.raises(ValueError, match="smallest batch has one"):
        model.fit(np.ones((9, 2)), batch_size=4, verbose=0)
    x, y, _ = classes(rng)
    conditional = conditional_flow()
    with pytest.raises(ValueError, match=r"2 rows.*3 classes.*ClassBatches"):
        conditional.fit(x, y, batch_size=2, verbose=0)
    alone = kmf.datasets.ShuffledDataset(x[:3], y[:3], batch_size=3)
    with pytest.raises(ValueError, match=r"3 rows.*3 classes"):
        conditional.fit(alone, verbose=0)
    batches = kmf.datasets.ClassBatches(x, y, classes=2, rows=4)
    conditional.fit(batches, verbose=0)


@pytest.mark.parametrize("scaled", [False, True])
def test_an_optimizers_own_average_is_that_of_the_generator(rng, scaled):
    """And not of the features, which `fit` does not train."""
    features = linear_features(rng)
    before = features.get_weights()
    model = kmf.SampleFlow(linear_generator(rng), features=features)
    optimizer = keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer, "energy")
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(self.model.generator.get_weights()[0])

    x = np.float32(rng.normal(3.0, size=(24, 2)))
    model.fit(x, batch_size=8, verbose=0, callbacks=[Watch()])
    average = seen[0]
    for kernel in seen[1:]:
        average = (average + kernel) / 2
    np.testing.assert_allclose(
        model.generator.get_weights()[0], average, rtol=1e-4, atol=1e-6
    )
    # The next training starts from there.
    model.fit(x, batch_size=8, verbose=0)
    for a, b in zip(features.get_weights(), before):
        np.testing.assert_array_equal(a, b)


class NoVelocity(velocities.Velocity):
    def flow(self, pairs, seed):
        return 0.0 * pairs.y, {}


def test_an_unregistered_velocity_warns_and_is_not_saved(rng, tmp_path):
    model = kmf.SampleFlow(linear_generator(rng))
    with pytest.warns(UserWarning, match="velocity 'NoVelocity' is not reg"):
        model.compile("sgd", NoVelocity())
    with pytest.raises(ValueError, match="Nothing was written"):
        model.save(tmp_path / "model.keras")


def test_samples_that_do_not_move_are_noticed(rng):
    model = kmf.SampleFlow(linear_generator(rng))
    with pytest.warns(UserWarning, match="not registered"):
        model.compile("sgd", NoVelocity())
    with pytest.warns(UserWarning, match="have not moved.*the velocity is 0"):
        model.fit(np.ones((8, 2)), batch_size=4, verbose=0)


def test_a_generator_without_gradient_is_noticed(rng):
    inputs = keras.Input((2,))
    rounded = layers.Lambda(lambda x: ops.floor(x))
    model = kmf.SampleFlow(
        keras.Model(inputs, rounded(layers.Dense(2)(inputs)))
    )
    model.compile("sgd", "energy")
    with pytest.warns(UserWarning, match=r"No weight of the generator.*round"):
        model.fit(np.ones((8, 2)), batch_size=4, verbose=0)


def test_checks_are_of_the_rows_that_are_trained_on(rng):
    """Not of those that `validation_split` holds back."""
    flow = kmf.SampleFlow(kmf.networks.mlp_generator(2, 2, units=(4,)))
    flow.compile("sgd", "energy")
    x = rng.normal(size=(44, 2)).astype("float32")
    # 24 of 33 rows are a batch; 33 of 44 leave one row over.
    flow.fit(x[:33], batch_size=32, validation_split=0.25, verbose=0)
    with pytest.raises(ValueError, match="the smallest batch has one"):
        flow.fit(x, batch_size=32, validation_split=0.25, verbose=0)
    x[-1] = np.nan
    with pytest.raises(ValueError, match=r"`validation_data`.*nan among"):
        flow.fit(x, batch_size=11, validation_split=0.25, verbose=0)
