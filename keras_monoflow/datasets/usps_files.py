"""Reading of the USPS digits: the two files of LIBSVM, or one of NumPy.

The paths are `pathlib` objects. A split is a pair of arrays, `images` of shape
`(n, 16, 16, 1)` and `labels` of shape `(n,)`, both uint8.
"""

import bz2
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_monoflow.typing import Array, ArrayLike

SIDE = 16
PIXELS = SIDE * SIDE
CLASSES = 10
FOLDER_URL = (
    "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/"
)
NPZ = "usps.npz"


class Source(NamedTuple):
    """One file of LIBSVM, which is one split."""

    file: str
    sha256: str
    digits: int


# The sums are those that torchvision publishes in
# torchvision/prototype/datasets/_builtin/usps.py.
SOURCES = {
    "train": Source(
        "usps.bz2",
        "3771e9dd6ba685185f89867b6e249233dd74652389f263963b3b741e994b034f",
        7291,
    ),
    "test": Source(
        "usps.t.bz2",
        "a9c0164e797d60142a50604917f0baa604f326e9a689698763793fa5d12ffc4e",
        2007,
    ),
}
PACKED = [source.file for source in SOURCES.values()]

Split = tuple[Array, Array]
Splits = dict[str, Split]


def has_files(folder: Path) -> bool:
    """Returns whether any of the known files is in `folder`."""
    return any((folder / name).exists() for name in [*PACKED, NPZ])


def read_folder(folder: Path) -> Splits:
    """Returns the splits by name, from files that a user put into `folder`."""
    if all((folder / name).exists() for name in PACKED):
        return {
            split: read_libsvm(folder / source.file)
            for split, source in SOURCES.items()
        }
    if (folder / NPZ).exists():
        return read_npz(folder / NPZ)
    present = [name for name in PACKED if (folder / name).exists()]
    state = f"has only {present[0]}" if present else "has none of them"
    if not folder.exists():
        state = "does not exist"
    raise FileNotFoundError(
        f"The folder {str(folder)!r} must contain {' and '.join(PACKED)} "
        f"(from {FOLDER_URL}), or {NPZ}. It {state}."
    )


def read_downloads(paths: dict[str, Path]) -> Splits:
    """Returns the splits by name, from one path for each, once verified."""
    for split, source in SOURCES.items():
        _check_sum(paths[split], source)
    splits = {split: read_libsvm(paths[split]) for split in SOURCES}
    for split, source in SOURCES.items():
        count = len(splits[split][1])
        if count != source.digits:
            raise ValueError(
                f"{source.file} must have {source.digits} digits. "
                f"{paths[split]} has {count}."
            )
    return splits


def _check_sum(path: Path, source: Source) -> None:
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if actual != source.sha256:
        raise ValueError(
            f"The download of {FOLDER_URL}{source.file} has a wrong checksum. "
            f"Expected the sha256 sum {source.sha256}, got {actual}. Delete "
            f"{str(path)!r} and try again."
        )


def read_libsvm(path: Path) -> Split:
    """Returns the split in a file of LIBSVM, `bzip2` of one line per digit."""
    try:
        text = bz2.decompress(path.read_bytes()).decode("ascii")
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not text in bzip2: {error}") from error
    images, labels = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            label, values = _parse(line)
        except ValueError as error:
            raise ValueError(
                f"Line {number} of {path} must be a label from 1 to {CLASSES} "
                f"and `index:value` for the {PIXELS} pixels, with values in "
                f"[-1, 1]: {error}"
            ) from error
        images.append(to_bytes(values))
        labels.append(label - 1)
    return _checked(images, labels, path)


def _parse(line: str) -> tuple[int, Array]:
    """Returns label and pixel values of a line such as `7 1:-1 2:-0.631`."""
    words = line.split()
    label = int(words[0]) if words else None
    if label is None or label not in range(1, CLASSES + 1):
        raise ValueError(f"the label is {label}")
    pairs = [word.partition(":") for word in words[1:]]
    # The format may leave out zeros. The files of USPS leave out none, so that
    # a gap is a damaged line rather than a gray pixel.
    if [pair[0] for pair in pairs] != [str(1 + i) for i in range(PIXELS)]:
        raise ValueError(f"the indices of its {len(pairs)} pixels are wrong")
    values = np.array([float(pair[2]) for pair in pairs])
    if not np.all(np.abs(values) <= 1.0):  # also where a value is NaN
        raise ValueError("a value is out of range")
    return label, values


def to_bytes(values: ArrayLike) -> Array:
    """Returns `round((v + 1) * 127.5)` of values in [-1, 1], as uint8."""
    return np.rint((np.asarray(values) + 1.0) * 127.5).astype("uint8")


def read_npz(path: Path) -> Splits:
    """Returns the splits in an archive of NumPy."""
    with path.open("rb") as file, np.load(file) as arrays:
        needed = [f"{axis}_{split}" for split in SOURCES for axis in "xy"]
        if not set(needed) <= set(arrays.files):
            raise ValueError(
                f"{path} must have the arrays {needed}. It has {arrays.files}."
            )
        return {
            split: _checked(arrays[f"x_{split}"], arrays[f"y_{split}"], path)
            for split in SOURCES
        }


def _checked(images: ArrayLike, labels: ArrayLike, path: Path) -> Split:
    images, labels = np.asarray(images), np.asarray(labels)
    # Other values would have to be rounded, in a way that depends on what they
    # mean.
    if {images.dtype.kind, labels.dtype.kind} - set("ui") or not images.size:
        raise ValueError(
            f"{path} must have images and labels that are integers. It has "
            f"{images.dtype} of shape {images.shape} and {labels.dtype} of "
            f"shape {labels.shape}."
        )
    n = len(images)
    if images.size != n * PIXELS or labels.shape != (n,):
        raise ValueError(
            f"{path} must have images of shape (n, {SIDE}, {SIDE}) and labels "
            f"of shape (n,). It has {images.shape} and {labels.shape}."
        )
    for name, array, top in [("pixel", images, 255), ("label", labels, 9)]:
        if array.min() < 0 or array.max() > top:
            raise ValueError(
                f"{path} must have every {name} in [0, {top}]. It has values "
                f"in [{array.min()}, {array.max()}]."
            )
    images = images.reshape(n, SIDE, SIDE, 1)
    return images.astype("uint8"), labels.astype("uint8")
