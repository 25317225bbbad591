"""What replicas are told, refused, and how parts of batches are cut."""

import keras
import numpy as np
import pytest
import shared_run

import keras_monoflow as kmf
from keras_monoflow.backend import processes, replicas
from keras_monoflow.models import several_processes


def make_gan(loss="logistic", **generator_arguments):
    network = shared_run.dense_network
    gan = kmf.MonoFlowGAN(network("generator"), network("discriminator"))
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(0.01, **generator_arguments),
        discriminator_optimizer=keras.optimizers.Adam(0.01),
        discriminator_loss=loss,
    )
    return gan


def make_w2fe():
    network = shared_run.dense_network
    model = kmf.W2FE(
        network("generator"), network("potential"), network("conjugate")
    )
    model.compile(
        generator_optimizer=keras.optimizers.Adam(0.01),
        potential_optimizer=keras.optimizers.Adam(0.01),
    )
    return model


@pytest.fixture
def two(monkeypatch):
    """Pretends that two devices will share the batches of `fit`."""
    monkeypatch.setattr(replicas, "expected", lambda model: 2)


def x(rows=10):
    return np.random.default_rng(0).normal(size=(rows, 2)).astype("float32")


def test_one_replica_changes_nothing():
    assert replicas.count() == 1
    drawn = replicas.draw(keras.random.normal, (4, 2), "float32", 3)
    expected = keras.random.normal((4, 2), dtype="float32", seed=3)
    np.testing.assert_array_equal(
        *map(keras.ops.convert_to_numpy, (drawn, expected))
    )
    tensors = [keras.ops.ones(2)]
    assert replicas.mean(tensors) is tensors


@pytest.mark.parametrize("index", [0, 1, 2])
def test_each_replica_gets_its_rows_of_one_draw(monkeypatch, index):
    whole = keras.random.uniform((6, 3), dtype="float32", seed=5)
    monkeypatch.setattr(replicas, "count", lambda: 3)
    monkeypatch.setattr(replicas, "index", lambda: index)
    part = replicas.draw(keras.random.uniform, (2, 3), "float32", 5)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(part),
        keras.ops.convert_to_numpy(whole)[2 * index : 2 * index + 2],
    )


@pytest.mark.usefixtures("two")
def test_objectives_of_the_whole_batch_are_refused():
    with pytest.raises(ValueError, match=r"donsker_varadhan.* not a mean over"):
        make_gan("donsker_varadhan").fit(x(), verbose=0)
    with pytest.raises(
        ValueError, match=r"dual loss of W2FE is not a mean over"
    ):
        make_w2fe().fit(x(), verbose=0)
    centered = make_gan()
    centered.compile("sgd", "sgd", penalty=kmf.penalties.Centering())
    with pytest.raises(ValueError, match=r"Centering.* not a mean over"):
        centered.fit(x(), verbose=0)
    matched = make_gan()
    matched.compile("sgd", "sgd", generator_terms="feature_matching")
    with pytest.raises(ValueError, match=r"FeatureMatching.* not a mean over"):
        matched.fit(x(), verbose=0)


@pytest.mark.usefixtures("two")
def test_unequal_parts_are_refused():
    with pytest.raises(ValueError, match=r"batch of 5 .* 2 equal parts"):
        make_gan().fit(x(), batch_size=5, verbose=0)
    with pytest.raises(ValueError, match=r"batch of 1 .* 2 equal parts"):
        make_gan().fit(x(5), batch_size=4, verbose=0)


def test_replicas_with_unequal_parts_stop(monkeypatch):
    sizes = keras.ops.convert_to_tensor([3, 2])
    monkeypatch.setattr(replicas, "count", lambda: 2)
    monkeypatch.setattr(replicas, "gather", lambda rows: sizes)
    if keras.backend.backend() == "jax":
        pytest.skip("On JAX a program is written for the whole batch.")
    # On TensorFlow this is an InvalidArgumentError.
    with pytest.raises(Exception, match="equally many rows"):
        replicas.check_equal(3)


def test_several_tensorflow_workers_are_refused(monkeypatch):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("There is no tf.distribute.")
    import tensorflow as tf

    gan = make_gan()
    # A real one has to be made before TensorFlow has done anything.
    several = tf.distribute.MultiWorkerMirroredStrategy
    monkeypatch.setattr(gan, "_distribute_strategy", object.__new__(several))
    with pytest.raises(ValueError, match="MultiWorkerMirroredStrategy"):
        gan.fit(x(), verbose=0)


def test_clipping_in_float16_is_refused_on_tensorflow_only():
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(0.1, clipnorm=1.0)
    )
    if not replicas.adds_up():
        several_processes.check_clipping(optimizer, "generator_optimizer")
        return
    with pytest.raises(ValueError, match=r"generator_optimizer.*clipnorm=1.0"):
        several_processes.check_clipping(optimizer, "generator_optimizer")


def test_only_the_first_process_writes(monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes, "copy_from_first", lambda values: values)
    callbacks = [
        keras.callbacks.BackupAndRestore(tmp_path),
        kmf.callbacks.BackupAndRestore(tmp_path),
        keras.callbacks.ModelCheckpoint(tmp_path / "a.keras"),
        keras.callbacks.CSVLogger(tmp_path / "a.csv"),
        kmf.callbacks.SampleScatter(tmp_path),
        keras.callbacks.EarlyStopping(),
    ]
    kept = {}
    for process in (0, 1):
        monkeypatch.setattr(processes, "index", lambda i=process: i)
        kept[process] = several_processes.for_this_process(callbacks)
    assert kept[0][:-1] == callbacks
    assert [type(c) for c in kept[1]] == [
        several_processes.ReadsBackup,
        kmf.callbacks.BackupAndRestore,
        keras.callbacks.EarlyStopping,
        several_processes.StartTogether,
    ]
    assert callbacks[1].only_reads


@pytest.mark.parametrize("owner", [keras.callbacks, kmf.callbacks])
def test_backup_that_one_process_does_not_see(monkeypatch, tmp_path, owner):
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(
        processes, "copy_from_first", lambda values: [v + 1 for v in values]
    )
    with pytest.raises(ValueError, match="shared file system"):
        several_processes.for_this_process([owner.BackupAndRestore(tmp_path)])


def test_parts_of_a_data_set():
    whole = kmf.datasets.ShuffledDataset(x(10), batch_size=4, seed=1)
    parts = [
        kmf.datasets.ShuffledDataset(x(10), batch_size=4, seed=1, part=(i, 2))
        for i in (0, 1)
    ]
    assert len(whole) == len(parts[0]) == 3
    for i in range(3):
        np.testing.assert_array_equal(
            np.concatenate([part[i][0] for part in parts]), whole[i][0]
        )


@pytest.mark.parametrize(
    ("part", "batch_size", "message"),
    [
        ((2, 2), 4, "i < n"),
        ((0, 2), 5, "batch of 5 rows .* 2 equal parts"),
        ((0, 4), 8, "batch of 2 rows .* 4 equal parts"),
    ],
)
def test_parts_that_cannot_be_cut(part, batch_size, message):
    with pytest.raises(ValueError, match=message):
        kmf.datasets.ShuffledDataset(x(10), batch_size=batch_size, part=part)
    if part == (0, 4):
        kmf.datasets.ShuffledDataset(
            x(10), batch_size=batch_size, part=part, drop_remainder=True
        )
