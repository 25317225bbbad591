"""The public behavior of MonoFlowGAN."""

import json
import warnings

import keras
import numpy as np
import pytest
from helpers import make_gan, make_networks, slow_except
from keras import layers, ops

import keras_monoflow as kmf

POLICIES = ["float32", "mixed_bfloat16", "mixed_float16"]


@keras.saving.register_keras_serializable("tests")
def cubic(u):
    return u + u**3 / 10


@keras.saving.register_keras_serializable("tests")
def two_point(shape, dtype=None, seed=None):
    return ops.sign(keras.random.normal(shape, dtype=dtype, seed=seed))


def fit(gan, data, **kwargs):
    return gan.fit(data, batch_size=32, verbose=0, **kwargs)


def test_logs_are_what_they_say(data):
    """One batch, so that means over the epoch are values of that batch."""
    gan = make_gan("identity", penalty=kmf.penalties.R1(3.0))
    discriminator = keras.models.clone_model(gan.discriminator)
    discriminator.set_weights(gan.discriminator.get_weights())
    prior = np.tile([[0.3, -0.2]], (2, 1))
    gan = kmf.MonoFlowGAN(gan.generator, gan.discriminator, prior=prior)
    gan.compile(
        generator_optimizer=keras.optimizers.SGD(0.1),
        discriminator_optimizer=keras.optimizers.SGD(0.2),
        mapping="identity",
        penalty=kmf.penalties.R1(3.0),
    )
    sample = ops.convert_to_numpy(gan.generator(prior))
    logs = gan.fit(data, batch_size=64, verbose=0).history

    def outputs(network, x):
        return ops.convert_to_numpy(network(x))[:, 0].astype("float64")

    real, fake = outputs(discriminator, data), outputs(discriminator, sample)
    loss = np.mean(np.logaddexp(0, -real)) + np.mean(np.logaddexp(0, fake))
    np.testing.assert_allclose(logs["discriminator_loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(logs["log_ratio_real"], real.mean(), rtol=1e-4)
    np.testing.assert_allclose(logs["log_ratio_fake"], fake.mean(), rtol=1e-4)
    # The generator's logs follow the discriminator's update.
    np.testing.assert_allclose(
        logs["generator_loss"],
        -outputs(gan.discriminator, sample).mean(),
        rtol=1e-4,
    )
    speed = np.linalg.norm(gan.velocity(sample), axis=-1).mean()
    np.testing.assert_allclose(logs["velocity_norm"], speed, rtol=1e-4)
    kernels = discriminator.get_weights()
    hidden = np.tanh(data @ kernels[0] + kernels[1])
    gradient = ((1 - hidden**2) * kernels[2][:, 0]) @ kernels[0].T
    want = 1.5 * np.mean(np.sum(gradient**2, -1))
    np.testing.assert_allclose(logs["penalty"], want, rtol=1e-4)


def test_sample_is_a_function_of_the_seed():
    gan = make_gan()
    a, b = gan.sample(7, seed=3), gan.sample(7, seed=3, batch_size=2)
    assert isinstance(a, np.ndarray)
    assert a.shape == (7, 2)
    # Some processors round a batch of another size otherwise, by 2^-24.
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    assert not np.allclose(a, gan.sample(7, seed=4))
    assert not np.allclose(gan.sample(7), gan.sample(7))
    z = gan.sample_latent(7, seed=3)
    np.testing.assert_allclose(
        gan.predict(z, verbose=0), a, rtol=1e-6, atol=1e-7
    )


@pytest.mark.slow
def test_evaluate_repeats_itself_and_sees_all_batches(data):
    gan = make_gan()
    ragged = data[:50]
    a = gan.evaluate(ragged, batch_size=32, verbose=0, return_dict=True)
    b = gan.evaluate(ragged, batch_size=32, verbose=0, return_dict=True)
    assert a == b
    assert set(a) == {
        "discriminator_loss",
        "generator_loss",
        "log_ratio_real",
        "log_ratio_fake",
    }
    real = ops.convert_to_numpy(gan.discriminator(ragged)).mean()
    np.testing.assert_allclose(a["log_ratio_real"], real, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "prior",
    [
        "normal",
        pytest.param("uniform", marks=pytest.mark.slow),
        pytest.param(two_point, marks=pytest.mark.slow),
        np.array([[1.0, 2.0], [3.0, 4.0]]),
    ],
    ids=["normal", "uniform", "function", "array"],
)
def test_priors_and_their_saving(prior, tmp_path, data):
    gan = kmf.MonoFlowGAN(*make_networks(), prior=prior, seed=1)
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(),
        discriminator_optimizer=keras.optimizers.Adam(),
    )
    z = gan.sample_latent(4000, seed=0)
    if isinstance(prior, np.ndarray):
        assert {tuple(row) for row in z} == {(1.0, 2.0), (3.0, 4.0)}
        np.testing.assert_allclose(z.mean(0), [2.0, 3.0], atol=0.1)
        # The values are weights, and not part of the configuration.
        assert "3.0" not in json.dumps(gan.get_config()["prior"])
    elif prior == "normal":
        np.testing.assert_allclose(z.std(0), 1.0, atol=0.05)
    elif prior == "uniform":
        assert z.min() >= -1
        assert z.max() <= 1
        np.testing.assert_allclose(z.std(0), 3**-0.5, atol=0.05)
    else:
        assert set(np.unique(z)) == {-1.0, 1.0}
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(
        loaded.sample_latent(9, seed=0), gan.sample_latent(9, seed=0)
    )
    fit(loaded, data)


@pytest.mark.slow
def test_keras_file_keeps_every_choice(tmp_path, data):
    gan = make_gan(
        kmf.mappings.Alpha(2.0, limit=5.0),
        generator_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
        discriminator_optimizer=keras.optimizers.RMSprop(1e-3),
        discriminator_loss=kmf.losses.LogisticLoss(0.1),
        penalty=[kmf.penalties.R1(2.0), kmf.penalties.DRAGAN(3.0, scale=0.2)],
        discriminator_steps=3,
        split_batch=True,
        persistency=2,
        step_size=keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5),
        steps_per_execution=1,
    )
    fit(gan, data)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert loaded.get_compile_config() == gan.get_compile_config()
    assert loaded.seed == gan.seed
    assert loaded.mapping.limit == 5.0
    assert loaded.penalties[1].scale == 0.2
    assert isinstance(loaded.optimizer.discriminator, keras.optimizers.RMSprop)


def test_optimizers_are_named_for_every_backend():
    for name, config in (
        make_gan(
            generator_optimizer=keras.optimizers.Adam(),
            discriminator_optimizer=keras.optimizers.LossScaleOptimizer(
                keras.optimizers.RMSprop()
            ),
        )
        .get_compile_config()
        .items()
    ):
        if name.endswith("optimizer"):
            assert config["module"] == "keras.optimizers"
            inner = config["config"].get("inner_optimizer", config)
            assert inner["module"] == "keras.optimizers"


@pytest.mark.slow
def test_custom_mapping_by_function(tmp_path, data):
    gan = make_gan(cubic)
    fit(gan, data)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(loaded.velocity(data), gan.velocity(data))


def test_unregistered_function_warns_and_save_writes_nothing(tmp_path):
    with pytest.warns(UserWarning, match="not registered"):
        gan = make_gan(lambda u: 2.0 * u)
    path = tmp_path / "gan.keras"
    path.write_text("precious")
    with pytest.raises(ValueError, match="not registered"):
        gan.save(path)
    assert path.read_text() == "precious"
    gan.save_weights(tmp_path / "gan.weights.h5")


def test_registered_things_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for mapping in (cubic, "mle", kmf.mappings.Vanilla(5.0)):
            make_gan(mapping)


@pytest.mark.slow
@pytest.mark.parametrize("policy", slow_except(["mixed_float16"], POLICIES))
def test_losses_are_float32_under_every_policy(policy, data):
    keras.config.set_dtype_policy(policy)
    gan = make_gan(penalty=kmf.penalties.R1(1.0))
    for optimizer in (gan.optimizer.generator, gan.optimizer.discriminator):
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        assert scaled == (policy == "mixed_float16")
    before = gan.get_weights()
    history = fit(gan, data, epochs=2).history
    assert np.isfinite([v for vs in history.values() for v in vs]).all()
    moved = [
        np.abs(a - b).max() for a, b in zip(before, gan.get_weights()) if a.size
    ]
    assert max(moved) > 1e-3
    seen = []

    class Spy(kmf.losses.LogisticLoss):
        def call(self, real_output, fake_output):
            seen.extend([real_output.dtype, fake_output.dtype])
            return super().call(real_output, fake_output)

    fit(make_gan(discriminator_loss=Spy()), data)
    dtypes = {keras.backend.standardize_dtype(d) for d in seen}
    assert dtypes == {"float32"}


@pytest.mark.slow
def test_float16_follows_float32(data):
    """Loss scaling is undone exactly: the same weights to half precision."""

    def train(policy):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(policy)
        gan = make_gan(penalty=kmf.penalties.R1(1.0))
        # The first scale overflows: start below it.
        fit(gan, data, epochs=20, shuffle=False)
        return gan

    half, single = train("mixed_float16"), train("float32")
    iterations = int(ops.convert_to_numpy(half.optimizer.generator.iterations))
    assert 30 <= iterations <= 40
    for a, b in zip(half.get_weights(), single.get_weights()):
        np.testing.assert_allclose(a, b, atol=0.1)


def test_split_batch_uses_each_slice_once(data):
    """With a linear critic and no generator movement, the update of two
    slices equals that of two batches given one after another."""
    common = {
        "generator_optimizer": keras.optimizers.SGD(0.0),
        "discriminator_optimizer": keras.optimizers.SGD(0.5),
    }
    networks = make_networks()
    prior = np.ones((2, 2))
    split = kmf.MonoFlowGAN(*networks, prior=prior)
    weights = split.get_weights()
    split.compile(**common, discriminator_steps=2, split_batch=True)
    split.fit(data, batch_size=64, shuffle=False, verbose=0)
    after_split = split.discriminator.get_weights()
    split.set_weights(weights)
    split.compile(
        generator_optimizer=keras.optimizers.SGD(0.0),
        discriminator_optimizer=keras.optimizers.SGD(0.5),
    )
    split.fit(data, batch_size=32, shuffle=False, verbose=0)
    for a, b in zip(after_split, split.discriminator.get_weights()):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.slow
def test_batch_norm_statistics_advance_once_a_round(data):
    generator = keras.Sequential(
        [
            layers.Input((2,)),
            layers.Dense(2, trainable=False),
            layers.BatchNormalization(momentum=0.5),
            layers.Dense(2),
        ]
    )
    prior = np.array([[1.0, 2.0]])
    gan = kmf.MonoFlowGAN(generator, make_networks()[1], prior=prior)
    gan.compile(
        generator_optimizer=keras.optimizers.SGD(0.1),
        discriminator_optimizer=keras.optimizers.SGD(0.1),
        persistency=4,
        step_size=0.1,
        reuse_generated=True,
    )
    hidden = ops.convert_to_numpy(generator.layers[0](prior))[0]
    fit(gan, data[:32])
    mean = ops.convert_to_numpy(generator.layers[1].moving_mean)
    np.testing.assert_allclose(mean, hidden / 2, rtol=1e-5)


@pytest.mark.slow
def test_all_fits_of_a_round_see_the_same_dropout_mask(data):
    """Only rows of kept inputs move, and these are the same for every K."""
    discriminator = make_networks()[1]

    def moved_rows(persistency):
        generator = keras.Sequential(
            [
                layers.Input((16,)),
                layers.Dropout(0.5, seed=4),
                layers.Dense(2, use_bias=False, kernel_initializer="ones"),
            ]
        )
        gan = kmf.MonoFlowGAN(generator, discriminator, prior=np.ones((1, 16)))
        gan.compile(
            generator_optimizer=keras.optimizers.SGD(0.01),
            discriminator_optimizer=keras.optimizers.SGD(0.0),
            persistency=persistency,
            step_size=0.1,
            reuse_generated=True,
        )
        gan.fit(data[:1], batch_size=1, verbose=0)
        return np.any(generator.get_weights()[0] != 1, axis=1)

    once = moved_rows(1)
    assert 0 < once.sum() < 16
    np.testing.assert_array_equal(moved_rows(6), once)


@pytest.mark.slow
def test_generator_step_leaves_the_discriminator_alone(data):
    """Its batch statistics see only the batches that it learns from."""
    discriminator = keras.Sequential(
        [
            layers.Input((2,)),
            layers.BatchNormalization(momentum=0.5, center=False, scale=False),
            layers.Dense(1),
        ]
    )
    generator = make_networks()[0]
    prior = np.array([[1.0, 2.0]])
    gan = kmf.MonoFlowGAN(generator, discriminator, prior=prior)
    gan.compile(
        generator_optimizer=keras.optimizers.SGD(0.1),
        discriminator_optimizer=keras.optimizers.SGD(0.1),
        penalty=kmf.penalties.GradientPenalty(1.0),
    )
    fake = ops.convert_to_numpy(generator(prior))[0]
    fit(gan, data[:32])
    # Half of the way to the data, then half of the way to the samples.
    want = 0.25 * data[:32].mean(0) + 0.5 * fake
    mean = ops.convert_to_numpy(discriminator.layers[0].moving_mean)
    np.testing.assert_allclose(mean, want, rtol=1e-4, atol=1e-6)


def test_spectral_normalization_trains_both(data):
    def normalized(units):
        return layers.SpectralNormalization(layers.Dense(units))

    generator = keras.Sequential([layers.Input((2,)), normalized(2)])
    discriminator = keras.Sequential([layers.Input((2,)), normalized(1)])
    prior = np.array([[1.0, 2.0]])
    gan = kmf.MonoFlowGAN(generator, discriminator, prior=prior)
    gan.compile(
        generator_optimizer=keras.optimizers.SGD(0.0),
        discriminator_optimizer=keras.optimizers.SGD(0.0),
        mapping="identity",
    )
    fit(gan, data[:32])
    # A round without learning only normalizes the kernels.
    kernels = [n.layers[0].kernel for n in (generator, discriminator)]
    before = [ops.convert_to_numpy(k).copy() for k in kernels]
    for kernel in before:
        assert np.linalg.norm(kernel, 2) < 1.5
    for optimizer in gan.optimizer.optimizers:
        optimizer.learning_rate = 0.1
    fit(gan, data[:32])
    for kernel, old in zip(kernels, before):
        assert np.abs(ops.convert_to_numpy(kernel) - old).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("steps", slow_except([3], [2, 3]))
def test_steps_per_execution_changes_nothing(data, steps):
    if keras.backend.backend() == "torch":
        pytest.skip("Keras has no steps_per_execution on PyTorch")
    single = make_gan()
    several = make_gan(steps_per_execution=steps)
    several.set_weights(single.get_weights())
    for gan in (single, several):
        fit(gan, data, epochs=2, shuffle=False)
    for a, b in zip(single.get_weights(), several.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_compiled_and_eager_agree(data):
    # One latent point: XLA draws other noise from the same seed on TensorFlow.
    prior = np.array([[1.0, 2.0]])
    eager = kmf.MonoFlowGAN(*make_networks(), prior=prior)
    compiled = kmf.MonoFlowGAN(*make_networks(), prior=prior)
    compiled.set_weights(eager.get_weights())
    for gan, arguments in (
        (eager, {"run_eagerly": True}),
        (compiled, {"jit_compile": keras.backend.backend() != "torch"}),
    ):
        gan.compile(
            generator_optimizer=keras.optimizers.SGD(0.1),
            discriminator_optimizer=keras.optimizers.SGD(0.2),
            discriminator_steps=2,
            **arguments,
        )
    for gan in (eager, compiled):
        fit(gan, data, epochs=2, shuffle=False)
    for a, b in zip(eager.get_weights(), compiled.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_donsker_varadhan_potential_is_normalized(data):
    """The velocity of a single point does not depend on its company."""
    gan = make_gan("arcsinh", discriminator_loss="donsker_varadhan")
    fit(gan, data, epochs=3)
    together = gan.velocity(data)
    alone = np.concatenate([gan.velocity(x[None]) for x in data[:3]])
    np.testing.assert_allclose(alone, together[:3], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_weight_regularization_is_added(data):
    """Weight decay of a generator whose discriminator is constant."""
    generator = keras.Sequential(
        [layers.Input((2,)), layers.Dense(2, kernel_regularizer="l2")]
    )
    discriminator = keras.Sequential(
        [layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")]
    )
    gan = kmf.MonoFlowGAN(generator, discriminator)
    gan.compile(
        generator_optimizer=keras.optimizers.SGD(1.0),
        discriminator_optimizer=keras.optimizers.SGD(0.0),
    )
    kernel = generator.get_weights()[0]
    fit(gan, data[:32])
    # l2 is 0.01 |w|^2, so a step of 1 leaves 1 - 0.02 of the weight.
    np.testing.assert_allclose(
        generator.get_weights()[0], 0.98 * kernel, rtol=1e-5
    )


@pytest.mark.slow
def test_works_with_tf_data_and_dataloaders(data):
    gan = make_gan()
    tf = pytest.importorskip("tensorflow")
    history = gan.fit(
        tf.data.Dataset.from_tensor_slices(data).batch(16), verbose=0
    )
    assert np.isfinite(history.history["generator_loss"]).all()
    assert int(ops.convert_to_numpy(gan.optimizer.iterations)) == 4


def test_summary_and_config(capsys):
    gan = make_gan()
    gan.summary()
    out = capsys.readouterr().out
    assert "generator" in out
    assert "discriminator" in out
    again = kmf.MonoFlowGAN.from_config(gan.get_config())
    assert again.latent_shape == (2,)


@pytest.mark.slow
@pytest.mark.parametrize(
    "mapping",
    slow_except(["jeffreys"], sorted(kmf.mappings.NAMED)),
)
def test_every_mapping_trains(mapping, data):
    matched = kmf.mappings.get(mapping).dual is not None
    gan = make_gan(
        mapping,
        discriminator_loss="matched" if matched else "logistic",
        run_eagerly=True,
    )
    history = fit(gan, data[:32])
    assert np.isfinite([v[0] for v in history.history.values()]).all()


class OwnR1(kmf.penalties.R1):
    """Not registered."""


class OwnLoss(kmf.losses.LogisticLoss):
    """Not registered."""


class OwnAugment(kmf.augmentation.DiffAugment):
    """Not registered."""


def unregistered(x, seed):
    return x


class OwnSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Not registered."""

    def __call__(self, step):
        return 0.5

    def get_config(self):
        return {}


def own_schedule(step):
    return 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"penalty": OwnR1(0.1)}, "penalty 'OwnR1'"),
        ({"penalty": ["r2", OwnR1(0.1)]}, "penalty 'OwnR1'"),
        (
            {"penalty": kmf.penalties.Consistency(1.0, unregistered)},
            "augment of Consistency 'unregistered'",
        ),
        ({"discriminator_loss": OwnLoss()}, "discriminator_loss 'OwnLoss'"),
        (
            {"augment": kmf.augmentation.AdaptiveAugment(OwnAugment())},
            "augment 'OwnAugment'",
        ),
        ({"step_size": own_schedule}, "step_size 'own_schedule'"),
        ({"step_size": OwnSchedule()}, "step_size 'OwnSchedule'"),
        ({"ema": OwnSchedule()}, "ema 'OwnSchedule'"),
        ({"ema_half_life": own_schedule}, "ema_half_life 'own_schedule'"),
        (
            {"penalty": kmf.penalties.R1(OwnSchedule())},
            "weight of `penalty` 'OwnSchedule'",
        ),
        (
            {"generator_terms": kmf.terms.FeatureMatching(OwnSchedule())},
            "weight of `generator_terms` 'OwnSchedule'",
        ),
        (
            {"augment": kmf.augmentation.DiffAugment(probability=own_schedule)},
            "probability of `augment` 'own_schedule'",
        ),
        (
            {
                "penalty": kmf.penalties.R1(
                    kmf.schedules.InSamples(OwnSchedule(), 8)
                )
            },
            "weight of `penalty` 'OwnSchedule'",
        ),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(arguments, message, tmp_path):
    shape = (4, 4, 1)
    gan = kmf.MonoFlowGAN(
        kmf.networks.dcgan_generator(2, shape, filters=2, seed=0),
        kmf.networks.dcgan_discriminator(shape, filters=2, seed=0),
    )
    with pytest.warns(UserWarning, match=message):
        gan.compile("sgd", "sgd", **arguments)
    with pytest.raises(ValueError, match="not registered"):
        gan.save(tmp_path / "gan.keras")
    assert not list(tmp_path.iterdir())


class OwnSGD(keras.optimizers.SGD):
    """Not registered."""


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (OwnSGD, "discriminator_optimizer <class .*OwnSGD"),
        (
            lambda: keras.optimizers.SGD(OwnSchedule()),
            "learning rate of `discriminator_optimizer` <class .*OwnSchedule",
        ),
    ],
)
def test_nor_are_optimizers_of_a_users_own(optimizer, message, tmp_path):
    gan = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2), kmf.networks.mlp_discriminator(2)
    )
    gan.compile("sgd", optimizer())
    with pytest.raises(ValueError, match=message):
        gan.save(tmp_path / "gan.keras")
    assert not list(tmp_path.iterdir())
