"""FlowMonitor against NumPy, and its alarm."""

import keras
import matplotlib.figure
import numpy as np
import pytest
from keras import layers, ops

import keras_monoflow as kmf
from keras_monoflow.models.sample_field import REFERENCE_SEED
from keras_monoflow.plots import plot_flow

SLOPE = np.array([0.6, -0.8])


def linear(units, weights):
    # Monitors look at networks in inference, where dropout does nothing.
    rest = [layers.Dropout(0.5), layers.Dense(units, use_bias=False)]
    network = keras.Sequential([layers.Input((2,)), *rest])
    network.set_weights([np.asarray(weights, "float32")])
    return network


def make_gan(mapping="vanilla"):
    """u(x) = SLOPE . x and G(z) = 2 z, with networks at rest."""
    gan = kmf.MonoFlowGAN(
        linear(2, 2 * np.eye(2)), linear(1, SLOPE[:, None]), seed=0
    )
    gan.compile(
        generator_optimizer=keras.optimizers.SGD(0.0),
        discriminator_optimizer=keras.optimizers.SGD(0.0),
        mapping=mapping,
    )
    return gan


def fit(gan, data, monitor, **kwargs):
    arguments = {"batch_size": 32, "verbose": 0, **kwargs}
    return gan.fit(data, callbacks=[monitor], **arguments).history


@pytest.fixture
def data(rng):
    return (rng.normal(size=(64, 2)) + 1.0).astype("float32")


@pytest.mark.slow
def test_logs_against_numpy(data):
    gan = make_gan()
    monitor = kmf.callbacks.FlowMonitor(
        samples=40,
        seed=3,
        true_log_ratio=lambda x: x @ SLOPE + x[:, 0],
        threshold=0.3,
    )
    history = fit(gan, data, monitor)
    logs = {name: values[-1] for name, values in history.items()}
    real, _ = monitor.held_out
    assert real.shape == (40, 2)
    z = gan.sample_latent(40, seed=3)
    x = 2 * z
    u = x @ SLOPE
    sigmoid = 1 / (1 + np.exp(-u))
    ratio = real @ SLOPE
    # D(x) = SLOPE . x and V = softplus(D), and |SLOPE| = 1.
    generator_gradient = -np.einsum("n,ni,j->ij", sigmoid, z, SLOPE) / 40
    discriminator_gradient = (
        sigmoid[:, None] * x - (1 / (1 + np.exp(ratio)))[:, None] * real
    ).mean(axis=0)
    want = {
        "flow_slope_mean": sigmoid.mean(),
        "flow_slope_q10": np.quantile(sigmoid, 0.1),
        "flow_slope_q50": np.quantile(sigmoid, 0.5),
        "flow_slope_q90": np.quantile(sigmoid, 0.9),
        "flow_vanishing": (sigmoid < 0.3).mean(),
        "flow_speed": sigmoid.mean(),
        "flow_log_ratio_real": np.median(ratio),
        "flow_log_ratio_fake": np.median(u),
        "flow_accuracy": np.mean([*(ratio > 0), *(u < 0)]),
        "flow_generator_gradient": np.linalg.norm(generator_gradient),
        "flow_discriminator_gradient": np.linalg.norm(discriminator_gradient),
        "flow_calibration": np.sqrt(np.mean([*real[:, 0] ** 2, *x[:, 0] ** 2])),
    }
    assert {k for k in logs if k.startswith("flow_")} == set(want)
    for name, value in want.items():
        np.testing.assert_allclose(
            logs[name], value, rtol=1e-4, atol=1e-6, err_msg=name
        )


@pytest.mark.slow
def test_labels_against_numpy(data, rng):
    """G(z, y) = a[y] * z and u(x, y) = b[y] . x"""
    a, b = rng.normal(size=(2, 3, 2))
    x, y = keras.Input((2,)), keras.Input((), dtype="int32")
    scaled = layers.Multiply()([x, layers.Embedding(3, 2)(y)])
    generator = keras.Model([x, y], scaled)
    generator.set_weights([a])
    product = layers.Dot(-1)([x, layers.Embedding(3, 2)(y)])
    discriminator = keras.Model([x, y], product)
    discriminator.set_weights([b])
    gan = kmf.MonoFlowGAN(generator, discriminator)
    optimizers = [keras.optimizers.SGD(0.0) for _ in range(2)]
    gan.compile(*optimizers, mapping="vanilla")
    monitor = kmf.callbacks.FlowMonitor(samples=40)
    history = fit(gan, data, monitor, y=rng.integers(3, size=len(data)))
    real, y = monitor.held_out
    z = gan.sample_latent(40, seed=0)
    x = a[y] * z
    u, ratio = (np.sum(points * b[y], axis=1) for points in (x, real))
    sigmoid = 1 / (1 + np.exp(-u))
    slope = sigmoid[:, None]
    gradients = np.zeros((2, 3, 2))
    np.add.at(gradients[0], y, slope * b[y] * z / 40)
    rise = 1 / (1 + np.exp(ratio))[:, None]
    np.add.at(gradients[1], y, (slope * x - rise * real) / 40)
    want = {
        "flow_log_ratio_real": np.median(ratio),
        "flow_log_ratio_fake": np.median(u),
        "flow_speed": np.mean(sigmoid * np.linalg.norm(b[y], axis=1)),
        "flow_generator_gradient": np.linalg.norm(gradients[0]),
        "flow_discriminator_gradient": np.linalg.norm(gradients[1]),
    }
    for name, value in want.items():
        assert history[name][0] == pytest.approx(value, rel=1e-4), name


def far_start(shift):
    """Generated samples at distance 6, which the discriminator knows."""
    generator = kmf.networks.mlp_generator(2, 2, seed=0)
    weights = generator.get_weights()
    weights[-1] = weights[-1] + np.array([6.0, 0.0])
    generator.set_weights(weights)
    gan = kmf.MonoFlowGAN(
        generator, kmf.networks.mlp_discriminator(2, seed=0), seed=0
    )
    gan.compile(
        generator_optimizer=keras.optimizers.SGD(0.02),
        discriminator_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
        # Or it overshoots the data once it moves, and then stalls beyond.
        penalty=kmf.penalties.R1(0.1),
        mapping=kmf.mappings.Vanilla(shift),
        discriminator_warmup=300,
    )
    return gan


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "alarms"), [(0.0, True), (5.0, False)])
def test_alarm_on_the_far_start(shift, alarms, capsys):
    """The vanishing gradient of MonoFlow, section 5.2, and its cure."""
    data = kmf.datasets.gaussian_ring(128 * 100, seed=0)
    gan = far_start(shift)
    fit(gan, data, kmf.callbacks.FlowMonitor(), batch_size=128, epochs=5)
    printed = capsys.readouterr().out
    assert ("hardly move" in printed) is alarms
    if alarms:
        named = printed.split("move them:")[1]
        for name in ("identity", "non_saturating", "arcsinh", "Vanilla(shift"):
            assert name in named
        for name in ("mle", "pearson"):
            assert name not in named


def test_alarm_is_not_repeated_until_the_flow_has_moved(capsys):
    monitor = kmf.callbacks.FlowMonitor()
    monitor.set_model(make_gan())
    for epoch, vanished in enumerate([0.9, 1.0, 0.2, 0.5, 0.6]):
        logs = {"flow_vanishing": vanished, "flow_log_ratio_fake": -6.0}
        monitor._warn(epoch, logs)
    printed = capsys.readouterr().out
    assert "epoch 1: 90 %" in printed
    assert "epoch 5: 60 %" in printed
    assert printed.count("FlowMonitor") == 2


def test_steady_mappings():
    from keras_monoflow.callbacks.flow_statistics import steady_mappings

    assert "non_saturating" in steady_mappings(-9.0, 0.01)
    assert "vanilla" not in steady_mappings(-9.0, 0.01)
    assert "Vanilla(shift=9)" in steady_mappings(-9.0, 0.01)
    # For u >> 0 it is the other way round.
    assert "non_saturating" not in steady_mappings(9.0, 0.01)
    assert "vanilla" in steady_mappings(9.0, 0.01)
    # exp(9) explodes.
    assert "mle" not in steady_mappings(9.0, 0.01)


@pytest.mark.slow
def test_wasserstein_flows_have_no_ratio(data, tmp_path):
    model = kmf.W1FE(
        linear(2, 2 * np.eye(2)), linear(1, 3 * SLOPE[:, None]), seed=0
    )
    model.compile(
        generator_optimizer=keras.optimizers.SGD(0.0),
        critic_optimizer=keras.optimizers.SGD(0.0),
        penalty=None,
    )
    monitor = kmf.callbacks.FlowMonitor(tmp_path)
    history = fit(model, data, monitor)
    np.testing.assert_allclose(history["flow_speed"], [3.0], rtol=1e-5)
    assert "flow_slope_mean" not in history
    assert (tmp_path / "flow_0001.png").stat().st_size > 5000
    speeds, _ = plot_flow(monitor.look(), monitor.history).axes
    tallest = max(speeds.patches, key=lambda bar: bar.get_height())
    assert tallest.get_x() == pytest.approx(3.0, abs=0.05)
    # A diverged run is for `TerminateOnNaN` to end.
    model.discriminator.set_weights([np.full((2, 1), np.nan)])
    monitor.on_epoch_end(1, {})
    assert (tmp_path / "flow_0002.png").exists()


def test_pictures(data, tmp_path):
    monitor = kmf.callbacks.FlowMonitor(tmp_path, every=2)
    history = fit(make_gan(), data, monitor, epochs=4)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["flow_0002.png", "flow_0004.png"]
    logs = {k: v for k, v in history.items() if k.startswith("flow_")}
    assert len(logs) == 11
    for values in logs.values():
        assert list(np.isnan(values)) == [True, False, True, False]


def test_what_the_pictures_show(data, tmp_path, monkeypatch):
    figures = []
    figure = matplotlib.figure.Figure
    monkeypatch.setattr(figure, "savefig", lambda f, _: figures.append(f))
    gan = make_gan()
    gan.optimizer.generator.learning_rate = 0.1
    monitor = kmf.callbacks.FlowMonitor(tmp_path, threshold=0.3)
    history = fit(gan, data, monitor, epochs=2)
    assert figures[-1].get_suptitle() == "Epoch 2"
    ratios, slopes, over_time = figures[-1].axes
    labels = [text.get_text() for text in ratios.get_legend().texts]
    assert labels == ["data", "generated"]
    statistics = monitor.look()
    for bars, name in zip(ratios.containers, ["real", "fake"]):
        edges = [bar.get_x() for bar in bars]
        edges.append(edges[-1] + bars[-1].get_width())
        values = statistics[f"log_ratio_{name}"]
        want, _ = np.histogram(values, edges)
        heights = [bar.get_height() for bar in bars]
        # Rounding may put a value into the next bin.
        np.testing.assert_allclose(np.cumsum(heights), np.cumsum(want), atol=2)
    curve, points, threshold = slopes.lines
    u, slope = points.get_data()
    np.testing.assert_allclose(u, statistics["log_ratio_fake"])
    np.testing.assert_allclose(slope, statistics["slope"])
    x, y = curve.get_data()
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-x)), rtol=1e-4)
    assert set(threshold.get_ydata()) == {0.3}
    vanished = 100 * history["flow_vanishing"][-1]
    assert slopes.get_title() == f"{vanished:.0f} % vanished"
    epochs, speeds = over_time.lines[0].get_data()
    assert list(epochs) == [1, 2]
    assert speeds[0] != speeds[1]
    np.testing.assert_allclose(speeds, history["flow_speed"])


def test_sample_flows(data, tmp_path):
    model = kmf.SampleFlow(linear(2, np.eye(2)), seed=0)
    kernels = kmf.velocities.KernelRatio("gaussian", 1.0, "mle", False)
    model.compile(keras.optimizers.SGD(0.0), kernels)
    monitor = kmf.callbacks.FlowMonitor(tmp_path, samples=64, threshold=0.5)
    logs = {k: v[-1] for k, v in fit(model, data, monitor, epochs=1).items()}
    assert set(monitor.log_names()) == {k for k in logs if k[:5] == "flow_"}
    assert list(tmp_path.glob("*.png"))
    # The very kernels, in NumPy.
    real, _ = monitor.held_out
    y = model.sample(len(real), seed=monitor.seed)
    other = model.sample(len(real), seed=REFERENCE_SEED)

    def log_density(at, rows):
        d = np.linalg.norm(at[:, None] - rows[None], axis=-1)
        return np.log(np.mean(np.exp(-(d**2) / 2), axis=1))

    rows = model._field.reference()[0]
    u = log_density(y, rows) - log_density(y, other)
    np.testing.assert_allclose(
        logs["flow_log_ratio_fake"], np.median(u), rtol=1e-3, atol=1e-4
    )
    # The slope of "mle" is the density ratio.
    np.testing.assert_allclose(
        logs["flow_slope_mean"], np.exp(u).mean(), rtol=1e-3
    )
    moved = model.velocity(y)
    np.testing.assert_allclose(
        logs["flow_speed"], np.linalg.norm(moved, axis=1).mean(), rtol=1e-4
    )
    latent = model.sample_latent(len(real), seed=monitor.seed)
    norm = np.linalg.norm(latent.T @ moved / len(moved))
    shift = np.linalg.norm(moved.mean(0))
    expected = np.hypot(
        norm, shift if model.generator.layers[-1].use_bias else 0
    )
    np.testing.assert_allclose(
        logs["flow_generator_gradient"], expected, rtol=1e-3
    )


def test_data_that_can_be_read_once(data):
    model = kmf.SampleFlow(linear(2, np.eye(2)), seed=0)
    model.compile("sgd", "energy")
    stream = ((data[i : i + 32],) for i in (0, 32))
    monitor = kmf.callbacks.FlowMonitor(real=data)
    history = model.fit(stream, callbacks=[monitor], verbose=0).history
    assert np.isfinite(history["flow_speed"]).all()


def test_a_velocity_without_ratio_has_no_slopes(data):
    model = kmf.SampleFlow(linear(2, np.eye(2)), seed=0)
    model.compile("sgd", "drifting")
    monitor = kmf.callbacks.FlowMonitor()
    history = fit(model, data, monitor, epochs=1)
    names = {"flow_speed", "flow_generator_gradient"}
    assert {k for k in history if k[:5] == "flow_"} == names
    assert set(monitor.log_names()) == names


@pytest.mark.slow
@pytest.mark.parametrize("flow", ["particles", "w2fe"])
def test_other_flows(flow, data):
    critic = linear(1, SLOPE[:, None])
    if flow == "particles":
        # Fewer particles than the monitor would look at.
        model = kmf.ParticleFlow(critic, data[:48], seed=0)
        model.compile(discriminator_optimizer="sgd", step_size=0.1)
    else:
        model = kmf.W2FE(
            linear(2, np.eye(2)), critic, linear(1, SLOPE[:, None]), seed=0
        )
        model.compile(generator_optimizer="sgd", potential_optimizer="sgd")
    monitor = kmf.callbacks.FlowMonitor(every=2)
    history = fit(model, data, monitor, epochs=2)
    assert set(monitor.log_names()) == {
        name for name in history if name.startswith("flow_")
    }
    history = {name: values[1] for name, values in history.items()}
    assert np.isfinite(history["flow_speed"]).all()
    assert np.isfinite(history["flow_discriminator_gradient"]).all()


def test_panels_of_short_histories():
    speed = np.array([1.0, 2.0, np.nan])
    logs = {"flow_speed": 0.03, "flow_generator_gradient": 0.4}
    _, one_epoch = plot_flow({"speed": speed}, [(7, logs)]).axes
    low, high = one_epoch.get_xlim()
    ticks = [t for t in one_epoch.get_xticks() if low <= t <= high]
    assert ticks == [7]
    low, high = one_epoch.get_ylim()
    labels = [
        label.get_text()
        for label in one_epoch.get_yticklabels()
        if low <= label.get_position()[1] <= high
    ]
    assert labels == ["0.05", "0.1", "0.2"]
    # A diverged run may have nothing to show.
    _, empty = plot_flow({"speed": speed}, [(1, {"flow_speed": np.nan})]).axes
    assert empty.get_legend() is None


@pytest.mark.slow
def test_training_is_left_alone(data):
    weights = []
    for callbacks in ([], [kmf.callbacks.FlowMonitor()]):
        keras.utils.set_random_seed(3)
        gan = kmf.MonoFlowGAN(
            kmf.networks.mlp_generator(2, 2, seed=0),
            kmf.networks.mlp_discriminator(2, seed=0),
            seed=0,
        )
        gan.compile(generator_optimizer="adam", discriminator_optimizer="adam")
        gan.fit(data, epochs=2, callbacks=callbacks, verbose=0)
        weights.append([ops.convert_to_numpy(v.value) for v in gan.variables])
    for a, b in zip(*weights):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "arguments", [{"threshold": 0.0}, {"share": 1.5}, {"every": 0}]
)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        kmf.callbacks.FlowMonitor(**arguments)
