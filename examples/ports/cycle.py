"""CycleGAN: from digits to edges and back, without pairs.

The port of keras.io's "CycleGAN". One generator holds both translators: given a
digit and the edges of another digit, it makes edges of the first and a digit of
the second, and translates both back. The discriminator has a head of patches
for each side; a further term keeps what was translated twice as it was. At the
end a classifier reads the digits that are made from the edges of test images. A
run that was killed goes on.

    python examples/ports/cycle.py
"""

import argparse
import pathlib
import sys

import keras
import numpy as np
from keras import ops

import keras_monoflow as kmf

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
from mnist import train_classifier
from translate_edges import edges


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--epochs", type=int, default=10, help="passes over the data")
    add("--filters", type=int, default=16, help="of all networks")
    add("--limit", type=int, default=None, help="use only that many images")
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    path = pathlib.Path("runs/ports/cycle")
    add("--output", type=pathlib.Path, default=path, help="for all results")
    return parser.parse_args()


def make_networks(filters, shape=(28, 28, 1)):
    def inputs(*names):
        return {name: keras.Input(shape, name=name) for name in names}

    options = {"filters": filters, "stages": 2}
    to_digit, to_edges = (
        kmf.networks.unet_generator(shape, seed=i, name=name, **options)
        for i, name in enumerate(("to_digit", "to_edges"))
    )
    given = inputs("digit", "edges")
    made = {
        "digit": to_digit(given["edges"]),
        "edges": to_edges(given["digit"]),
    }
    made["digit_again"] = to_digit(made["edges"])
    made["edges_again"] = to_edges(made["digit"])
    generator = keras.Model(given, made)
    seen = inputs(*made)
    heads = {}
    for i, name in enumerate(("digit", "edges")):
        options = {"filters": filters, "seed": i, "name": f"judge_of_{name}"}
        judge = kmf.networks.patch_discriminator(shape, **options)
        heads[name] = judge(seen[name])
    return generator, keras.Model(seen, heads), to_digit


@keras.saving.register_keras_serializable("cycle")
def cycle(samples, real, condition, features):
    """What was translated to the other side and back is as it was."""
    return sum(
        ops.mean(ops.abs(samples[f"{name}_again"] - condition[name]))
        for name in ("digit", "edges")
    )


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(0)
    images, labels = kmf.datasets.load_images(
        "mnist", data_dir=arguments.data_dir, with_labels=True
    )
    images, labels = images[: arguments.limit], labels[: arguments.limit]
    half = len(images) // 2
    given = {"digit": images[:half], "edges": edges(images[half : 2 * half])}
    # Samples come first: what real ones look like, whatever they are made from.
    real = {**given, **{f"{name}_again": x for name, x in given.items()}}
    data = kmf.datasets.ShuffledDataset(
        real, given, batch_size=32, drop_remainder=True
    )
    generator, discriminator, to_digit = make_networks(arguments.filters)
    model = kmf.MonoFlowGAN(generator, discriminator, prior=None, seed=0)
    model.compile(
        keras.optimizers.Adam(5e-4, 0.5),
        keras.optimizers.Adam(5e-4, 0.5),
        discriminator_loss="least_squares",
        mapping="least_squares",
        generator_terms=[kmf.terms.FunctionTerm(cycle, weight=10.0)],
        reuse_generated=True,
    )
    output = arguments.output
    backup = kmf.callbacks.BackupAndRestore(output / "backup")
    model.fit(data, epochs=arguments.epochs, callbacks=[backup])
    test, test_labels = kmf.datasets.load_images(
        "mnist", split="test", data_dir=arguments.data_dir, with_labels=True
    )
    made = to_digit.predict(edges(test), batch_size=500, verbose=0)
    rows = np.concatenate([edges(test)[:16], made[:16], test[:16]])
    grid = kmf.plots.image_grid(rows, columns=16)
    keras.utils.save_img(output / "translated.png", grid)
    classifier = train_classifier(images, labels)
    for name, digits in (("edges", edges(test)), ("translated", made)):
        read = classifier.predict(digits, verbose=0).argmax(-1)
        print(f"read rightly, {name}: {np.mean(read == test_labels):.3f}")
    print(f"mean absolute error: {np.abs(made - test).mean():.3f}")


if __name__ == "__main__":
    main()
