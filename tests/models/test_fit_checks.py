"""What would end a training after an epoch ends it before the first round."""

import keras
import numpy as np
import pytest
from helpers import ROLES, make_flow, make_gan, numpy, slow_except

import keras_monoflow as kmf

C, K, M = kmf.callbacks, keras.callbacks, kmf.metrics


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(64, 2)).astype("float32")


@pytest.fixture(scope="module")
def gan():
    return make_gan()


@pytest.fixture(scope="module")
def conditional():
    gan = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2, units=(4,), classes=2),
        kmf.networks.mlp_discriminator(2, units=(4,), classes=2),
    )
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    return gan


def gan_of_labels(shape):
    """A model whose labels are arrays of floats."""

    def network(units):
        x, y = keras.Input((2,)), keras.Input(shape)
        row = keras.layers.Reshape((int(np.prod(shape)),))(y)
        h = keras.layers.Concatenate()([x, row])
        return keras.Model([x, y], keras.layers.Dense(units)(h))

    gan = kmf.MonoFlowGAN(network(2), network(1))
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    return gan


def refuses(model, error, message, x, y=None, **arguments):
    """`fit` raises an error, and there was no round."""
    before = int(numpy(model.rounds_counter))
    with pytest.raises(error, match=message):
        model.fit(x, y, batch_size=32, epochs=2, verbose=0, **arguments)
    assert int(numpy(model.rounds_counter)) == before


def dataset(x):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(x).batch(16)


ZEROS = np.zeros((9, 3), "float32")


# --------------------------------------------------------- validation data


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (ZEROS, ValueError, r"validation_data.*\(3,\).*\(2,\)"),
        ("abc", TypeError, "validation_data='abc'"),
        (7, TypeError, "validation_data=7"),
        ((ZEROS[:, :2], ZEROS[:, 0]), ValueError, "validation_data.*labels"),
        ((ZEROS[:, :2], None, ZEROS[:, 0]), ValueError, "data.*be 0 for all"),
        (ZEROS[:, :2] + np.nan, ValueError, "validation_data.*nan"),
    ],
)
def test_validation_data(gan, x, data, error, message):
    refuses(gan, error, message, x, validation_data=data)


@pytest.mark.slow
def test_validation_data_set(gan, x):
    data = kmf.datasets.ShuffledDataset(ZEROS, batch_size=3)
    refuses(gan, ValueError, "validation_data", x, validation_data=data)
    gan.fit(
        x,
        verbose=0,
        validation_data=kmf.datasets.ShuffledDataset(x, batch_size=32),
    )


@pytest.mark.slow
def test_validation_stream(gan, conditional, x):
    stream = dataset(ZEROS)
    refuses(gan, ValueError, r"\(3,\).*\(2,\)", x, validation_data=stream)
    y = np.zeros(64, "int32")
    stream = dataset(x)
    refuses(
        conditional, ValueError, "come without", x, y, validation_data=stream
    )
    gan.fit(x, verbose=0, validation_data=stream)


def test_validation_labels(conditional, x):
    y = np.arange(64) % 2
    for data, message in [
        (x, "validation_data.*come without"),
        ((x, y + 1), "validation_data.*from 0 to 1.*2"),
        ((x, y - 1), "validation_data.*from 0 to 1.*-1"),
    ]:
        refuses(conditional, ValueError, message, x, y, validation_data=data)
    conditional.fit(x, y, validation_data=(x, y), verbose=0)


# --------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"steps_per_execution": -2}, ValueError),
        ({"steps_per_execution": 0}, ValueError),
        ({"steps_per_execution": "2"}, TypeError),
        ({"steps_per_execution": 1.5}, TypeError),
        ({"jit_compile": "yes"}, ValueError),
        ({"jit_compile": 2}, ValueError),
    ],
)
@pytest.mark.parametrize("flow", slow_except(["monoflow"], sorted(ROLES)))
def test_trainer_arguments(flow, arguments, error):
    ((name, value),) = arguments.items()
    with pytest.raises(error, match=f"{name}={value!r}"):
        make_flow(flow, **arguments)


def test_weights_of_samples(gan, conditional, x):
    negative = -np.ones(64)
    refuses(gan, ValueError, "sample_weight", x, sample_weight=negative)
    y = np.arange(64) % 2
    weights = {0: 5.0, 2: 0.0}
    refuses(conditional, ValueError, "class_weight", x, y, class_weight=weights)


def test_nan_beyond_the_first_batch(gan, x):
    bad = x.copy()
    bad[60, 1] = np.inf
    refuses(gan, ValueError, "`x`.*row 60", bad)
    gan.fit(x, batch_size=32, verbose=0)


@pytest.mark.parametrize(
    "things", ["early", [K.EarlyStopping], [C.FlowMonitor(), 3], {"a": None}]
)
def test_things_that_are_no_callbacks(gan, x, things):
    refuses(gan, TypeError, "`callbacks` must be", x, callbacks=things)


# ------------------------------------------------------- callbacks of Keras


@pytest.mark.parametrize(
    "callback", ["LearningRateScheduler", "ReduceLROnPlateau"]
)
def test_rates_where_nothing_learns(x, callback):
    make = {
        "LearningRateScheduler": lambda: K.LearningRateScheduler(lambda e: 0.1),
        "ReduceLROnPlateau": lambda: K.ReduceLROnPlateau("generator_loss"),
    }
    flow = make_flow("free_particles")
    refuses(flow, ValueError, "no network", x, callbacks=make[callback]())


@pytest.mark.parametrize(
    "flow", slow_except(["monoflow"], sorted(set(ROLES) - {"free_particles"}))
)
def test_logs_that_there_are_not(flow, x, tmp_path):
    model = make_flow(flow)
    for callback, message in [
        (K.EarlyStopping("val_loss"), "EarlyStopping.*'val_loss'.*not a log"),
        (K.ReduceLROnPlateau("loss"), "ReduceLROnPlateau.*velocity_norm"),
        (
            K.ModelCheckpoint(tmp_path / "a.keras", save_best_only=True),
            "ModelCheckpoint.*'val_loss'",
        ),
        (
            K.ModelCheckpoint(
                tmp_path / "a.keras", "generator_loss", save_best_only=True
            ),
            "less or more.*mode=",
        ),
        (K.EarlyStopping("velocity_norm"), "less or more.*mode="),
        (K.ModelCheckpoint(f"{tmp_path}/{{nope}}.keras"), "key 'nope'"),
        (K.ModelCheckpoint(f"{tmp_path}/{{batch}}.keras"), "key 'batch'"),
    ]:
        refuses(model, ValueError, message, x, callbacks=[callback])


@pytest.mark.slow
def test_logs_that_there_are(gan, x, tmp_path):
    """All names of logs are known, whoever adds them."""
    own = C.DistributionMetrics("sliced_wasserstein_distance", samples=20)
    names = gan.fit(
        x,
        verbose=0,
        validation_data=x,
        callbacks=[own, C.FlowMonitor(samples=20)],
    ).history
    pattern = f"{tmp_path}/{{epoch}}" + "".join(
        f"-{{{name}:.1f}}" for name in names
    )
    gan.fit(
        x,
        verbose=0,
        validation_data=x,
        callbacks=[
            K.ModelCheckpoint(f"{pattern[:-1]}}}.keras"),
            K.LearningRateScheduler(lambda epoch, rate: rate),
            K.ModelCheckpoint(f"{tmp_path}/{{learning_rate_generator}}.keras"),
            *[K.EarlyStopping(name, mode="min") for name in names],
            own,
            C.FlowMonitor(samples=20),
        ],
    )
    assert len(list(tmp_path.iterdir())) == 2
    assert any("frechet" in name or "sliced" in name for name in names)


def test_callbacks_of_others_may_add_logs(gan, x, tmp_path):
    class Score(K.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["score"] = 1.0

    best = K.ModelCheckpoint(
        f"{tmp_path}/{{score}}.keras", "score", mode="min", save_best_only=True
    )
    gan.fit(x, verbose=0, callbacks=[Score(), best])
    assert (tmp_path / "1.0.keras").exists()


@pytest.mark.parametrize("name", ["gan.h5", "gan.weights.h5"])
def test_hdf5(gan, x, tmp_path, name):
    checkpoint = K.ModelCheckpoint(tmp_path / name)
    refuses(gan, ValueError, r"\.keras.*\.weights\.h5", x, callbacks=checkpoint)
    for path in (tmp_path / name, tmp_path / "gan.hdf5"):
        with pytest.raises(ValueError, match=r"\.keras.*save_weights"):
            gan.save(path)
    assert not list(tmp_path.iterdir())
    weights = K.ModelCheckpoint(
        tmp_path / "a.weights.h5", save_weights_only=True
    )
    gan.fit(x, verbose=0, callbacks=[weights])
    gan.load_weights(tmp_path / "a.weights.h5")


def test_model_that_cannot_be_saved(x, tmp_path):
    with pytest.warns(UserWarning, match="not registered"):
        gan = make_gan(mapping=lambda u: u + 0)
    for callback in [
        K.ModelCheckpoint(tmp_path / "a.keras"),
        [K.ModelCheckpoint(tmp_path / "a.keras")],
    ]:
        refuses(gan, ValueError, "not registered", x, callbacks=callback)
    # Weights need no names of functions.
    gan.fit(x, verbose=0, callbacks=[C.BackupAndRestore(tmp_path / "b")])


# ---------------------------------------------------------------- our own


@pytest.mark.parametrize("kind", [C.DistributionMetrics, C.FlowMonitor])
def test_real_samples(gan, x, kind):
    def callback(real):
        if kind is C.FlowMonitor:
            return C.FlowMonitor(real=real)
        return C.DistributionMetrics("frechet_distance", real=real)

    for real, message in [
        (np.zeros((9, 3)), rf"{kind.__name__}.*\(2,\).*\(9, 3\)"),
        (x * np.nan, f"{kind.__name__}.*finite"),
    ]:
        refuses(gan, ValueError, message, x, callbacks=[callback(real)])


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (M.PrecisionRecall(k=3), "'precision_recall' of 3 samples.*k=3"),
        (M.ModeCoverage(np.zeros((4, 3)), 0.1), "mode_coverage.*centers"),
    ],
)
def test_metrics_that_cannot_be_computed(gan, x, metric, message):
    callback = C.DistributionMetrics(metric, real=x[:3])
    refuses(gan, ValueError, message, x, callbacks=[callback])


def test_two_callbacks_that_measure(gan, x):
    """`evaluate` would return the values of one of them."""
    names = ("frechet_distance", "sliced_wasserstein_distance")
    callbacks = [C.DistributionMetrics(name, samples=20) for name in names]
    message = "one.*list of all metrics.*DistributionMetrics, Distri"
    refuses(gan, ValueError, message, x, callbacks=callbacks)


@pytest.mark.parametrize("kind", ["vectors", "numbers", "stream"])
def test_real_samples_without_labels(x, kind):
    y = np.linspace(0, 1, len(x), dtype="float32")
    if kind == "vectors":
        y = np.stack([y, y], axis=1)
    gan = gan_of_labels(y.shape[1:])
    data = {"x": x, "y": y}
    if kind == "stream":
        data = {"x": kmf.datasets.ShuffledDataset(x, y, batch_size=32)}
    metrics = C.DistributionMetrics("frechet_distance", real=x)
    message = r"`DistributionMetrics\(real=...\)` has no labels.*Leave out"
    refuses(gan, ValueError, message, **data, callbacks=[metrics])


def test_real_samples_of_a_model_of_classes(conditional, x):
    """It draws labels by itself."""
    metrics = C.DistributionMetrics("frechet_distance", real=x)
    y = np.arange(64) % 2
    history = conditional.fit(x, y, verbose=0, callbacks=[metrics]).history
    assert np.isfinite(history["val_frechet_distance"]).all()


def test_true_log_ratio(gan, x):
    monitor = C.FlowMonitor(true_log_ratio=3)
    refuses(gan, TypeError, "true_log_ratio=3", x, callbacks=[monitor])
    monitor = C.FlowMonitor(true_log_ratio=lambda x: x)
    refuses(gan, ValueError, "one number for each", x, callbacks=[monitor])


def test_monitor_without_labels(conditional, x):
    y = np.arange(64) % 2
    monitor = C.FlowMonitor(real=x)
    refuses(conditional, ValueError, "labels", x, y, callbacks=[monitor])


@pytest.mark.parametrize(
    "make",
    [
        lambda path: C.SampleGrid(path, seed=-1),
        lambda path: C.SampleScatter(path, seed=-1),
        lambda path: C.FlowAnimation(f"{path}.gif", seed=-1),
        lambda path: C.FlowMonitor(seed=-1),
        lambda path: C.DistributionMetrics("frechet_distance", seed=-1),
    ],
)
def test_negative_seeds(gan, x, tmp_path, make):
    callback = make(tmp_path)
    refuses(gan, ValueError, "seed=-1", x, callbacks=[callback])


def test_pictures_that_cannot_be_drawn(gan, x, tmp_path):
    for callback, message in [
        (C.SampleGrid(tmp_path), r"SampleGrid.*\(2,\).*SampleScatter"),
        (C.FlowAnimation(tmp_path / "a.gif", np.zeros((4, 3))), r"\(4, 3\)"),
    ]:
        refuses(gan, ValueError, message, x, callbacks=[callback])
