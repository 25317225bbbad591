"""Trains small models on one device or on several, for the tests beside it.

usage: shared_run.py FOLDER virtual MODELS
       shared_run.py FOLDER process MODELS INDEX COUNT PORT [KILLED_ROUND]

MODELS are names with commas between them. `virtual` trains on one device and
then on two and four virtual CPU devices of this process, on four the first
model only. `process` is one of COUNT processes that train together over the
loopback interface; with KILLED_ROUND the last one sends itself SIGKILL after
that many rounds. Each writes FOLDER/NAME.npz.
"""

import contextlib
import os
import signal
import sys

if os.environ["KERAS_BACKEND"] == "torch":
    import torch

    torch.set_num_threads(1)

import keras
import numpy as np
from keras import layers

import keras_monoflow as kmf

BACKEND = keras.backend.backend()
DEVICES = 4
ROWS, BATCH, EPOCHS = 48, 16, 2
CLASSES = 3


def dense_network(name, units=8):
    return keras.Sequential(
        [
            layers.Input((2,)),
            layers.Dense(units, "tanh", name=f"{name}_hidden"),
            layers.Dense(2 if name == "generator" else 1, name=f"{name}_out"),
        ],
        name=name,
    )


def make_gan():
    """Persistent fits, an averaged generator and three penalties."""
    model = kmf.MonoFlowGAN(
        dense_network("generator"), dense_network("discriminator"), seed=3
    )
    model.compile(
        generator_optimizer=keras.optimizers.Adam(0.02, 0.5, global_clipnorm=1),
        discriminator_optimizer=keras.optimizers.SGD(0.1, clipnorm=0.2),
        penalty=[
            kmf.penalties.R1(1.0),
            kmf.penalties.GradientPenalty(0.5),
            kmf.penalties.DRAGAN(0.5),
        ],
        persistency=3,
        ema=0.9,
        normalize_velocity=True,
        step_size=0.3,
    )
    return model


def make_w1fe():
    """Several critic steps, a warm-up, a prior of rows, and labels."""
    prior = np.random.default_rng(1).uniform(size=(20, 2))
    options = {"units": (8,), "classes": CLASSES, "seed": 0}
    model = kmf.W1FE(
        kmf.networks.mlp_generator(2, 2, **options),
        kmf.networks.mlp_discriminator(2, **options),
        prior,
        seed=4,
    )
    model.compile(
        generator_optimizer=keras.optimizers.Adam(0.01, 0.5),
        critic_optimizer=keras.optimizers.Adam(0.02, 0.5),
        penalty=kmf.penalties.LipschitzPenalty(10.0),
        critic_steps=2,
        critic_warmup=2,
        persistency=3,
        step_size=0.2,
    )
    return model


def make_particles():
    start = np.random.default_rng(5).normal(size=(12, 2))
    model = kmf.ParticleFlow(dense_network("discriminator"), start, seed=6)
    model.compile(
        discriminator_optimizer=keras.optimizers.Adam(0.02, 0.5),
        discriminator_steps=2,
        step_size=0.2,
        temperature=0.01,
    )
    return model


def make_samples():
    """A velocity that compares all rows and draws, in a space of features."""
    features = keras.Sequential(
        [layers.Input((2,)), layers.Dense(5, "tanh"), layers.Dense(3)]
    )
    model = kmf.SampleFlow(dense_network("generator"), features, seed=7)
    v = kmf.velocities
    model.compile(
        keras.optimizers.Adam(0.02, 0.5),
        v.Drifting() + v.KernelRatio("laplace") + v.SlicedWasserstein(4),
        persistency=2,
        step_size=0.2,
        normalize_velocity=True,
        generated_batch=2 * BATCH,
        ema=0.9,
    )
    return model


def make_free():
    start = np.random.default_rng(5).normal(size=(12, 2))
    model = kmf.ParticleFlow(particles=start, seed=6)
    model.compile(velocity="sinkhorn", step_size=0.2, temperature=0.01)
    return model


MODELS = {
    "gan": make_gan,
    "w1fe": make_w1fe,
    "particles": make_particles,
    "samples": make_samples,
    "free": make_free,
}


def make_data(name, part=(0, 1)):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(ROWS, 2)) + 1.0).astype("float32")
    labels = rng.integers(CLASSES, size=ROWS) if name == "w1fe" else None
    return kmf.datasets.ShuffledDataset(
        x, labels, batch_size=BATCH, seed=5, part=part
    )


def train(name, part=(0, 1), callbacks=()):
    """Returns the final variables and logs of one model by name."""
    keras.utils.set_random_seed(11)
    model = MODELS[name]()
    history = model.fit(
        make_data(name, part), epochs=EPOCHS, verbose=0, callbacks=[*callbacks]
    ).history
    sample = model.sample(3, seed=0)
    if model.discriminator is None:
        # Each process has kept rows of its own part.
        model.set_reference(np.linspace(-1, 1, 16).reshape(8, 2))
    variables = model.variables + model.optimizer.variables
    values = {
        f"{name} {i:03} {v.shape}": keras.ops.convert_to_numpy(v)
        for i, v in enumerate(variables)
    }
    logs = {f"{name} log {k}": np.array(v) for k, v in history.items()}
    labels = [0, 1, 2] if model.conditional else None
    looks = [sample, model.velocity(sample, labels=labels)]
    looks = {f"{name} look {i}": x for i, x in enumerate(looks)}
    return {**values, **logs, **looks}


def virtual_devices():
    """Returns the scopes to train in, by name."""
    scopes = {"1": contextlib.nullcontext}
    if BACKEND == "tensorflow":
        import tensorflow as tf

        logical = [tf.config.LogicalDeviceConfiguration()] * DEVICES
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, logical)
        # Two strategies in one process must not share collective operations.
        for n, reduction in (
            (2, None),
            (4, tf.distribute.ReductionToOneDevice()),
        ):
            strategy = tf.distribute.MirroredStrategy(
                [f"CPU:{i}" for i in range(n)], reduction
            )
            scopes[str(n)] = strategy.scope
        return scopes
    devices = keras.distribution.list_devices()
    assert len(devices) == DEVICES
    for n in (2, 4):
        parallel = keras.distribution.DataParallel(devices=devices[:n])
        scopes[str(n)] = parallel.scope
    mesh = keras.distribution.DeviceMesh((2, 2), ("batch", "model"), devices)
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*hidden.*kernel"] = (None, "model")
    layout[".*hidden.*bias"] = ("model",)
    parallel = keras.distribution.ModelParallel(
        layout_map=layout, batch_dim_name="batch"
    )
    scopes["model"] = parallel.scope
    return scopes


class KillAfter(keras.callbacks.Callback):
    def __init__(self, rounds):
        super().__init__()
        self.rounds = rounds

    def on_train_batch_end(self, batch, logs=None):
        self.rounds -= 1
        if self.rounds == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def join(index, count, port):
    """Becomes one of `count` processes."""
    if BACKEND == "torch":
        torch.distributed.init_process_group(
            "gloo",
            init_method=f"tcp://127.0.0.1:{port}",
            rank=index,
            world_size=count,
        )
        return
    import jax

    jax.distributed.initialize(
        f"127.0.0.1:{port}", count, index, heartbeat_timeout_seconds=10
    )
    parallel = keras.distribution.DataParallel(auto_shard_dataset=False)
    keras.distribution.set_distribution(parallel)


def main(folder, mode, models, *place):
    """`place` is INDEX COUNT PORT [KILLED_ROUND] of a process."""
    models = models.split(",")
    if mode == "virtual":
        for name, scope in virtual_devices().items():
            # Tracing for four replicas takes most of the time.
            chosen = models[:1] if name == "4" else models
            with scope():
                save(f"{folder}/{name}.npz", map(train, chosen))
        return
    index, count, port, *killed = map(int, place)
    join(index, count, port)
    results = []
    for model in models:
        callbacks = [kmf.callbacks.BackupAndRestore(f"{folder}/backup")]
        if killed and index == count - 1:
            callbacks.append(KillAfter(*killed))
        results.append(train(model, (index, count), callbacks))
    save(f"{folder}/{mode}{index}.npz", results)


def save(path, results):
    arrays = {}
    for result in results:
        arrays.update(result)
    np.savez(path, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
