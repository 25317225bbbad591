"""Which share of an epoch of examples/mnist.py its callbacks take.

    OMP_NUM_THREADS=2 python tests/benchmarks/callback_share.py

Trains the example's networks on MNIST for some epochs with every callback of
the package that suits images, in its default settings, and those of Keras that
the example uses. Prints the median seconds of an epoch that each took.
"""

import argparse
import os
import pathlib
import statistics
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples"))

import keras
import machine
import mnist

import keras_monoflow as kmf

HOOKS = ("on_epoch_begin", "on_epoch_end", "on_train_batch_end")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--data-dir", default=None)
    return parser.parse_args()


class Timer(keras.callbacks.Callback):
    """Adds up the seconds of each epoch that other callbacks take."""

    def __init__(self, callbacks):
        super().__init__()
        self.seconds = {type(c).__name__: [] for c in callbacks}
        self.epochs = []
        for callback in callbacks:
            for hook in HOOKS:
                setattr(callback, hook, self._timed(callback, hook))

    def _timed(self, callback, hook):
        run, seconds = getattr(callback, hook), self.seconds

        def timed(*args, **kwargs):
            start = time.perf_counter()
            run(*args, **kwargs)
            seconds[type(callback).__name__][-1] += time.perf_counter() - start

        return timed

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append(time.perf_counter())
        for values in self.seconds.values():
            values.append(0.0)


def make_callbacks(folder):
    distance = kmf.metrics.KernelDistance()
    return [
        kmf.callbacks.SampleGrid(folder),
        kmf.callbacks.FlowMonitor(folder),
        kmf.callbacks.FlowAnimation(folder / "film.gif"),
        kmf.callbacks.DistributionMetrics(
            [distance, kmf.metrics.PrecisionRecall()]
        ),
        kmf.callbacks.TensorBoard(folder / "logs"),
        keras.callbacks.CSVLogger(folder / "log.csv"),
        keras.callbacks.BackupAndRestore(folder / "backup"),
    ]


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(0)
    images = kmf.datasets.load_images("mnist", data_dir=arguments.data_dir)
    data = kmf.datasets.ShuffledDataset(
        images, batch_size=128, drop_remainder=True
    )
    gan = mnist.make_gan(
        argparse.Namespace(
            blocks="dcgan",
            policy="float32",
            seed=0,
            mapping="non_saturating",
            objective="logistic",
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        callbacks = make_callbacks(pathlib.Path(folder))
        timer = Timer(callbacks)
        # The first epoch compiles the step and what the callbacks call.
        gan.fit(
            data,
            epochs=arguments.epochs + 1,
            callbacks=[timer, *callbacks],
            verbose=2,
        )
    ends = [*timer.epochs[2:], time.perf_counter()]
    lengths = [e - b for b, e in zip(timer.epochs[1:], ends)][:-1]
    epoch = statistics.median(lengths)
    machine.print_description()
    print(f"{'':<24}{'seconds':>10}{'share':>10}")
    total = 0.0
    for name, values in timer.seconds.items():
        # The last epoch is left out: it has no beginning of a next one.
        seconds = statistics.median(values[1:-1])
        total += seconds
        print(f"{name:<24}{seconds:>10.3f}{100 * seconds / epoch:>8.2f} %")
    print(f"{'all callbacks':<24}{total:>10.3f}{100 * total / epoch:>8.2f} %")
    print(f"{'epoch':<24}{epoch:>10.3f}")


if __name__ == "__main__":
    main()
