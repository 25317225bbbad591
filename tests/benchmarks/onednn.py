"""What oneDNN is worth to TensorFlow on a processor.

    python tests/benchmarks/onednn.py
    python tests/benchmarks/onednn.py --cases mnist --pairs 10

TensorFlow turns it on by itself only on processors with AVX512_VNNI or the
like, and reads `TF_ENABLE_ONEDNN_OPTS` when it is imported. So the same
compiled step runs in two processes, with oneDNN and without, which take turns
in short stretches. Printed are milliseconds of processor time a round, and the
median of the ratios of pairs with their quartiles; below 1, oneDNN is faster.

One thread gives the steadiest numbers: OMP_NUM_THREADS=1,
TF_NUM_INTRAOP_THREADS=1, TF_NUM_INTEROP_THREADS=1.
"""

import argparse
import multiprocessing
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
import paired

CASES = ["monoflow_512", "w1fe_k3", "mnist", "resnet_loops"]
BATCHES = 4


def serve(connection, name):
    """Runs as many rounds as it is told, and answers how long they took."""
    import cases
    import machine
    import ours
    import runs

    case = cases.CASES[name]
    data = case.make_data(BATCHES * case.batch)
    model = ours.compile_model(case.recipe, case.make_networks())
    run = runs.train_function(model, data, case.batch)
    run(2)
    connection.send(machine.describe())
    while rounds := connection.recv():
        connection.send(paired.seconds(run, rounds))


def start(name, onednn):
    """Returns the process, its connection and what it says of itself."""
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = str(int(onednn))
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, name), daemon=True)
    process.start()
    return process, here, here.recv()


def measure(name, arguments):
    """Returns the summary of the pairs of processor times."""
    processes, connections, descriptions = zip(
        *(start(name, onednn) for onednn in (True, False))
    )

    def seconds(i, rounds):
        connections[i].send(rounds)
        return connections[i].recv()

    seconds(0, 2)
    rounds = max(2, round(2 * arguments.seconds / seconds(0, 2)[0]))
    times = np.empty((arguments.pairs, 2, 2))
    for i, pair in enumerate(times):
        for j in (0, 1) if i % 2 else (1, 0):
            pair[j] = seconds(j, rounds)
    for process, connection in zip(processes, connections):
        connection.send(0)
        process.join()
    return paired.summary(1000 * times / rounds)["cpu"], descriptions[0]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--cases", nargs="+", choices=CASES, default=CASES)
    add("--pairs", type=int, default=20, help="pairs of stretches")
    add("--seconds", type=float, default=0.5, help="length of a stretch")
    arguments = parser.parse_args()
    print("| case | with oneDNN | without | ratio | quartiles |")
    print("|---" * 5 + "|")
    for name in arguments.cases:
        found, description = measure(name, arguments)
        low, high = found["quartiles"]
        print(
            f"| {name} | {found['ours_ms']:.1f} | {found['theirs_ms']:.1f} | "
            f"**{found['ratio']:.2f}** | {low:.2f}-{high:.2f} |",
            flush=True,
        )
    print("\n" + ", ".join(f"{k} {v}" for k, v in description.items()))


if __name__ == "__main__":
    main()
