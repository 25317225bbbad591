"""Which share of an epoch of examples/mnist.py its callbacks take.

    OMP_NUM_THREADS=2 python tests/benchmarks/callback_share.py

Trains the example's networks on MNIST with every callback of the package that
suits images, in its default settings, and those of Keras that the example uses.
A short training first compiles everything. Then one epoch is measured, with the
end of the training, at which films are written.
"""

import argparse
import os
import pathlib
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples"))

import keras
import machine
import mnist

import keras_monoflow as kmf

HOOKS = ("on_epoch_begin", "on_epoch_end", "on_train_batch_end", "on_train_end")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=None, help="images")
    parser.add_argument("--data-dir", default=None)
    return parser.parse_args()


def time_calls(callbacks):
    """Returns the seconds that callbacks take from now on, by name."""
    seconds = {type(c).__name__: 0.0 for c in callbacks}

    def timed(name, run):
        def call(*args, **kwargs):
            start = time.perf_counter()
            run(*args, **kwargs)
            seconds[name] += time.perf_counter() - start

        return call

    for callback in callbacks:
        for hook in HOOKS:
            run = getattr(callback, hook)
            setattr(callback, hook, timed(type(callback).__name__, run))
    return seconds


def make_callbacks(folder):
    folder.mkdir()
    distance = kmf.metrics.KernelDistance()
    return [
        kmf.callbacks.SampleGrid(folder),
        kmf.callbacks.FlowMonitor(folder),
        kmf.callbacks.FlowAnimation(folder / "film.gif"),
        kmf.callbacks.DistributionMetrics(
            [distance, kmf.metrics.PrecisionRecall()]
        ),
        kmf.callbacks.TensorBoard(folder / "logs"),
        keras.callbacks.CSVLogger(folder / "log.csv", append=True),
        kmf.callbacks.BackupAndRestore(folder / "backup"),
    ]


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(0)
    images = kmf.datasets.load_images("mnist", data_dir=arguments.data_dir)
    images = images[: arguments.limit]
    gan = mnist.make_gan(
        argparse.Namespace(
            recipe="monoflow",
            blocks="dcgan",
            filters=None,
            policy="float32",
            seed=0,
            mapping=None,
            objective=None,
        )
    )

    def fit(images, callbacks):
        data = kmf.datasets.ShuffledDataset(
            images, batch_size=128, drop_remainder=True
        )
        start = time.perf_counter()
        gan.fit(data, callbacks=callbacks, verbose=0)
        return time.perf_counter() - start

    with tempfile.TemporaryDirectory() as folder:
        fit(images[:1024], make_callbacks(pathlib.Path(folder) / "first"))
        callbacks = make_callbacks(pathlib.Path(folder) / "second")
        seconds = time_calls(callbacks)
        epoch = fit(images, callbacks)
    machine.print_description()
    rows = [*seconds.items(), ("all callbacks", sum(seconds.values()))]
    print(f"{'':<24}{'seconds':>10}{'share':>11}")
    for name, value in [*rows, ("epoch", epoch)]:
        print(f"{name:<24}{value:>10.3f}{100 * value / epoch:>9.2f} %")


if __name__ == "__main__":
    main()
