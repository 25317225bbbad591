"""A few made-up digits, in the files of USPS that the tests read."""

import bz2

import numpy as np

COUNTS = {"train": 13, "test": 7}
ARCHIVE = {"train": "usps.bz2", "test": "usps.t.bz2"}


def values_of(split):
    """Return values in [-1, 1] with three decimals, as LIBSVM has them."""
    rng = np.random.default_rng(len(split))
    thousandths = rng.integers(-1000, 1001, (COUNTS[split], 256))
    thousandths[:, :2] = -1000, 1000
    # No ties: where `(v + 1) * 127.5` ends in .5, rounding is up to the floats.
    thousandths[thousandths % 400 == 0] += 1
    return thousandths / 1000


def labels_of(split):
    return np.arange(COUNTS[split]) % 10


def bytes_of(split):
    """Return the expected bytes, in integers: round(255 (1 + v) / 2)."""
    thousandths = np.round(values_of(split) * 1000).astype(int)
    pixels = (255 * (1000 + thousandths) + 1000) // 2000
    return pixels.reshape(-1, 16, 16, 1).astype("uint8")


def line(label, values):
    pairs = (f"{1 + i}:{value:g}" for i, value in enumerate(values))
    return " ".join([str(label), *pairs, "\n"])


def lines_of(split):
    return [
        line(1 + label, values)
        for label, values in zip(labels_of(split), values_of(split))
    ]


def write(path, lines):
    path.write_bytes(bz2.compress("".join(lines).encode("ascii")))


def arrays():
    return {
        f"{axis}_{split}": array
        for split in COUNTS
        for axis, array in [
            ("x", bytes_of(split)[..., 0]),
            ("y", labels_of(split).astype("uint8")),
        ]
    }


def expected(split):
    """Return the label of every image, by the bytes of the image."""
    images, labels = bytes_of(split), labels_of(split).tolist()
    found = {image.tobytes(): label for image, label in zip(images, labels)}
    assert len(found) == COUNTS[split]
    return found


def make_folder(path):
    """Make a folder with the two files of LIBSVM."""
    path.mkdir()
    for split, name in ARCHIVE.items():
        write(path / name, lines_of(split))
    return path


def make_npz_folder(path):
    """Make a folder with the file of NumPy."""
    path.mkdir()
    np.savez_compressed(path / "usps.npz", **arrays())
    return path
