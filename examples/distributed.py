"""Trains on several devices, or in several processes, of one machine.

Learns eight Gaussians on a ring with W1-FE, and prints the exact Wasserstein
distance, the modes found, and with `--compare` how far the weights are from
those of one device; a picture shows data and samples. The devices are virtual
CPU devices, unless the machine has enough GPUs. JAX takes `--devices` or
`--processes`, TensorFlow `--devices`, PyTorch `--processes`. About a minute:

    KERAS_BACKEND=jax python examples/distributed.py --devices 4 --compare
    KERAS_BACKEND=tensorflow python examples/distributed.py --devices 2
    KERAS_BACKEND=torch python examples/distributed.py --processes 2 --compare
"""

import argparse
import contextlib
import multiprocessing
import os
import pathlib
import socket
import time

import keras

import keras_monoflow as kmf

BACKEND = keras.backend.backend()
if BACKEND == "jax":
    import jax
elif BACKEND == "tensorflow":
    import tensorflow as tf
else:
    import torch


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--devices", type=int, default=1, help="devices of one process")
    add("--processes", type=int, default=1, help="processes of one device")
    add("--compare", action="store_true", help="train on one device, too")
    add("--epochs", type=int, default=10, help="epochs of 50 batches")
    add("--batch-size", type=int, default=256, help="rows of a whole batch")
    add("--epsilon", type=float, default=1e-4, help="epsilon of Adam")
    add("--seed", type=int, default=0, help="seed of data, weights and noise")
    path = pathlib.Path("runs/distributed")
    add("--output", type=pathlib.Path, default=path, help="for the picture")
    arguments = parser.parse_args()
    check(parser, arguments)
    return arguments


def check(parser, arguments):
    """Says at once what the backend cannot do."""
    if arguments.devices > 1 and arguments.processes > 1:
        parser.error("choose --devices or --processes")
    if BACKEND == "torch" and arguments.devices > 1:
        parser.error("PyTorch trains with one device a process: --processes")
    if BACKEND == "tensorflow" and arguments.processes > 1:
        parser.error("Keras trains one TensorFlow process only: --devices")
    parts = max(arguments.devices, arguments.processes)
    if arguments.batch_size % parts:
        parser.error(f"--batch-size must be a multiple of {parts}")


def train(arguments, part=(0, 1)):
    """Returns the trained model and the seconds that it took."""

    def adam(rate):
        # With Keras's epsilon of 1e-7, Adam makes full steps along gradients
        # that are nothing but rounding, which differs between devices.
        return keras.optimizers.Adam(rate, 0.5, 0.9, arguments.epsilon)

    keras.utils.set_random_seed(arguments.seed)
    data = kmf.datasets.gaussian_ring(12_800, seed=arguments.seed)
    model = kmf.W1FE(
        kmf.networks.mlp_generator(2, 2, seed=arguments.seed),
        kmf.networks.mlp_discriminator(2, seed=arguments.seed),
        seed=arguments.seed,
    )
    model.compile(
        generator_optimizer=adam(5e-4),
        critic_optimizer=adam(1e-3),
        critic_steps=2,
        persistency=3,
        step_size=0.1,
    )
    batches = kmf.datasets.ShuffledDataset(
        data,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        drop_remainder=True,
        part=part,
    )
    start = time.perf_counter()
    # One process shows the progress of all.
    model.fit(batches, epochs=arguments.epochs, verbose=int(part[0] == 0))
    return model, time.perf_counter() - start


def prepare_devices(count):
    """Makes virtual CPU devices; to be called before the backend starts."""
    if BACKEND == "jax":
        # Threads of XLA: with one a device, a busy one stops all the others.
        os.environ.setdefault("NPROC", str(4 * count))
        jax.config.update("jax_num_cpu_devices", count)
    else:
        cpu = tf.config.list_physical_devices("CPU")[0]
        virtual = [tf.config.LogicalDeviceConfiguration()] * count
        tf.config.set_logical_device_configuration(cpu, virtual)


def scope_of_devices(count):
    """Returns the scope in which a model uses `count` devices."""
    if count == 1:
        return contextlib.nullcontext()
    if BACKEND == "jax":
        devices = keras.distribution.list_devices()
        if len(devices) < count:
            devices = keras.distribution.list_devices("cpu")
        return keras.distribution.DataParallel(devices=devices[:count]).scope()
    kind = "GPU" if len(tf.config.list_physical_devices("GPU")) >= count else ""
    devices = [f"{kind or 'CPU'}:{i}" for i in range(count)]
    return tf.distribute.MirroredStrategy(devices).scope()


def join(index, count, port):
    """Makes this process one of `count` that train together."""
    if BACKEND == "jax":
        jax.distributed.initialize(f"127.0.0.1:{port}", count, index)
        parallel = keras.distribution.DataParallel(auto_shard_dataset=False)
        keras.distribution.set_distribution(parallel)
        return
    gpus = torch.cuda.device_count() >= count
    if gpus:
        torch.cuda.set_device(index)
    torch.distributed.init_process_group(
        "nccl" if gpus else "gloo",
        init_method=f"tcp://127.0.0.1:{port}",
        rank=index,
        world_size=count,
    )


def worker(arguments, index, port, results):
    """What each of several processes does."""
    if arguments.processes > 1:
        join(index, arguments.processes, port)
    model, seconds = train(arguments, (index, arguments.processes))
    if index == 0:
        results.put((model.get_weights(), model.sample(2000, seed=0), seconds))


def train_in_processes(arguments):
    """Returns weights, samples and seconds of the first process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [
        context.Process(target=worker, args=(arguments, i, port, results))
        for i in range(arguments.processes)
    ]
    for process in processes:
        process.start()
    result = None
    while result is None:
        with contextlib.suppress(Exception):
            result = results.get(timeout=1)
        if any(process.exitcode for process in processes):
            raise SystemExit("A process failed: see above.")
    for process in processes:
        process.join()
    return result


def train_on_devices(arguments, count):
    """Returns weights, samples and seconds."""
    with scope_of_devices(count):
        model, seconds = train(arguments)
        return model.get_weights(), model.sample(2000, seed=0), seconds


def report(arguments, samples, seconds, difference):
    """Prints the table of results."""
    test = kmf.datasets.gaussian_ring(2000, seed=arguments.seed + 1)
    coverage = kmf.metrics.ModeCoverage(kmf.datasets.ring_centers(), std=0.1)
    distance = kmf.metrics.WassersteinDistance()(test, samples)
    modes = coverage.details(None, samples)["modes"]
    rows = [
        ("backend", BACKEND),
        ("devices", arguments.devices),
        ("processes", arguments.processes),
        ("seed", arguments.seed),
        ("exact W1 to data", f"{distance:.3f}"),
        ("modes found", f"{modes:.0f} of 8"),
        ("training time", f"{seconds:.1f} s"),
    ]
    if difference is not None:
        rows.append(("weights against 1 device", f"{difference:.1e}"))
    print()
    for name, value in rows:
        print(f"{name:<26}{value:>14}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "ring.png"
    kmf.callbacks.plot_scatter(test, samples).savefig(path)
    print(f"\nData and samples: {path}")


def main():
    arguments = parse_arguments()
    if arguments.processes > 1:
        weights, samples, seconds = train_in_processes(arguments)
    else:
        if arguments.devices > 1:
            prepare_devices(arguments.devices)
        weights, samples, seconds = train_on_devices(
            arguments, arguments.devices
        )
    difference = None
    if arguments.compare:
        expected, _, _ = train_on_devices(arguments, 1)
        difference = max(
            abs(a - b).max() for a, b in zip(weights, expected) if a.size
        )
    report(arguments, samples, seconds, difference)


if __name__ == "__main__":
    main()
