"""Scores that can be compared with papers, by torch-fidelity."""

from collections.abc import Collection, Sequence
from typing import Any

import keras
import numpy as np

from keras_monoflow.arguments import check_range
from keras_monoflow.metrics.base import (
    as_samples,
    check_finite,
    check_same_shape,
)
from keras_monoflow.typing import Array, ArrayLike, Tensor

_KNOWN = ("isc", "fid", "kid", "prc")


def torch_fidelity_score(
    real: ArrayLike,
    generated: ArrayLike,
    metrics: Collection[str] = ("fid", "kid"),
    input_range: Sequence[float] = (-1, 1),
    **options: Any,
) -> dict[str, float]:
    """Returns the scores that torch-fidelity computes for two sets of images.

    torch-fidelity (Obukhov et al., 2020, doi 10.5281/zenodo.4957738) uses the
    weights and the resizing of the original FID, so that its scores can be
    compared with published ones; these use 50,000 generated images, mostly.

    It gets images as bytes. Images of other types are scaled from `input_range`
    to 0 to 255, clipped and rounded; one channel is repeated to three. The
    generated images are its `input1`, the real ones its `input2`.

    Needs `pip install "keras-monoflow[fidelity]"`, which installs PyTorch as
    well, and downloads the weights when first used. With TensorFlow or JAX,
    PyTorch is loaded second; should that crash, import `torch` before Keras.

    Args:
        real: Array or tensor of shape `(n, height, width, channels)`, with 1
            or 3 channels, or `(n, height, width)`. Bytes (uint8) are taken as
            they are. Channels come first where Keras's `image_data_format`
            says so.
        generated: Array or tensor of shape `(m, height, width, channels)`.
        metrics: Tuple of `"isc"`, `"fid"`, `"kid"` and `"prc"`. Defaults to
            `("fid", "kid")`.
        input_range: Pair of numbers, the values of black and of white in images
            that are not bytes. Defaults to `(-1, 1)`.
        **options: Passed on to `torch_fidelity.calculate_metrics`, such as
            `kid_subset_size`, or `feature_extractor_weights_path`. Unless
            given: `cuda` as PyTorch finds it, `verbose=False`, and
            `save_cpu_ram=True`, which starts no worker processes. These would
            be forked from a program whose framework runs threads.

    Returns:
        A dictionary of floats with the names of torch-fidelity, such as
        `frechet_inception_distance` and `kernel_inception_distance_mean`.

    Raises:
        ValueError: If a metric is unknown, or if the images have another shape.
        ImportError: If torch-fidelity is missing.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    images = np.random.default_rng(0).integers(
        0, 256, size=(2000, 32, 32, 3), dtype="uint8"
    )
    try:
        print(kmf.metrics.torch_fidelity_score(images[:1000], images[1000:]))
    except ImportError as error:
        print(error)
    ```
    """
    unknown = set(metrics) - set(_KNOWN)
    if unknown or isinstance(metrics, str) or not metrics:
        raise ValueError(
            f"`metrics` must be a tuple of names from {_KNOWN}. "
            f"Received: metrics={metrics!r}"
        )
    real = as_samples("real", real)
    generated = as_samples("generated", generated)
    check_same_shape(real, generated)
    real = to_bytes("real", real, input_range)
    generated = to_bytes("generated", generated, input_range)
    torch, torch_fidelity = _import_torch_fidelity()
    options = {
        "cuda": torch.cuda.is_available(),
        "verbose": False,
        "save_cpu_ram": True,
        **dict.fromkeys(metrics, True),
        **options,
    }
    scores = torch_fidelity.calculate_metrics(
        input1=_dataset(torch, generated),
        input2=_dataset(torch, real),
        **options,
    )
    return {name: float(value) for name, value in scores.items()}


def to_bytes(name: str, images: Array, input_range: Sequence[float]) -> Array:
    """Returns images as bytes with three channels first.

    Args:
        name: String, the name of the argument in errors.
        images: NumPy array as in `torch_fidelity_score`.
        input_range: Pair of numbers, the values of black and white.

    Returns:
        A uint8 NumPy array of shape `(n, 3, height, width)`.
    """
    if images.ndim == 3:
        images = images[:, None]
    elif keras.config.image_data_format() == "channels_last":
        images = np.moveaxis(images, -1, 1)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(
            f"`{name}` must be images of 1 or 3 channels, in an array of shape "
            "(n, height, width, channels). Received, with channels first: "
            f"{name}.shape={images.shape}"
        )
    if images.dtype != np.uint8:
        check_finite(name, images)
        low, high = check_range("input_range", input_range)
        images = (images.astype("float32") - low) * (255.0 / (high - low))
        images = np.rint(np.clip(images, 0.0, 255.0)).astype("uint8")
    return np.ascontiguousarray(images.repeat(3 // images.shape[1], axis=1))


def _import_torch_fidelity() -> tuple[Any, Any]:
    try:
        import torch_fidelity
    except ImportError as error:
        raise ImportError(
            "Scores that can be compared with papers need torch-fidelity: "
            '`pip install "keras-monoflow[fidelity]"`. Without it, there are '
            "`FrechetDistance` and `KernelDistance`. "
            f"The import failed with: {error}"
        ) from error
    # Second: PyTorch need not be loaded to find torch-fidelity missing.
    import torch

    return torch, torch_fidelity


def _dataset(torch: Any, images: Array) -> Any:
    class Images(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int) -> Tensor:
            return torch.from_numpy(images[index])

    return Images()
