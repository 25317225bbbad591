"""Small molecules as graphs: two tensors at once.

The port of keras.io's "WGAN-GP with R-GCN for the generation of small molecular
graphs". A sample has the kinds of bonds between nine places (none, single,
double) and the kinds of atoms (none, C, N, O), one-hot: the generator returns
both, each with a softmax, and a critic of relational graph convolutions takes
both. The molecules are made up by the script: random trees with one double bond
at most, in which each atom has as many bonds as chemistry allows. Printed is
which share of generated graphs keeps to that.

    python examples/ports/graphs.py
"""

import argparse
import pathlib

import keras
import numpy as np
from keras import layers, ops

import keras_monoflow as kmf

PLACES, BONDS = 9, 3
#: Bonds that C, N and O have at most; 0 is not an atom.
VALENCES = np.array([0, 4, 3, 2])


def make_up(count, seed):
    """Random molecules, one-hot `bonds` and `atoms`."""
    rng = np.random.default_rng(seed)
    bonds = np.zeros((count, PLACES, PLACES), int)
    atoms = np.zeros((count, PLACES), int)
    for i in range(count):
        size = rng.integers(3, PLACES + 1)
        atoms[i, :size] = rng.choice([1, 2, 3], size, p=[0.7, 0.15, 0.15])
        free = VALENCES[atoms[i]].copy()
        for new in range(1, size):
            places = np.flatnonzero(free[:new] > 0)
            if not len(places) or free[new] == 0:
                atoms[i, new:] = 0
                break
            old = rng.choice(places)
            double = bonds[i].max() < 2 and min(free[old], free[new]) > 1
            order = 2 if double and rng.random() < 0.3 else 1
            bonds[i, old, new] = bonds[i, new, old] = order
            free[[old, new]] -= order
    one_hot = {"bonds": np.eye(BONDS)[bonds], "atoms": np.eye(4)[atoms]}
    return {name: x.astype("float32") for name, x in one_hot.items()}


def share_of_valid(graphs):
    """Which share has an atom at each end of a bond, no atom with too many
    bonds, and all atoms in one piece."""
    bonds, atoms = graphs["bonds"].argmax(-1), graphs["atoms"].argmax(-1)
    few = np.all(bonds.sum(2) <= VALENCES[atoms], axis=1)
    reached = (bonds > 0) + np.eye(PLACES, dtype=bool)
    reached = np.linalg.matrix_power(reached.astype(float), PLACES) > 0
    there = atoms > 0
    pairs = there[:, :, None] & there[:, None]
    return np.mean(few & np.all(reached | ~pairs, axis=(1, 2)) & there.any(1))


def make_networks():
    z = keras.Input((64,))
    x = layers.Dense(256, "tanh")(layers.Dense(128, "tanh")(z))
    bonds = layers.Dense(PLACES * PLACES * BONDS)(x)
    bonds = layers.Reshape((PLACES, PLACES, BONDS))(bonds)
    bonds = bonds + ops.transpose(bonds, (0, 2, 1, 3))  # (Both ways alike.)
    atoms = layers.Reshape((PLACES, 4))(layers.Dense(PLACES * 4)(x))
    generator = keras.Model(
        z, {"bonds": layers.Softmax()(bonds), "atoms": layers.Softmax()(atoms)}
    )
    bonds = keras.Input((PLACES, PLACES, BONDS), name="bonds")
    atoms = keras.Input((PLACES, 4), name="atoms")
    x = atoms
    for _ in range(2):  # Relational graph convolutions, one kernel a bond.
        near = [bonds[..., k] @ layers.Dense(64)(x) for k in range(BONDS)]
        x = layers.LeakyReLU(0.2)(layers.Dense(64)(x) + sum(near) / PLACES)
    x = layers.Dense(128, "tanh")(layers.Flatten()(x))
    critic = keras.Model({"bonds": bonds, "atoms": atoms}, layers.Dense(1)(x))
    return generator, critic


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--molecules", type=int, default=20_000)
    path = pathlib.Path("runs/ports/graphs")
    parser.add_argument("--output", type=pathlib.Path, default=path)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    molecules = make_up(arguments.molecules, seed=0)
    model = kmf.W1FE(*make_networks(), seed=0)
    adam = keras.optimizers.Adam
    model.compile(adam(5e-4, 0.5, 0.9), adam(5e-4, 0.5, 0.9), critic_steps=2)
    backup = kmf.callbacks.BackupAndRestore(arguments.output / "backup")
    data = kmf.datasets.ShuffledDataset(molecules, batch_size=128)
    model.fit(data, epochs=arguments.epochs, callbacks=[backup], verbose=2)
    for name, graphs in (
        ("made up", molecules),
        ("generated", model.sample(5000, seed=0)),
    ):
        print(f"{name}: {share_of_valid(graphs):.3f} keep to the rules")


if __name__ == "__main__":
    main()
