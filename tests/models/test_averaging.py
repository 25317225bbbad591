"""The averaged generator against a NumPy average of the history."""

import keras
import numpy as np
import pytest
from helpers import make_flow, make_networks, numpy, slow_except
from keras import layers, ops

import keras_monoflow as kmf


def make_gan(**arguments):
    gan = kmf.MonoFlowGAN(*make_networks(batch_norm=True), seed=1)
    gan.compile(
        generator_optimizer=keras.optimizers.SGD(0.5),
        discriminator_optimizer=keras.optimizers.SGD(0.5),
        **arguments,
    )
    return gan


class History(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(self.model.generator.get_weights())


@keras.saving.register_keras_serializable("tests")
class Alternating(keras.optimizers.schedules.LearningRateSchedule):
    """300 for even rounds, 100 for odd ones; or any other two numbers."""

    def __init__(self, even=300.0, odd=100.0):
        self.values = even, odd

    def __call__(self, step):
        return ops.where(ops.cast(step, "int32") % 2 == 0, *self.values)

    def get_config(self):
        return dict(zip(("even", "odd"), self.values))


def half_life(t, rows=8):
    h = min((300.0, 100.0)[t % 2], 0.05 * rows * (t + 1))
    return 2 ** (-rows / h)


def decay(t):
    return min((0.3, 0.1)[t % 2], (1 + t) / (10 + t))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"ema_half_life": Alternating()}, half_life),
        ({"ema_half_life": 1e9}, lambda t: 2 ** (-8 / (0.4 * (t + 1)))),
        ({"ema": Alternating(0.3, 0.1)}, decay),
    ],
)
def test_half_lives_and_schedules(data, choice, expected, tmp_path):
    gan, history = make_gan(**choice), History()
    average = [w.astype("float64") for w in gan.generator.get_weights()]
    gan.fit(data, batch_size=8, epochs=2, callbacks=[history], verbose=0)
    gan.save(tmp_path / "gan.keras")
    gan = keras.saving.load_model(tmp_path / "gan.keras")
    gan.fit(data, batch_size=8, callbacks=[history], verbose=0)
    for t, weights in enumerate(history.weights):
        d = expected(t)
        average = [d * a + (1 - d) * w for a, w in zip(average, weights)]
    for a, b in zip(gan.averaged_generator.get_weights(), average):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert np.abs(average[0] - gan.generator.get_weights()[0]).max() > 1e-4


def test_one_way_to_say_how_long():
    with pytest.raises(ValueError, match="Pass one of them"):
        make_gan(ema=0.9, ema_half_life=100)
    with pytest.raises(ValueError, match="number of samples"):
        make_gan(ema_half_life=0)


@pytest.mark.parametrize("ema", [0.2, 0.999])
@pytest.mark.parametrize("persistency", [1, 3])
def test_average_of_the_history(data, ema, persistency):
    gan, history = (
        make_gan(
            ema=ema,
            discriminator_warmup=3,
            persistency=persistency,
            step_size=0.5,
        ),
        History(),
    )
    average = [w.astype("float64") for w in gan.generator.get_weights()]
    for a, b in zip(gan.averaged_generator.get_weights(), average):
        np.testing.assert_array_equal(a, b)
    gan.fit(data, batch_size=8, epochs=2, callbacks=[history], verbose=0)
    for t, weights in enumerate(history.weights[3:]):
        decay = min(ema, (1 + t) / (10 + t))
        average = [
            decay * a + (1 - decay) * w for a, w in zip(average, weights)
        ]
    got = gan.averaged_generator.get_weights()
    assert len(got) == len(average) == 8  # with batch statistics
    for a, b in zip(got, average):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    # It was not a comparison of standstills.
    assert np.abs(got[0] - gan.generator.get_weights()[0]).max() > 1e-3


@keras.saving.register_keras_serializable("tests")
class Counter(keras.layers.Layer):
    def build(self, input_shape):
        self.calls = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False
        )

    def call(self, x, training=False):
        if training:
            self.calls.assign(self.calls + 1)
        return x


def test_integers_are_copied(data):
    _, discriminator = make_networks()
    generator = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(2), Counter()]
    )
    gan = kmf.MonoFlowGAN(generator, discriminator, seed=1)
    gan.compile("sgd", "sgd", ema=0.9)
    gan.fit(data, batch_size=16, verbose=0)
    calls = gan.averaged_generator.get_weights()[-1]
    assert calls == generator.get_weights()[-1] > 0


@pytest.mark.slow
def test_who_uses_the_average(data):
    gan = make_gan(ema=0.99)
    gan.fit(data, batch_size=32, verbose=0)
    z = gan.sample_latent(6, seed=0)
    averaged = ops.convert_to_numpy(gan.averaged_generator(z))
    raw = ops.convert_to_numpy(gan.generator(z))
    assert np.abs(averaged - raw).max() > 1e-4
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(gan.sample(6, seed=0), averaged, **close)
    np.testing.assert_allclose(gan.predict(z, verbose=0), averaged, **close)
    np.testing.assert_allclose(
        gan.sample(6, seed=0, averaged=False), raw, **close
    )
    loss = gan.evaluate(data, verbose=0, return_dict=True)["generator_loss"]
    gan.averaged_generator.set_weights(gan.generator.get_weights())
    other = gan.evaluate(data, verbose=0, return_dict=True)["generator_loss"]
    assert abs(loss - other) > 1e-6


@pytest.mark.slow
def test_training_does_not_use_it(data):
    plain, averaged = make_gan(), make_gan(ema=0.9)
    averaged.generator.set_weights(plain.generator.get_weights())
    averaged.discriminator.set_weights(plain.discriminator.get_weights())
    for gan in (plain, averaged):
        gan.fit(data, batch_size=16, shuffle=False, verbose=0)
    for a, b in zip(
        plain.generator.get_weights(), averaged.generator.get_weights()
    ):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_saved_resumed_and_dropped(data, tmp_path):
    gan = make_gan(ema=0.9)
    arguments = {"batch_size": 16, "shuffle": False, "verbose": 0}
    gan.fit(data, **arguments)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    for m in (gan, loaded):
        m.fit(data, **arguments)
    for a, b in zip(
        gan.averaged_generator.get_weights(),
        loaded.averaged_generator.get_weights(),
    ):
        np.testing.assert_array_equal(a, b)
    # A new compile keeps it; one without `ema` drops it.
    kept = loaded.averaged_generator.get_weights()[0]
    optimizers = {
        "generator_optimizer": "sgd",
        "discriminator_optimizer": "sgd",
    }
    loaded.compile(**optimizers, ema=0.5)
    np.testing.assert_array_equal(
        loaded.averaged_generator.get_weights()[0], kept
    )
    loaded.compile(**optimizers)
    assert loaded.averaged_generator is None
    loaded.fit(data, **arguments)
    loaded.save(tmp_path / "without.keras")
    without = keras.saving.load_model(tmp_path / "without.keras")
    np.testing.assert_array_equal(
        without.sample(5, seed=0), loaded.sample(5, seed=0)
    )
    # Averaging that starts anew starts from the generator.
    loaded.compile(**optimizers, ema=0.5)
    np.testing.assert_array_equal(
        loaded.averaged_generator.get_weights()[0],
        loaded.generator.get_weights()[0],
    )


def test_loaded_without_compile(data, tmp_path):
    gan = make_gan(ema=0.9)
    gan.fit(data, batch_size=16, verbose=0)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras", compile=False)
    samples = loaded.sample(5, seed=0)
    np.testing.assert_array_equal(samples, gan.sample(5, seed=0))
    assert np.abs(samples - gan.sample(5, seed=0, averaged=False)).max() > 0
    # It goes on once it is compiled.
    kept = gan.averaged_generator.get_weights()
    loaded.compile("sgd", "sgd", ema=0.5)
    for a, b in zip(loaded.averaged_generator.get_weights(), kept):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("choice", [{"ema": 0.99}, {"ema_half_life": 1e5}])
def test_compiled_anew_it_remembers_as_long(data, choice):
    gan = make_gan(**choice)
    gan.fit(data, batch_size=8, epochs=20, verbose=0)
    rate = keras.optimizers.SGD(0.5)
    gan.compile(rate, keras.optimizers.SGD(0.5), **choice)
    old = gan.averaged_generator.get_weights()[0]
    gan.fit(data[:8], batch_size=8, verbose=0)
    now = gan.averaged_generator.get_weights()[0]
    target = gan.generator.get_weights()[0]
    # Its first rounds took nine tenths of the new weights.
    assert np.abs(now - old).sum() < 0.2 * np.abs(target - old).sum()


def test_a_dropped_average_leaves_no_seed(data, tmp_path):
    inputs = layers.Input((2,))
    gan = kmf.MonoFlowGAN(
        keras.Sequential([inputs, layers.Dropout(0.3), layers.Dense(2)]),
        kmf.networks.mlp_discriminator(2, seed=1),
        seed=0,
    )
    known = {"batch_size": 8, "shuffle": False, "verbose": 0}
    gan.compile("sgd", "sgd", ema=0.9)
    gan.fit(data, **known)
    gan.compile("sgd", "sgd", augment=layers.GaussianNoise(0.3, seed=5))
    gan.fit(data, **known)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    for model in (gan, loaded):
        model.fit(data, **known)
    for a, b in zip(gan.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_average_is_not_trained(data):
    gan = make_gan(ema=0.9)
    assert not gan.averaged_generator.trainable_weights
    assert len(gan.trainable_weights) == len(make_gan().trainable_weights)


def test_average_counts_as_called():
    """Or Keras would not export it to ONNX."""
    functional = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2), kmf.networks.mlp_discriminator(2)
    )
    functional.compile("sgd", "sgd", ema=0.9)
    for gan in (make_gan(ema=0.9), functional):
        assert gan.averaged_generator._called


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="Keras 3.15 fails to write a SavedModel from PyTorch",
)
def test_exported_alone(data, tmp_path):
    tf = pytest.importorskip("tensorflow")
    gan = make_gan(ema=0.9)
    gan.fit(data, batch_size=16, verbose=0)
    # Nothing has called the averaged generator so far.
    gan.averaged_generator.export(tmp_path / "generator", verbose=False)
    exported = tf.saved_model.load(tmp_path / "generator")
    points = exported.serve(tf.constant(gan.sample_latent(5, seed=3)))
    np.testing.assert_allclose(points, gan.sample(5, seed=3), atol=1e-6)


@pytest.mark.parametrize("flow", slow_except(["w1fe"], ["w1fe", "w2fe"]))
def test_other_flows_average_too(flow, data):
    model = make_flow(flow, ema=0.9)
    model.fit(data, batch_size=32, verbose=0)
    assert model.averaged_generator is not None


@pytest.mark.parametrize("ema", [0.0, 1.0, -1, "0.9", True])
def test_bad_decay(ema):
    with pytest.raises(ValueError, match="`ema`"):
        make_gan(ema=ema)


class Scale(keras.layers.Layer):
    """Is not registered, and has a configuration."""

    def __init__(self, by=2.0, **arguments):
        super().__init__(**arguments)
        self.by = by

    def call(self, x):
        return self.by * x

    def get_config(self):
        return {**super().get_config(), "by": self.by}


class Subclassed(keras.Model):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.dense = keras.layers.Dense(2)

    def call(self, x):
        return self.dense(x)


class Stubborn(keras.layers.Layer):
    """Cannot be made from its configuration."""

    def __init__(self, needed):
        super().__init__()
        self.needed = object()

    def call(self, x):
        return x


def generator_of(*layers):
    return keras.Sequential([keras.Input((3,)), *layers])


def called():
    made = Subclassed()
    made(np.zeros((1, 3), "float32"))
    return made


GENERATORS = {
    "lambda": lambda: generator_of(
        keras.layers.Dense(2), keras.layers.Lambda(lambda x: 2 * x)
    ),
    "not registered": lambda: generator_of(keras.layers.Dense(2), Scale(3.0)),
    "nested": lambda: generator_of(Subclassed()),
    "called": called,
}


def averaging(generator):
    _, discriminator = make_networks()
    gan = kmf.MonoFlowGAN(generator, discriminator, seed=1)
    sgd = keras.optimizers.SGD
    gan.compile(sgd(0.1), sgd(0.1), ema=0.5)
    return gan


@pytest.mark.slow
@pytest.mark.parametrize("kind", GENERATORS)
def test_layers_that_keras_would_not_load(kind, data):
    gan = averaging(GENERATORS[kind]())
    z = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    np.testing.assert_array_equal(
        numpy(gan.averaged_generator(z)), numpy(gan.generator(z))
    )
    gan.fit(data, verbose=0)
    apart = gan.averaged_generator(z) - gan.generator(z)
    assert np.abs(numpy(apart)).max() > 0


def test_a_layer_that_cannot_be_copied():
    with pytest.raises(ValueError, match="`ema` averages the weights in a"):
        averaging(generator_of(keras.layers.Dense(2), Stubborn(1)))


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="modules of torch.nn"
)
def test_statistics_of_torch_modules_are_refused():
    import torch

    def gan(module):
        layer = layers.TorchModuleWrapper(module, output_shape=(None, 2))
        generator = keras.Sequential([layers.Input((2,)), layer])
        return kmf.MonoFlowGAN(generator, kmf.networks.mlp_discriminator(2))

    with pytest.raises(ValueError, match=r"`ema`.*running_mean.*leave out"):
        gan(torch.nn.BatchNorm1d(2)).compile("sgd", "sgd", ema=0.9)
    gan(torch.nn.Linear(2, 2)).compile("sgd", "sgd", ema=0.9)
