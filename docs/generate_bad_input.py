"""Writes the table of docs/bad_input.md: what is tried, what it says, and when.

usage: python docs/generate_bad_input.py

Everything between `<!-- begin: table -->` and `<!-- end: table -->` is
replaced. The messages do not depend on the Keras backend.
"""

import pathlib
import re
import tempfile
import warnings

import keras
import numpy as np
from keras import layers
from marked_text import replaced

import keras_monoflow as kmf

PAGE = pathlib.Path(__file__).resolve().parent / "bad_input.md"

POINTS = kmf.datasets.gaussian_ring(64, seed=0)
LABELS = (POINTS[:, 0] > 0).astype("int32")
FOLDER = tempfile.gettempdir()


def dense(inputs, outputs, activation=None):
    return keras.Sequential(
        [layers.Input((inputs,)), layers.Dense(outputs, activation)]
    )


def gan(generator=None, discriminator=None, **arguments):
    model = kmf.MonoFlowGAN(
        generator or dense(3, 2), discriminator or dense(2, 1), seed=0
    )
    sgd = keras.optimizers.SGD
    model.compile(sgd(0.1), sgd(0.1), **arguments)
    return model


def conditional():
    return gan(
        kmf.networks.mlp_generator(2, 2, units=(4,), classes=2),
        kmf.networks.mlp_discriminator(2, units=(4,), classes=2),
    )


def fit(*data, model=gan, **arguments):
    return lambda: model().fit(*data, batch_size=32, verbose=0, **arguments)


def same_network():
    network = dense(2, 2)
    kmf.MonoFlowGAN(network, network)


def frozen():
    model = gan()
    model.discriminator.trainable = False
    model.fit(POINTS, verbose=0)


def with_nan(row):
    points = POINTS.copy()
    points[row] = np.nan
    return points


def embedding():
    discriminator = keras.Sequential(
        [
            layers.Input((2,)),
            layers.Embedding(10, 2),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    gan(discriminator=discriminator).fit(np.abs(POINTS) // 1, verbose=0)


def unscaled():
    generator = keras.Sequential(
        [
            layers.Input((3,)),
            layers.Dense(16, "tanh"),
            layers.Reshape((4, 4, 1)),
        ]
    )
    discriminator = keras.Sequential(
        [layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(1)]
    )
    images = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 1))
    gan(generator, discriminator).fit(images, verbose=0)


def by_numpy(shape, dtype=None, seed=None):
    return np.random.normal(size=shape).astype(dtype)


class OneForEach(kmf.penalties.WeightedTerm):
    def value(self, discriminator, real, generated, seed=None):
        return discriminator(real) ** 2


def late(callback):
    return lambda: gan().fit(POINTS, verbose=0, callbacks=[callback()])


Callbacks = kmf.callbacks
ATTEMPTS = {
    "**Networks**": None,
    "an unbuilt generator": lambda: gan(keras.Sequential([layers.Dense(2)])),
    "shapes that do not fit": lambda: gan(dense(3, 5)),
    "a discriminator with two outputs": lambda: gan(None, dense(2, 2)),
    "one network for both": same_network,
    "a `prior` that draws by NumPy": lambda: kmf.MonoFlowGAN(
        dense(2, 2), dense(2, 1), prior=by_numpy
    ),
    "a discriminator that ends in a sigmoid": lambda: gan(
        None, dense(2, 1, "sigmoid")
    ),
    "a discriminator that ends in a softmax": lambda: gan(
        None, dense(2, 1, "softmax")
    ),
    "a frozen discriminator": frozen,
    "a discriminator that begins with `Embedding`": embedding,
    "**`compile`**": None,
    "an unknown mapping": lambda: gan(mapping="jensen"),
    "a decreasing mapping": lambda: gan(mapping=lambda u: -u),
    "`discriminator_steps=0`": lambda: gan(discriminator_steps=0),
    "`step_size='fast'`": lambda: gan(step_size="fast"),
    "`loss='mse'`": lambda: gan(loss="mse"),
    "`velocity='mmd'` with a discriminator": lambda: gan(velocity="mmd"),
    "a penalty of each sample": lambda: gan(penalty=OneForEach(1.0)).fit(
        POINTS, verbose=0
    ),
    "**Data**": None,
    "`fit(None)`": fit(None),
    "a dictionary": fit({"image": POINTS, "label": LABELS}),
    "a list of arrays": fit([POINTS, POINTS]),
    "an empty array": fit(POINTS[:0]),
    "text": fit(np.array([["a", "b"]])),
    "samples of another shape": fit(np.zeros((8, 3))),
    "NaN in the first row": fit(with_nan(0)),
    "NaN in the last row": fit(with_nan(-1)),
    "images in 0..255": unscaled,
    "labels for networks that take none": fit(POINTS, LABELS),
    "no labels for networks that take some": fit(POINTS, model=conditional),
    "labels out of range": fit(POINTS, LABELS + 5, model=conditional),
    "`sample_weight` below 0": fit(POINTS, sample_weight=-np.ones(len(POINTS))),
    "`class_weight` of no class": fit(
        POINTS, LABELS, model=conditional, class_weight={99: 2.0}
    ),
    "validation data of another shape": fit(
        POINTS, validation_data=np.zeros((8, 3))
    ),
    "**Callbacks and files**": None,
    "`SampleGrid` of points": late(lambda: Callbacks.SampleGrid(FOLDER)),
    "`SampleScatter(seed=-1)`": late(
        lambda: Callbacks.SampleScatter(FOLDER, POINTS, seed=-1)
    ),
    "too few samples for a metric": late(
        lambda: Callbacks.DistributionMetrics(
            kmf.metrics.PrecisionRecall(k=3), real=POINTS[:3]
        )
    ),
    "`ModelCheckpoint('gan.h5')`": late(
        lambda: keras.callbacks.ModelCheckpoint(f"{FOLDER}/gan.h5")
    ),
    "an object that is not a callback": late(lambda: print),
}


def attempt(run):
    """Returns what an attempt says, and when."""
    rounds = []
    step = kmf.MonoFlowGAN._train_on

    def counted(model, data):
        rounds.append(1)
        return step(model, data)

    kmf.MonoFlowGAN._train_on = counted
    said = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda message, kind, *_, **__: (
                kind is UserWarning and said.append((message, len(rounds)))
            )
            run()
        message, rounds_then = said[0] if said else ("nothing", 0)
        message = f"warns: {message}"
    except (ValueError, TypeError) as error:
        message, rounds_then = f"{type(error).__name__}: {error}", len(rounds)
    finally:
        kmf.MonoFlowGAN._train_on = step
    message = " ".join(message.replace(FOLDER, "pictures").split())
    message = re.sub(r"sequential_\d+", "sequential", message)
    return message, "first epoch" if rounds_then else "before training"


def table():
    lines = ["| tried | what it says | when |", "|---|---|---|"]
    for name, run in ATTEMPTS.items():
        message, when = attempt(run) if run else ("", "")
        message = message.replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| {name} | {message} | {when} |")
    return "\n".join(lines)


def render(text):
    return replaced(text, "table", table())


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text()))
