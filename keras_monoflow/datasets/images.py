"""Images from TensorFlow Datasets as one NumPy array."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np

from keras_monoflow.arguments import check_integer
from keras_monoflow.datasets.tfds_import import import_tfds
from keras_monoflow.typing import Array

BLOCK = 128  # images that are scaled at once


def load_images(
    name: str,
    split: str = "train",
    data_dir: str | os.PathLike | None = None,
    size: int | Sequence[int] | None = None,
    download: bool = True,
    with_labels: bool = False,
    manual_dir: str | os.PathLike | None = None,
) -> Any:
    """Loads a data set of images through TensorFlow Datasets.

    The bytes `b` from 0 to 255 become `b / 127.5 - 1`, the range of a
    generator that ends in `tanh`. The order of the images is that of the
    files, the same at every call.

    This needs `pip install "keras-monoflow[datasets]"` and TensorFlow, which
    reads the files whatever the Keras backend is. On a machine where TensorFlow
    and the backend share a GPU, hide the GPU from TensorFlow first with
    `tf.config.set_visible_devices([], "GPU")`.

    Args:
        name: String, any data set of the TensorFlow Datasets catalog with a
            feature `image` of bytes, such as `"mnist"` or `"cifar10"`, or
            `"usps"`, which this package adds (see `kmf.datasets.Usps`).
        split: String in the notation of TensorFlow Datasets, such as
            `"train"`, `"test"` or `"train[:1000]"`. Defaults to `"train"`.
        data_dir: String or path, the folder of the prepared data sets. By
            default the environment variable `TFDS_DATA_DIR`, or else
            `~/tensorflow_datasets`.
        size: Integer or pair `(height, width)` in pixels, to which the images
            are resized (bilinear with antialiasing, aspect ratio not kept).
            Needed if the images differ in size. Defaults to `None`, the stored
            size.
        download: Boolean, whether to fetch and prepare data that are not in
            `data_dir`. Defaults to `True`.
        with_labels: Boolean, whether to return the feature `label` too.
            Defaults to `False`.
        manual_dir: String or path, a folder with files that were fetched by
            hand, for the data sets that accept such, as `"usps"` does. It is
            not looked at if the data are already prepared in `data_dir`.
            Defaults to `None`, the folder `downloads/manual` in `data_dir`.

    Returns:
        Float32 array of shape `(n, height, width, channels)` with values in
        `[-1, 1]`. With `with_labels=True` a tuple of it and an integer array
        of shape `(n,)`.

    Raises:
        ImportError: If TensorFlow Datasets is not installed.
        TypeError: If `name` or `split` is not a string.
        ValueError: If there is no such data set or split, if the split is
            empty, if the images are not bytes of shape
            `(height, width, channels)`, if they differ in size and `size` is
            `None`, or if labels are asked for and there are none.
        RuntimeError: If the data are neither in `data_dir` nor can be fetched
            or read from `manual_dir`.

    Example:

    ```python
    import keras_monoflow as kmf

    images = kmf.datasets.load_images("mnist", size=32)
    print(images.shape)  # (60000, 32, 32, 1)
    ```
    """
    for argument, value in (("name", name), ("split", split)):
        if not isinstance(value, str):
            raise TypeError(
                f"`{argument}` must be a string. Received: "
                f"{argument}={value!r}."
            )
    pair = None if size is None else _pair(size)
    tfds = import_tfds("load_images")
    builder = _builder(tfds, name, data_dir)
    _check_features(name, builder.info.features, pair, with_labels)
    config = tfds.download.DownloadConfig(manual_dir=manual_dir)
    _prepare(builder, name, download, config)
    return _read(tfds, builder, name, split, pair, with_labels)


def _pair(size: Any) -> tuple[int, int]:
    sides = (size, size) if np.ndim(size) == 0 else tuple(size)
    if len(sides) != 2:
        raise ValueError(
            "`size` must be an integer or a pair `(height, width)`. "
            f"Received: size={size!r}"
        )
    height, width = (check_integer("size", side, minimum=1) for side in sides)
    return height, width


def _builder(tfds: Any, name: str, data_dir: str | os.PathLike | None) -> Any:
    if name.startswith("usps"):
        # The import makes TFDS know the name.
        import keras_monoflow.datasets.usps  # noqa: F401
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.registered.DatasetNotFoundError as error:
        # The original message lists all 1300 names.
        raise ValueError(
            "`name` must be a data set of TensorFlow Datasets, or one prepared "
            "in `data_dir`: see https://www.tensorflow.org/datasets/catalog. "
            f"Received: name={name!r}, data_dir={data_dir!r}"
        ) from error


def _check_features(
    name: str,
    features: Any,
    size: tuple[int, int] | None,
    with_labels: bool,
) -> None:
    needed = {"image", "label"} if with_labels else {"image"}
    if not needed <= set(features):
        raise ValueError(
            f"The data set {name!r} must have the features {sorted(needed)}. "
            f"It has {sorted(features)}."
        )
    image = features["image"]
    if np.dtype(image.np_dtype) != np.uint8 or len(image.shape) != 3:
        raise ValueError(
            "The images must be bytes (uint8) of shape (height, width, "
            f"channels). Those of {name!r} are {np.dtype(image.np_dtype).name} "
            f"of shape {image.shape}."
        )
    if image.shape[2] is None or (size is None and None in image.shape):
        raise ValueError(
            f"The images of {name!r} have no common shape: {image.shape}. "
            "Pass `size=(height, width)` to resize them; images whose number "
            "of channels varies cannot be loaded."
        )


def _prepare(builder: Any, name: str, download: bool, config: Any) -> None:
    if builder.data_path.exists():
        return
    reason, cause = "`download=False` was given", None
    if download:
        try:
            builder.download_and_prepare(download_config=config)
            return
        except Exception as error:
            reason, cause = f"preparing it failed ({error})", error
    raise RuntimeError(
        f"The data set {name!r} is not in {str(builder.data_path)!r}, and "
        f"{reason}. Prepare it once on a machine with network access by "
        f'`python -c "import keras_monoflow as kmf; '
        f"kmf.datasets.load_images('{name}')\"`, or copy a folder that is "
        "already prepared; then pass the folder above it as `data_dir`, or set "
        "the environment variable TFDS_DATA_DIR to it. Files that were fetched "
        "by hand are read from `manual_dir` by the data sets that accept such."
    ) from cause


def _read(
    tfds: Any,
    builder: Any,
    name: str,
    split: str,
    size: tuple[int, int] | None,
    with_labels: bool,
) -> Any:
    try:
        count = builder.info.splits[split].num_examples
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"`split` must name a part of {name!r}, which has the splits "
            f"{sorted(builder.info.splits)}. Received: split={split!r}"
        ) from error
    if count == 0:
        raise ValueError(
            f"`split` selects no image of {name!r}. Received: split={split!r}"
        )
    # The whole split is copied into the result: a cache would be another copy.
    config = tfds.ReadConfig(try_autocache=False)
    rows = builder.as_dataset(split=split, read_config=config)
    keys = ("image", "label") if with_labels else ("image",)
    rows = rows.map(_picker(keys, size)).batch(BLOCK)
    return _collect(tfds.as_numpy(rows), count, with_labels)


def _picker(
    keys: Sequence[str], size: tuple[int, int] | None
) -> Callable[[dict], dict]:
    """Returns a function that keeps `keys` of a row and resizes its image."""
    if size is None:
        return lambda row: {key: row[key] for key in keys}
    # Keras runs this layer in TensorFlow inside `map`, whatever the backend:
    # every backend gets the same pixels, and image sizes may vary.
    resize = keras.layers.Resizing(
        *size, antialias=True, data_format="channels_last", dtype="float32"
    )
    return lambda row: {
        key: resize(row[key]) if key == "image" else row[key] for key in keys
    }


def _collect(
    blocks: Iterable[dict[str, Array]], count: int, with_labels: bool
) -> Any:
    images: Any = None
    labels, start = [], 0
    for block in blocks:
        pixels = block["image"].astype("float32")
        if images is None:
            images = np.empty((count, *pixels.shape[1:]), "float32")
        stop = start + len(pixels)
        # Resizing overshoots the range of the bytes by a rounding error.
        images[start:stop] = np.clip(pixels / 127.5 - 1.0, -1.0, 1.0)
        labels += [block["label"]] if with_labels else []
        start = stop
    return (images, np.concatenate(labels)) if with_labels else images
