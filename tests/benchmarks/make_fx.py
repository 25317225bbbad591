"""What recording a step costs, beside `make_fx` of PyTorch.

    KERAS_BACKEND=torch OMP_NUM_THREADS=1 python tests/benchmarks/make_fx.py

Processor seconds for one round of W1-FE on the ring with K = 3: run operation
by operation, run while the package records it, and traced by `make_fx`, which
cannot trace the reading of seeds: fixed generators take their place.
"""

import statistics
import time

import keras
import machine
import torch
from torch.fx.experimental.proxy_tensor import make_fx

import keras_monoflow as kmf
from keras_monoflow.backend.keras_internals import generators_from, stored_value
from keras_monoflow.backend.scopes import all_variables
from keras_monoflow.backend.torch import program

ROWS, REPEATS = 64, 3


def make_model(critic_steps):
    model = kmf.W1FE(
        kmf.networks.mlp_generator(2, 2, seed=0),
        kmf.networks.mlp_discriminator(2, seed=0),
        seed=0,
    )
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.optimizers.Adam(1e-3),
        critic_steps=critic_steps,
        persistency=3,
        run_eagerly=True,
    )
    return model


def trace(model, batch):
    def step(*tensors):
        return keras.tree.flatten(model.train_step(tensors[-1]))

    with generators_from(lambda seed, original: torch.Generator()):
        values = map(stored_value, all_variables(model))
        return make_fx(step, tracing_mode="real")(*values, batch)


WAYS = {
    "eager": lambda model, batch: model.train_step(batch),
    "recorded": lambda model, batch: program.record(
        model.train_step, all_variables(model), batch
    ),
    "make_fx": trace,
}


def main():
    machine.print_description()
    points = kmf.datasets.gaussian_ring(ROWS, seed=0)
    batch = torch.as_tensor(points)
    print(f"{'critic steps':>12}" + "".join(f"{way:>10}" for way in WAYS))
    for steps in (1, 20):
        seconds = {way: [] for way in WAYS}
        for _ in range(REPEATS):
            for way, run in WAYS.items():
                model = make_model(steps)
                model.fit(points, batch_size=ROWS, verbose=0)
                start = time.process_time()
                run(model, batch)
                seconds[way].append(time.process_time() - start)
        medians = "".join(
            f"{statistics.median(s):>10.2f}" for s in seconds.values()
        )
        print(f"{steps:>12}{medians}")


if __name__ == "__main__":
    main()
