"""The optional import of TensorFlow Datasets."""

from typing import Any


def import_tfds(what: str) -> Any:
    """Returns the module `tensorflow_datasets`, which `what` needs."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"`{what}` needs TensorFlow Datasets. Install it with "
            '`pip install "keras-monoflow[datasets]"`, and TensorFlow with '
            f"`pip install tensorflow`. The import failed with: {error}"
        ) from error
    return tfds
