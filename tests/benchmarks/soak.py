"""Does anything grow over 20,000 rounds with every callback?

    OMP_NUM_THREADS=1 python tests/benchmarks/soak.py
    python tests/benchmarks/soak.py --rounds 200000

Trains a GAN on the ring with an averaged generator, R1 and all callbacks that
suit points, and looks at the end of epochs of 500 rounds: the memory of the
process, the time of a round without that of the callbacks, and how often the
step was traced. In the end it says by how much the second half differs from the
first, and what a day at that speed would be.
"""

import argparse
import gc
import os
import pathlib
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import machine
import numpy as np

import keras_monoflow as kmf

BATCH, EPOCH = 128, 500


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--every", type=int, default=8, help="epochs a row")
    return parser.parse_args()


def resident():
    """The memory of this process in MB."""
    pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Look(keras.callbacks.Callback):
    """Stands last: what it notes is without the time of the others."""

    def __init__(self, traces):
        super().__init__()
        self.traces, self.rows, self.first = traces, [], None

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 1:  # The first round of an epoch may wait for callbacks.
            self.first = time.process_time()

    def on_train_batch_end(self, batch, logs=None):
        if batch == EPOCH - 1:
            self.seconds = time.process_time() - self.first

    def on_epoch_end(self, epoch, logs=None):
        gc.collect()
        milliseconds = 1000 * self.seconds / (EPOCH - 1)
        self.rows.append((resident(), milliseconds, len(self.traces)))


def make_gan():
    gan = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2, seed=0),
        kmf.networks.mlp_discriminator(2, seed=0),
        seed=0,
    )
    gan.compile(
        keras.optimizers.Adam(5e-4, 0.5),
        keras.optimizers.Adam(1e-3, 0.5),
        penalty=kmf.penalties.R1(0.1),
        persistency=3,
        step_size=0.1,
        ema=0.999,
    )
    return gan


def count_traces(gan):
    """A list that grows with each time that Python runs through a step."""
    traces, step = [], gan._train_on

    def traced(batch):
        traces.append(1)
        return step(batch)

    gan._train_on = traced
    return traces


def make_callbacks(folder, test):
    return [
        kmf.callbacks.SampleScatter(folder / "samples", test),
        kmf.callbacks.FlowMonitor(folder / "flow"),
        kmf.callbacks.FlowAnimation(folder / "film.gif", test),
        kmf.callbacks.DistributionMetrics(
            [kmf.metrics.FrechetDistance(), kmf.metrics.PrecisionRecall()]
        ),
        kmf.callbacks.TensorBoard(folder / "logs"),
        keras.callbacks.CSVLogger(folder / "log.csv", append=True),
        keras.callbacks.ModelCheckpoint(
            folder / "best.keras",
            monitor="val_frechet_distance",
            mode="min",
            save_best_only=True,
        ),
        kmf.callbacks.BackupAndRestore(folder / "backup"),
    ]


def report(rows, every, seconds):
    print(f"\n{'rounds':>8}{'MB':>8}{'ms a round':>12}{'traces':>8}")
    for i in range(every - 1, len(rows), every):
        memory, milliseconds, traces = rows[i]
        done = (i + 1) * EPOCH
        print(f"{done:>8}{memory:>8.0f}{milliseconds:>12.2f}{traces:>8}")
    memory, milliseconds, traces = np.array(rows).T
    # The first quarter fills caches.
    quarter, half = len(rows) // 4, len(rows) // 2
    slope = np.polyfit(np.arange(quarter, len(rows)), memory[quarter:], 1)[0]
    speed = np.median(milliseconds[half:]) / np.median(milliseconds[:half]) - 1
    day = 86_400 / seconds * len(rows) * EPOCH
    print(
        f"\nmemory grows by {1000 * slope / EPOCH:.2f} MB in 1000 rounds after "
        f"the first quarter; a round takes {speed:+.1%} in the second half; "
        f"{int(traces[-1] - traces[0])} traces after the first epoch"
    )
    print(
        f"{seconds:.0f} s of processor time with callbacks: a day of one core "
        f"is {day / 1e6:.1f} million rounds, with "
        f"{memory[-1] + max(slope, 0) * day / EPOCH:.0f} MB at its end"
    )


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(0)
    test = kmf.datasets.gaussian_ring(1000, seed=1)
    data = kmf.datasets.ShuffledDataset(
        kmf.datasets.gaussian_ring(BATCH * EPOCH, seed=0), batch_size=BATCH
    )
    gan = make_gan()
    look = Look(count_traces(gan))
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        gan.fit(
            data,
            epochs=arguments.rounds // EPOCH,
            validation_data=test,
            callbacks=[*make_callbacks(pathlib.Path(folder), test), look],
            verbose=0,
        )
    machine.print_description()
    report(look.rows, arguments.every, time.process_time() - start)


if __name__ == "__main__":
    main()
