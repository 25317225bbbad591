"""Looking at a model whose networks draw noise in inference changes nothing."""

import keras
import numpy as np
import pytest
from helpers import Noise
from keras import layers

import keras_monoflow as kmf


@keras.saving.register_keras_serializable("tests")
class Dropping(layers.Layer):
    """Dropout in inference too, without a seed, as the noise of pix2pix."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, x):
        return keras.random.dropout(x, 0.5, seed=self.seed_generator)


def make_gan(noise=Noise, **arguments):
    keras.utils.set_random_seed(0)
    inputs = layers.Input((2,))
    gan = kmf.MonoFlowGAN(
        keras.Sequential([inputs, layers.Dense(2), noise()]),
        keras.Sequential([inputs, Noise(), layers.Dense(1)]),
        seed=0,
    )
    gan.compile("adam", "adam", **arguments)
    return gan


LOOKS = {
    "sample": lambda m, x: m.sample(5, seed=3),
    "sample in batches": lambda m, x: m.sample(5, seed=3, batch_size=2),
    "evaluate": lambda m, x: m.evaluate(x, verbose=0),
    "predict": lambda m, x: m.predict(x, verbose=0),
    "predict_on_batch": lambda m, x: m.predict_on_batch(x),
    "velocity": lambda m, x: m.velocity(x),
    "log_ratio": lambda m, x: m.log_ratio(x),
    "refine": lambda m, x: m.refine(x, steps=2, temperature=0.1, seed=2),
}


@pytest.mark.parametrize("noise", [Noise, Dropping])
@pytest.mark.parametrize("ema", [None, 0.9])
def test_looks_repeat_and_leave_the_model(data, ema, noise):
    gan = make_gan(noise, ema=ema)
    gan.fit(data, batch_size=32, verbose=0)
    kept = [v for v in gan.variables if v is not gan.evaluation_seed.state]
    before = [keras.ops.convert_to_numpy(v).copy() for v in kept]
    for name, look in LOOKS.items():
        first, second = look(gan, data), look(gan, data)
        np.testing.assert_array_equal(first, second, err_msg=name)
        for v, value in zip(kept, before):
            after = keras.ops.convert_to_numpy(v)
            np.testing.assert_array_equal(after, value, err_msg=name)
    gan.test_on_batch(data)
    for v, value in zip(kept, before):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(v), value)


def test_seeds_are_any_integers(data):
    gan = make_gan()
    seed = np.int64(3)
    np.testing.assert_array_equal(gan.sample(2, seed), gan.sample(2, 3))
    np.testing.assert_array_equal(
        gan.sample_latent(2, seed), gan.sample_latent(2, 3)
    )
    assert (
        kmf.MonoFlowGAN(gan.generator, gan.discriminator, seed=seed).seed == 3
    )
    with pytest.raises(TypeError, match=r"seed=2\.5"):
        gan.sample(2, 2.5)
    with pytest.raises(TypeError, match="step_size"):
        gan.refine(data, step_size=kmf.schedules.Cosine(1.0, 0.1, 5))


def test_samples_differ_by_seed_and_row():
    gan = make_gan()
    gan.generator.layers[0].kernel.assign(np.zeros((2, 2)))
    noise = gan.sample(6, seed=1, batch_size=2)
    # Only the noise of the network is left, and no two batches share it.
    assert len(np.unique(noise)) == noise.size
    assert np.abs(noise - gan.sample(6, seed=2, batch_size=2)).max() > 0.1


@pytest.mark.slow
def test_training_with_looks_is_the_same(data):
    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            for look in LOOKS.values():
                look(self.model, data)

    def weights(**arguments):
        gan = make_gan()
        gan.fit(
            data,
            batch_size=32,
            epochs=2,
            shuffle=False,
            verbose=0,
            **arguments,
        )
        return gan.get_weights()

    callbacks = [Look(), kmf.callbacks.FlowMonitor()]
    looked_at = weights(callbacks=callbacks, validation_data=(data,))
    for a, b in zip(weights(), looked_at, strict=True):
        np.testing.assert_array_equal(a, b)


def test_samples_follow_the_random_seed():
    gan = make_gan()
    samples = []
    for seed in (5, 5, 6):
        keras.utils.set_random_seed(seed)
        samples.append([gan.sample(4), gan.sample(4)])
    np.testing.assert_array_equal(samples[0], samples[1])
    assert np.abs(samples[0][0] - samples[0][1]).max() > 0.1
    assert np.abs(samples[0][0] - samples[2][0]).max() > 0.1


def stop(*arguments, **more):
    raise KeyboardInterrupt


class Stop(keras.callbacks.Callback):
    on_train_batch_end = on_test_batch_end = on_predict_batch_end = stop


SHAPE = np.zeros((8, 3), "float32")
FAILURES = {
    "evaluate": lambda m, x: m.evaluate(SHAPE, verbose=0),
    "evaluate, callback": lambda m, x: m.evaluate(
        x, callbacks=[Stop()], verbose=0
    ),
    "predict": lambda m, x: m.predict(SHAPE, verbose=0),
    "predict, callback": lambda m, x: m.predict(
        x, callbacks=[Stop()], verbose=0
    ),
    "predict_on_batch": lambda m, x: m.predict_on_batch(SHAPE),
    "test_on_batch": lambda m, x: m.test_on_batch(SHAPE),
    "train_on_batch": lambda m, x: m.train_on_batch(SHAPE),
    "validation": lambda m, x: m.fit(
        x, validation_data=(SHAPE,), epochs=1, verbose=0
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_leaves_the_weights(data, name):
    gan = make_gan()
    gan.fit(data, batch_size=32, verbose=0)
    before = gan.get_weights()
    with pytest.raises((Exception, KeyboardInterrupt)):
        FAILURES[name](gan, data)
    after = gan.get_weights()
    assert np.isfinite(gan.sample(4, seed=0)).all()
    for a, b in zip(before, after, strict=True):
        assert np.isfinite(b).all()
        if name != "validation":
            np.testing.assert_array_equal(a, b)
    gan.fit(data, verbose=0)


@pytest.mark.slow
def test_data_that_end_with_an_error_keep_what_was_learned(data):
    """In the first batch of the second epoch, after a validation."""

    class Data(keras.utils.PyDataset):
        broken = False

        def __len__(self):
            return 1

        def __getitem__(self, i):
            if self.broken:
                raise RuntimeError("no more")
            return (data,)

    gan = make_gan()
    before, learned = gan.get_weights(), []

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            learned.append(self.model.get_weights())
            batches.broken = True

    batches = Data()
    with pytest.raises(Exception, match="no more"):
        gan.fit(
            batches,
            epochs=9,
            validation_data=(data,),
            callbacks=[Keep()],
            verbose=0,
        )
    assert np.abs(learned[-1][0] - before[0]).max() > 0
    for a, b in zip(learned[-1], gan.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
