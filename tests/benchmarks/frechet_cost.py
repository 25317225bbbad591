"""What the Fréchet distance of 2048 features of 10,000 samples costs.

    OMP_NUM_THREADS=2 python tests/benchmarks/frechet_cost.py

Compares with torch-fidelity on the same features or, without that package, with
the formula and SciPy's root of a matrix. Times are medians of runs that take
turns in one process. The peak of the memory beyond the features themselves is
measured in a process of its own for each. Use KERAS_BACKEND=torch for the
comparison with torch-fidelity.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: F401
import machine
import numpy as np

import keras_monoflow as kmf


def features(count, width):
    """Two sets of correlated features in float32, as networks give them."""
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((width, width), "float32")
    mix *= np.arange(1, width + 1, dtype="float32")[:, None] ** -0.5
    sets = []
    for shift in (0.0, 0.1):
        rows = np.empty((count, width), "float32")
        for start in range(0, count, 500):
            size = min(500, count - start)
            noise = rng.standard_normal((size, width), "float32")
            rows[start : start + size] = np.maximum(noise @ mix + shift, 0.0)
        sets.append(rows)
    return sets


def ours(real, generated):
    return kmf.metrics.FrechetDistance()(real, generated)


def torch_fidelity(real, generated):
    import torch
    from torch_fidelity import metric_fid

    moments = [
        metric_fid.fid_features_to_statistics(torch.from_numpy(rows))
        for rows in (generated, real)
    ]
    scores = metric_fid.fid_statistics_to_metric(*moments, verbose=False)
    return scores["frechet_inception_distance"]


def square_root(real, generated):
    import scipy.linalg

    a, b = (np.cov(rows, rowvar=False) for rows in (real, generated))
    shift = real.mean(axis=0) - generated.mean(axis=0)
    root = np.trace(scipy.linalg.sqrtm(a @ b)).real
    return shift @ shift + np.trace(a) + np.trace(b) - 2.0 * root


METHODS = {
    "keras_monoflow": ours,
    "torch-fidelity": torch_fidelity,
    "sqrtm formula": square_root,
}


def megabytes():
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measure(method, count, width):
    """Prints how far the peak of the memory rises; run as a new process."""
    real, generated = features(count, width)
    # What is imported and set up at the first call is not counted.
    method(real[:20, :8].copy(), generated[:20, :8].copy())
    before = megabytes()
    method(real, generated)
    print(megabytes() - before)


def peak(name, arguments):
    command = [sys.executable, __file__, "--measure", name]
    command += [
        "--count",
        str(arguments.count),
        "--width",
        str(arguments.width),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def other_method():
    try:
        from torch_fidelity import metric_fid  # noqa: F401
    except ImportError:
        return "sqrtm formula"
    return "torch-fidelity"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", choices=METHODS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        method = METHODS[arguments.measure]
        return measure(method, arguments.count, arguments.width)
    machine.print_description()
    names = ["keras_monoflow", other_method()]
    # First: a new process starts with the peak of the one that starts it.
    peaks = {name: peak(name, arguments) for name in names}
    sets = features(arguments.count, arguments.width)
    times = {name: [] for name in names}
    values = {}
    for _ in range(arguments.repeats):
        for name in names:
            start = time.perf_counter()
            values[name] = METHODS[name](*sets)
            times[name].append(time.perf_counter() - start)
    report(names, values, times, peaks)


def report(names, values, times, peaks):
    print(f"{'method':<18}{'value':>16}{'median s':>10}{'peak MB':>10}")
    seconds = {name: statistics.median(times[name]) for name in names}
    for name in names:
        print(
            f"{name:<18}{values[name]:>16.9g}"
            f"{seconds[name]:>10.2f}{peaks[name]:>10.0f}"
        )
    first, other = names
    difference = abs(values[first] / values[other] - 1.0)
    print(f"relative difference of the values {difference:.1e}")
    print(
        f"{other} over {first}: time {seconds[other] / seconds[first]:.2f}, "
        f"memory {peaks[other] / peaks[first]:.2f}"
    )


if __name__ == "__main__":
    main()
