"""What `fit` takes beside the training step, and how fast `sample` is.

    KERAS_BACKEND=torch python tests/benchmarks/fit_overhead.py
    KERAS_BACKEND=jax python tests/benchmarks/fit_overhead.py --case mnist

For a case of steps.py, prints milliseconds a round, the medians over stretches
that take turns, of

- `input alone`: reading the same array in batches, as `fit` does;
- `step`: the compiled function that `fit` calls, on batches that are ready;
- `fit`: all of `fit`, start and end included;
- `fit, callback`: the same with a callback that does nothing after each batch,
  for which Keras waits until each batch is done;

and how many samples a second `sample` generates. "wall" is what a clock shows,
"cpu" the time that the process spent on processors.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cases
import keras
import machine
import numpy as np
import paired
import runs
from keras.src.trainers.epoch_iterator import EpochIterator


class Nothing(keras.callbacks.Callback):
    """Looks at no log, but Keras cannot know."""

    def on_train_batch_end(self, batch, logs=None):
        pass


def fit_with_callback(model, data, size):
    def run(rounds):
        rows = np.arange(rounds * size) % len(data)
        model.fit(data[rows], batch_size=size, verbose=0, callbacks=[Nothing()])

    return run


#: What the trainers of Keras read batches from.
READERS = {
    "tensorflow": "get_tf_dataset",
    "jax": "get_jax_iterator",
    "torch": "get_torch_dataloader",
}


def read_input(model, data, size):
    """Goes through the batches of an epoch as the trainer of Keras does."""
    del model

    def run(rounds):
        rows = np.arange(rounds * size) % len(data)
        epoch = EpochIterator(x=data[rows], batch_size=size, shuffle=True)
        reader = READERS[keras.backend.backend()]
        for _ in getattr(epoch.data_adapter, reader)():
            pass

    return run


WAYS = {
    "input alone": read_input,
    "step": runs.train_function,
    "fit": runs.fit,
    "fit, callback": fit_with_callback,
}


def time_ways(case, arguments):
    """Returns {way: milliseconds a round (wall, cpu)}."""
    data = case.make_data(8 * case.batch)
    ways = {
        name: make(cases.make_model(case), data, case.batch)
        for name, make in WAYS.items()
    }
    for run in ways.values():
        run(2)
    times = {name: [] for name in ways}
    bar = keras.utils.Progbar(arguments.repeats, unit_name="turn")
    for _ in range(arguments.repeats):
        for name, run in ways.items():
            times[name].append(paired.seconds(run, arguments.rounds))
        bar.add(1)
    return {
        name: 1000 * np.median(seconds, axis=0) / arguments.rounds
        for name, seconds in times.items()
    }


def samples_per_second(case, arguments):
    model = cases.make_model(case)
    model.sample(arguments.samples, seed=0)
    times = [
        paired.seconds(lambda n: model.sample(n, seed=0), arguments.samples)
        for _ in range(arguments.repeats)
    ]
    return arguments.samples / np.median(times, axis=0)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--case", default="monoflow_64", choices=list(cases.CASES))
    add("--rounds", type=int, default=100, help="rounds in a stretch")
    add("--repeats", type=int, default=15, help="stretches of each kind")
    add("--samples", type=int, default=2048)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    machine.print_description()
    case = cases.CASES[arguments.case]
    rows = time_ways(case, arguments)
    print(f"\n{arguments.case:<18}{'wall ms':>10}{'cpu ms':>10}")
    for name, (wall, cpu) in rows.items():
        print(f"{name:<18}{wall:>10.3f}{cpu:>10.3f}")
    for name in ("fit", "fit, callback"):
        wall, cpu = rows[name] - rows["step"]
        print(f"{name + ' - step':<18}{wall:>10.3f}{cpu:>10.3f}")
    wall, cpu = samples_per_second(case, arguments)
    print(f"samples a second: {wall:.0f} (wall), {cpu:.0f} (cpu)")


if __name__ == "__main__":
    main()
