"""Two ways to do the same work, timed in turns.

A machine that others use is slow for seconds at a time. Both ways run in short
stretches one after the other, and the median of the ratios of such pairs
hardly depends on what else runs.
"""

import time

import numpy as np


def seconds(run, rounds):
    """Seconds of the wall and of processors that `run(rounds)` takes."""
    start = time.perf_counter(), time.process_time()
    run(rounds)
    end = time.perf_counter(), time.process_time()
    return np.subtract(end, start)


def rounds_in(run, target):
    """How many rounds take about `target` seconds, at least 2."""
    run(2)
    rounds = 4
    while (spent := seconds(run, rounds)[0]) < target / 4 and rounds < 10**4:
        rounds *= 2
    return max(2, round(rounds * target / spent))


def time_in_turns(ours, theirs, rounds, pairs, bar):
    """Returns milliseconds a round, `(pairs, 2, 2)`: ours, theirs; wall, cpu.

    Every other pair is in reverse order.
    """
    runs = (ours, theirs)
    times = np.empty((pairs, 2, 2))
    for i, pair in enumerate(times):
        for j in (0, 1) if i % 2 else (1, 0):
            pair[j] = seconds(runs[j], rounds)
        bar.add(1)
    return 1000 * times / rounds


def summary(times):
    """Medians of the milliseconds, and of the ratios with their quartiles."""
    ratios = times[:, 0] / times[:, 1]
    middle, low, high = np.quantile(ratios, (0.5, 0.25, 0.75), axis=0)
    ours, theirs = np.median(times, axis=0)
    return {
        clock: {
            "ours_ms": ours[k],
            "theirs_ms": theirs[k],
            "ratio": middle[k],
            "quartiles": [low[k], high[k]],
        }
        for k, clock in enumerate(("wall", "cpu"))
    }
