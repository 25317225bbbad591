"""What the TensorBoard callback writes, read back by TensorBoard."""

import builtins
import io

import keras
import matplotlib.image
import numpy as np
import pytest
from helpers import slow_except

import keras_monoflow as kmf
from keras_monoflow.callbacks.tensorboard import configuration
from keras_monoflow.models.fitting import introduce

MODELS = slow_except(["monoflow"], ["monoflow", "particles"])


def make_model(kind):
    critic = kmf.networks.mlp_discriminator(2, units=(4,), seed=2)
    if kind == "particles":
        model = kmf.ParticleFlow(critic, np.ones((40, 2)), seed=0)
        model.compile(
            keras.optimizers.SGD(0.01),
            discriminator_loss="wasserstein",
            step_size=0.125,
        )
        return model
    generator = kmf.networks.mlp_generator(2, 2, units=(4,), seed=1)
    gan = kmf.MonoFlowGAN(generator, critic, seed=0)
    gan.compile(
        keras.optimizers.SGD(0.25),
        keras.optimizers.Adam(0.5, beta_1=0.5),
        mapping=kmf.mappings.Vanilla(3.0),
        penalty=[kmf.penalties.R1(2.0), kmf.penalties.R2(4.0)],
        persistency=3,
        step_size=0.125,
    )
    return gan


@pytest.fixture(scope="module", params=MODELS)
def run(request, tmp_path_factory):
    """Trains three epochs; the board comes first in the list of callbacks."""
    pytest.importorskip("tensorboard")
    pytest.importorskip("tensorflow")
    folder = tmp_path_factory.mktemp(request.param)
    data = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    keras.utils.set_random_seed(0)
    monitor = kmf.callbacks.FlowMonitor(samples=30)
    callbacks = [
        kmf.callbacks.TensorBoard(folder, hparams={"batch_size": 32}),
        kmf.callbacks.SampleScatter(folder / "scatter", data, samples=20),
        kmf.callbacks.DistributionMetrics(
            kmf.metrics.FrechetDistance(), every=2, samples=40
        ),
        monitor,
    ]
    model = make_model(request.param)
    history = model.fit(
        data, batch_size=32, epochs=3, verbose=0, callbacks=callbacks
    ).history
    return request.param, folder, history, model, monitor


def read(folder):
    from tensorboard.backend.event_processing import event_accumulator

    reader = event_accumulator.EventAccumulator(
        str(folder), size_guidance={event_accumulator.TENSORS: 0}
    )
    reader.Reload()
    return reader


def tensors(folder, tag):
    from tensorboard.util import tensor_util

    events = read(folder).Tensors(tag)
    arrays = [tensor_util.make_ndarray(e.tensor_proto) for e in events]
    return [event.step for event in events], arrays


def test_scalars_are_the_history(run):
    _, folder, history, _, _ = run
    name = "flow_speed"
    steps, values = tensors(folder / "train", f"epoch_{name}")
    assert steps == [0, 1, 2]
    np.testing.assert_allclose(np.array(values), history[name], rtol=1e-6)


def test_no_point_for_an_epoch_of_rest(run):
    _, folder, history, _, _ = run
    values = history["val_frechet_distance"]
    assert np.isnan(values).tolist() == [True, False, True]
    steps, written = tensors(folder / "validation", "epoch_frechet_distance")
    assert steps == [1]
    np.testing.assert_allclose(written[0], values[1], rtol=1e-6)


def test_images_are_the_files(run):
    _, folder, _, _, _ = run
    steps, images = tensors(folder / "train", "SampleScatter/scatter")
    assert steps == [0, 1, 2]
    for step, image in zip(steps, images):
        shown = matplotlib.image.imread(io.BytesIO(image[2]))
        path = folder / "scatter" / f"epoch_{step + 1:04d}.png"
        np.testing.assert_array_equal(shown, matplotlib.image.imread(path))
    _, panels = tensors(folder / "train", "FlowMonitor")
    assert len(panels) == 3
    assert matplotlib.image.imread(io.BytesIO(panels[0][2])).std() > 0.05


def test_histograms_are_those_of_the_monitor(run):
    kind, folder, _, _, monitor = run
    statistics = monitor.look()
    names = ["speed"]
    if kind == "monoflow":
        names += ["log_ratio_real", "log_ratio_fake", "slope"]
    for name in names:
        steps, histograms = tensors(folder / "train", f"FlowMonitor/{name}")
        assert steps == [0, 1, 2]
        left, right, counts = histograms[-1].T
        assert counts.sum() == 30
        assert left[0] == pytest.approx(statistics[name].min(), rel=1e-5)
        assert right[-1] == pytest.approx(statistics[name].max(), rel=1e-5)


@pytest.fixture
def board(tmp_path):
    """A board that was told its model, as at the beginning of `fit`."""
    pytest.importorskip("tensorboard")
    pytest.importorskip("tensorflow")
    board = kmf.callbacks.TensorBoard(tmp_path)
    board.set_model(make_model("monoflow"))
    return board


def test_what_cannot_be_shown_is_left_out(board, tmp_path):
    logs = {"flow_speed": np.nan, "val_gap": np.nan, "generator_loss": np.nan}
    board.on_epoch_end(0, logs)
    values = np.array([1.0, np.inf, 3.0, np.nan])
    board.show_histograms({"ratio": values}, 0)
    board.on_train_end()
    tags = read(tmp_path / "train").Tags()["tensors"]
    # A loss that is NaN has diverged. The others may have had a rest.
    assert "epoch_generator_loss" in tags
    assert "epoch_flow_speed" not in tags
    assert not (tmp_path / "validation").exists()
    _, (histogram,) = tensors(tmp_path / "train", "ratio")
    left, right, counts = histogram.T
    assert (left[0], right[-1], counts.sum()) == (1, 3, 2)


def test_gray_picture(board, tmp_path):
    Image = pytest.importorskip("PIL.Image")
    gray = np.arange(0, 240, 20, dtype="uint8").reshape(3, 4)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    board.show_picture("gray", tmp_path / "gray.png", epoch=5)
    board.on_train_end()
    (step,), (image,) = tensors(tmp_path / "train", "gray")
    assert step == 5
    shown = np.asarray(Image.open(io.BytesIO(image[2])).convert("L"))
    np.testing.assert_array_equal(shown, gray)


def test_who_shows_pictures(board, tmp_path):
    monitor = kmf.callbacks.FlowMonitor()
    plain = keras.callbacks.TensorBoard(tmp_path)
    data = np.ones((4, 2))
    introduce([monitor, plain, board], board.model, data, None, None)
    assert monitor.boards == [board]
    # In the next `fit` it may be missing.
    introduce([monitor, plain], board.model, data, None, None)
    assert monitor.boards == []


@pytest.mark.slow
def test_logs_of_batches(tmp_path):
    pytest.importorskip("tensorboard")
    pytest.importorskip("tensorflow")
    board = kmf.callbacks.TensorBoard(tmp_path, update_freq=1)
    gan = make_model("monoflow")
    data = np.ones((12, 2))
    gan.fit(data, batch_size=4, epochs=2, verbose=0, callbacks=[board])
    steps, _ = tensors(tmp_path / "train", "batch_generator_loss")
    assert steps == [1, 2, 3, 4, 5, 6]


def hparams(folder):
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    found = read(folder).PluginTagToContent(metadata.PLUGIN_NAME)
    content = found[metadata.SESSION_START_INFO_TAG]
    data = plugin_data_pb2.HParamsPluginData.FromString(content)
    info = data.session_start_info.hparams
    return {k: getattr(v, v.WhichOneof("kind")) for k, v in info.items()}


def test_batches_cost_nothing_where_epochs_are_written(monkeypatch, tmp_path):
    """TensorFlow keeps every number it is offered, even if none is written."""
    summary = pytest.importorskip("tensorflow").summary
    pytest.importorskip("tensorboard")
    offered = []
    monkeypatch.setattr(
        summary, "scalar", lambda name, *_, **__: offered.append(name)
    )
    data = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    callback = kmf.callbacks.TensorBoard(tmp_path)
    make_model("monoflow").fit(
        data, batch_size=8, epochs=2, verbose=0, callbacks=[callback]
    )
    assert offered.count("epoch_discriminator_loss") == 2
    assert not [name for name in offered if name.startswith("batch_")]


def test_hparams_say_how_the_model_was_compiled(run):
    kind, folder, _, model, _ = run
    found = hparams(folder)
    assert found["model"] == type(model).__name__
    assert found["backend"] == keras.backend.backend()
    assert found["batch_size"] == 32
    assert found["step_size"] == pytest.approx(0.125)
    assert found["discriminator_optimizer.learning_rate"] == pytest.approx(
        0.5 if kind == "monoflow" else 0.01
    )
    assert not any("metrics" in name for name in found)
    if kind == "monoflow":
        assert found["mapping"] == "Vanilla"
        assert found["mapping.shift"] == 3
        assert found["persistency"] == 3
        assert found["penalty[0]"] == "R1"
        assert found["penalty[0].weight"] == 2
        assert found["penalty[1].weight"] == 4
        assert found["discriminator_optimizer.beta_1"] == 0.5
        # Defaults of an object are left out.
        assert "generator_optimizer.momentum" not in found
        assert "discriminator_optimizer.beta_2" not in found


def cubic(u):
    return u + u**3


@pytest.mark.filterwarnings("ignore:The mapping", "ignore:The object")
@pytest.mark.parametrize(
    ("mapping", "shown"), [(cubic, "cubic"), (lambda u: 2 * u, "lambda")]
)
def test_functions_are_shown_by_name(mapping, shown):
    gan = make_model("monoflow")
    gan.compile("sgd", "sgd", mapping=mapping)
    found = configuration(gan)
    assert found["mapping"] == "FunctionMapping"
    assert found["mapping.function"] == shown


def test_bad_hparams():
    with pytest.raises(TypeError, match=r"hparams\['units'\]=\[3, 4\]"):
        kmf.callbacks.TensorBoard("logs", hparams={"units": [3, 4]})


def test_missing_packages(monkeypatch, tmp_path):
    imported = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "tensorboard":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    callback = kmf.callbacks.TensorBoard(tmp_path)
    with pytest.raises(ImportError, match=r"keras-monoflow\[tensorboard\]"):
        callback.set_model(make_model("monoflow"))
