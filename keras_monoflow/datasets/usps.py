"""USPS handwritten digits, as a data set of TensorFlow Datasets.

This module imports TensorFlow Datasets, and with it registers "usps" there.
The package imports it when it is first needed.
"""

import os
from collections.abc import Iterator
from typing import Any

from keras_monoflow.datasets import usps_files as files
from keras_monoflow.datasets.tfds_import import import_tfds
from keras_monoflow.typing import Array

tfds: Any = import_tfds("Usps")

DESCRIPTION = """
Handwritten digits that the U.S. Postal Service scanned from envelopes: 7291
images for training and 2007 for testing, 16x16 pixels in gray. Paper is black
(0), ink is white (255).

The source is the copy of LIBSVM with values v in [-1, 1] and labels from 1 to
10. Here a pixel is `round((v + 1) * 127.5)` and a label is one less, which is
the digit.
"""

CITATION = """
@article{hull1994database,
  title={A database for handwritten text recognition research},
  author={Hull, Jonathan J.},
  journal={IEEE Transactions on Pattern Analysis and Machine Intelligence},
  volume={16},
  number={5},
  pages={550--554},
  year={1994},
  doi={10.1109/34.291440}
}
"""


class Usps(tfds.core.GeneratorBasedBuilder):
    """USPS handwritten digits, 16x16 pixels in gray, for TensorFlow Datasets.

    7291 images for training and 2007 for testing, as a dictionary with `image`,
    uint8 of shape `(16, 16, 1)`, and `label`, an integer from 0 to 9. Paper is
    0 and ink is 255. `kmf.datasets.load_images("usps")` returns them as one
    array; after the first use of this class, `tfds.load("usps")` works too.

    The images come from the first of these:

    1. The folder `manual_dir`, if it is given here, to `load_images`, or in a
       `tfds.download.DownloadConfig`. It must contain `usps.bz2` and
       `usps.t.bz2`, the files of LIBSVM, or else `usps.npz` with the integer
       arrays `x_train`, `y_train`, `x_test` and `y_test`: bytes of shape
       `(n, 16, 16)` and digits of shape `(n,)`.
    2. The folder `downloads/manual` in `data_dir`, where TensorFlow Datasets
       expects files that were fetched by hand, if it has any of these files.
    3. The web pages of LIBSVM. The sha256 sums of the two files and the numbers
       of images are verified, which those of a local folder are not.

    A value `v` in the files of LIBSVM, from -1 to 1, becomes the byte
    `round((v + 1) * 127.5)`; torchvision rounds down instead. Bytes in
    `usps.npz` are kept. TensorFlow Datasets shuffles the images once when it
    writes its own files, by a hash of their position, so that all sources lead
    to the same order.

    Source: J. J. Hull, A Database for Handwritten Text Recognition Research,
    IEEE Transactions on Pattern Analysis and Machine Intelligence 16(5), 1994.

    Args:
        manual_dir: String or path, a folder with the files named above. It is
            not looked at if the data set is already prepared in `data_dir`.
            Defaults to `None`.
        **kwargs: Keyword arguments of `tfds.core.DatasetBuilder`, of which
            `data_dir` is the folder of the prepared data sets.

    Raises:
        ImportError: If TensorFlow Datasets is not installed.
        FileNotFoundError: By `download_and_prepare`, if the files are not in
            `manual_dir`.
        ValueError: By `download_and_prepare`, if a download has a wrong sum, or
            if a file is not as described above.

    Example:

    ```python
    import keras_monoflow as kmf

    builder = kmf.datasets.Usps(manual_dir="~/usps")
    builder.download_and_prepare()
    images = kmf.datasets.load_images("usps")
    print(images.shape)  # (7291, 16, 16, 1)
    ```
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The first release."}  # noqa: RUF012
    # Without instructions TFDS does not say which folder it has for files
    # that were fetched by hand.
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Only needed without a network: put usps.bz2 and usps.t.bz2 from "
        f"{files.FOLDER_URL} into this folder, or usps.npz."
    )

    def __init__(
        self, *, manual_dir: str | os.PathLike | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._manual_dir = manual_dir
        # TFDS makes the copy of a builder, or an unpickled one, from this.
        self._original_state["manual_dir"] = manual_dir

    def _info(self) -> Any:
        image = tfds.features.Image(shape=(files.SIDE, files.SIDE, 1))
        label = tfds.features.ClassLabel(num_classes=files.CLASSES)
        return tfds.core.DatasetInfo(
            builder=self,
            description=DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {"image": image, "label": label}
            ),
            supervised_keys=("image", "label"),
            homepage=files.FOLDER_URL[:-1] + ".html#usps",
            citation=CITATION,
        )

    def download_and_prepare(
        self, *, download_config: Any = None, **kwargs: Any
    ) -> None:
        # Files must be in a folder that was asked for, but need not be in the
        # default one. The download manager does not tell the two apart.
        if download_config is not None and download_config.manual_dir:
            self._manual_dir = download_config.manual_dir
        super().download_and_prepare(download_config=download_config, **kwargs)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        folder = self._manual_dir or _default_folder(dl_manager)
        if folder is None:
            urls = {
                split: files.FOLDER_URL + source.file
                for split, source in files.SOURCES.items()
            }
            splits = files.read_downloads(dl_manager.download(urls))
        else:
            splits = files.read_folder(tfds.core.Path(folder).expanduser())
        return {
            split: self._generate_examples(*arrays)
            for split, arrays in splits.items()
        }

    def _generate_examples(
        self, images: Array, labels: Array
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for key, (image, label) in enumerate(zip(images, labels)):
            yield key, {"image": image, "label": int(label)}


def _default_folder(dl_manager: Any) -> Any:
    """Returns the folder for files fetched by hand, or `None` without any."""
    try:
        folder = dl_manager.manual_dir
    except AssertionError:  # TFDS found no such folder, or an empty one.
        return None
    return folder if files.has_files(folder) else None
