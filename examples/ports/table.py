"""A generator of tables, with columns of numbers and of classes.

The breast cancer data of scikit-learn: 30 numbers and a diagnosis for each
patient. The generator returns both parts, the diagnosis by `GumbelSoftmax`; the
discriminator sees two rows at once (PacGAN). Training stops when the
Wasserstein distance to held-out rows has not become smaller for 20 epochs, and
takes the best weights back. At the end a classifier that was trained on
generated rows diagnoses the held-out ones, beside one that was trained on real
rows.

    python examples/ports/table.py
"""

import argparse

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

import keras_monoflow as kmf


def load():
    """Returns rows to learn from, and held-out ones."""
    numbers, diagnoses = load_breast_cancer(return_X_y=True)
    numbers = np.log1p(numbers)  # Sizes are skewed.
    parts = train_test_split(numbers, diagnoses, test_size=0.3, random_state=0)
    mean, deviation = parts[0].mean(0), parts[0].std(0)
    scaled = [(x - mean) / deviation for x in parts[:2]]
    return [
        {
            "numbers": np.float32(x),
            "diagnosis": np.eye(2, dtype="float32")[y],
        }
        for x, y in zip(scaled, parts[2:])
    ]


def make_networks(pack):
    z = x = keras.Input((32,))
    for _ in range(2):
        x = layers.Dense(128, "relu")(x)
    diagnosis = layers.Dense(2)(x)
    generator = keras.Model(
        z,
        {
            "numbers": layers.Dense(30)(x),
            "diagnosis": kmf.networks.GumbelSoftmax(0.5)(diagnosis),
        },
    )
    rows = {
        "numbers": keras.Input((30 * pack,), name="numbers"),
        "diagnosis": keras.Input((2 * pack,), name="diagnosis"),
    }
    x = layers.Concatenate()(list(rows.values()))
    for _ in range(2):
        x = layers.Dense(128, "leaky_relu")(x)
    return generator, keras.Model(rows, layers.Dense(1)(x))


def accuracy(train, test):
    """Of a diagnosis of the rows of `test`, learned from those of `train`."""
    model = LogisticRegression(max_iter=5000)
    model.fit(train["numbers"], train["diagnosis"].argmax(1))
    return model.score(test["numbers"], test["diagnosis"].argmax(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=400, help="at most")
    parser.add_argument("--pack", type=int, default=2, help="rows at once")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    train, test = load()
    gan = kmf.MonoFlowGAN(
        *make_networks(arguments.pack),
        seed=arguments.seed,
        pack=arguments.pack,
    )
    gan.compile(
        keras.optimizers.Adam(5e-4, 0.5),
        keras.optimizers.Adam(5e-4, 0.5),
        penalty=kmf.penalties.R1(0.1),
        ema=0.99,
    )
    data = kmf.datasets.ShuffledDataset(
        train, batch_size=64, drop_remainder=True
    )
    name = "val_wasserstein_distance"
    early = keras.callbacks.EarlyStopping(
        name, mode="min", patience=20, restore_best_weights=True
    )
    metric = kmf.callbacks.DistributionMetrics("wasserstein_distance")
    history = gan.fit(
        data,
        epochs=arguments.epochs,
        callbacks=[metric, early],
        validation_data=test,
        verbose=0,
    )
    distances = history.history[name]
    print(f"{len(distances)} epochs, least distance {min(distances):.3f}")
    generated = gan.sample(2000, seed=0)
    print(f"share of benign: {generated['diagnosis'].mean(0)[1]:.3f}")
    print(f"  in the data:   {train['diagnosis'].mean(0)[1]:.3f}")
    for name, rows in (("real", train), ("generated", generated)):
        print(f"diagnosed from {name} rows: {accuracy(rows, test):.3f} rightly")


if __name__ == "__main__":
    main()
