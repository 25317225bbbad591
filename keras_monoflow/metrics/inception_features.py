"""Features of the Inception network that Keras ships."""

from collections.abc import Sequence
from typing import Self

import keras
import numpy as np
from keras import ops

from keras_monoflow.arguments import check_range, check_range_of_bytes
from keras_monoflow.metrics import features
from keras_monoflow.typing import Array, ArrayLike, Config

# The size of the images that the network was trained on.
_SIZE = 299


def inception(
    input_range: Sequence[float] = (-1, 1), weights: str | None = "imagenet"
) -> "InceptionFeatures":
    """Returns an extractor of 2048 features, for the metrics of this package.

    It is `keras.applications.InceptionV3` up to its global average pooling.
    Images of any size are resized to 299 x 299 pixels, bilinearly and without
    antialiasing; images with one channel are repeated to three; values are
    brought from `input_range` to the network's own range, -1 to 1.

    **The numbers are not the literature's FID and KID.** Published values use
    other weights (those of TensorFlow's release of 2015) and another way of
    resizing. They may be compared with each other, not with papers; for those
    there is `torch_fidelity_score`.

    Args:
        input_range: Pair of numbers, the values of black and of white in the
            images. Defaults to `(-1, 1)`.
        weights: `"imagenet"`, which Keras downloads once (88 MB); the path of a
            weights file; or `None` for random weights. Defaults to
            `"imagenet"`.

    Returns:
        A callable that maps an array of shape `(b, height, width, channels)`,
        with 1 or 3 channels, or `(b, height, width)` to a float32 NumPy array
        of shape `(b, 2048)`. Channels come first where Keras's
        `image_data_format` says so. It can be saved with a metric; with
        `weights=None` the random weights are lost.

    Raises:
        ValueError: If `input_range` is not a pair of increasing numbers; when
            called, if the images have another shape, or are bytes while
            `input_range` is `(-1, 1)`.
        RuntimeError: If the weights cannot be downloaded or read.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    # Random weights: only to see the shapes.
    extractor = kmf.metrics.inception(input_range=(0, 255), weights=None)
    print(extractor(np.zeros((1, 28, 28), "uint8")).shape)  # (1, 2048)
    distance = kmf.metrics.KernelDistance(extractor)
    ```
    """
    return InceptionFeatures(input_range, weights)


@keras.saving.register_keras_serializable(package="keras_monoflow")
class InceptionFeatures:
    """The extractor that `inception` returns."""

    def __init__(
        self,
        input_range: Sequence[float] = (-1, 1),
        weights: str | None = "imagenet",
    ) -> None:
        self.input_range = check_range("input_range", input_range)
        self.weights_source = weights
        self.network = _load(weights)

    def __call__(self, images: ArrayLike) -> Array:
        images = ops.convert_to_tensor(self._as_color(images), "float32")
        low, high = self.input_range
        images = (images - low) * (2.0 / (high - low)) - 1.0
        # Float32 as it is, whatever the format of the channels.
        images = ops.image.resize(
            images,
            (_SIZE, _SIZE),
            interpolation="bilinear",
            antialias=False,
            data_format=keras.config.image_data_format(),
        )
        return features.apply(self.network, images)

    def _as_color(self, images: ArrayLike) -> Array:
        images = np.asarray(ops.convert_to_numpy(images))
        check_range_of_bytes("input_range", self.input_range, images)
        axis = -1 if keras.config.image_data_format() == "channels_last" else 1
        if images.ndim == 3:
            images = np.expand_dims(images, axis)
        if images.ndim != 4 or images.shape[axis] not in (1, 3):
            raise ValueError(
                "Inception needs images of 1 or 3 channels, in an array of "
                "shape (n, height, width, channels). Received: shape "
                f"{images.shape} with image_data_format="
                f"{keras.config.image_data_format()!r}"
            )
        if images.shape[axis] == 1:
            images = images.repeat(3, axis=axis)
        return images.astype("float32")

    def get_config(self) -> Config:
        return {
            "input_range": list(self.input_range),
            "weights": self.weights_source,
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(**config)


def _load(weights: str | None) -> keras.Model:
    # (It takes no `dtype`.)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        return keras.applications.InceptionV3(
            include_top=False, weights=weights, pooling="avg"
        )
    # Keras raises a bare Exception if a download fails.
    except Exception as error:
        raise RuntimeError(
            f"InceptionV3 could not be made with weights={weights!r}: {error} "
            "Without a network, download the file "
            "`inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5` of "
            "Keras's applications elsewhere and pass its path as `weights`."
        ) from error
    finally:
        keras.config.set_dtype_policy(policy)
