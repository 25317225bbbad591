"""Small trained models that come with the package."""

import hashlib
import importlib.resources
import json
import pathlib
import tempfile
from typing import Any

import keras

FILES = importlib.resources.files("keras_monoflow") / "pretrained"


def pretrained_cards() -> dict[str, dict[str, Any]]:
    """Returns what there is to know of the models that `load_pretrained` loads.

    Returns:
        A dictionary from names to cards: dictionaries with `model`, `data`,
        `settings`, `metrics`, `limits`, `made_with` (machine, versions and
        commit) and `sha256`, the checksum of the file.

    Example:

    ```python
    import keras_monoflow as kmf

    for name, card in kmf.models.pretrained_cards().items():
        print(name, card["model"], card["metrics"])
    ```
    """
    return json.loads((FILES / "cards.json").read_text("utf-8"))


def load_pretrained(name: str) -> keras.Model:
    """Loads a small trained model that comes with the package.

    It needs no download, and works on every backend. The models are there to
    look at and to try things on; they are compiled, so that `evaluate`,
    `refine` and further training work too.

    Args:
        name: `"ring"`, a `W1FE` of eight Gaussians in the plane;
            `"digits_gan"`, a `MonoFlowGAN` of 8x8 digits; or
            `"digits_one_step"`, a `SampleFlow` of the same digits, without a
            discriminator.

    Returns:
        A `keras.Model` of this package.

    Raises:
        ValueError: If there is no such model, or if the checksum of its file is
            not that of its card.

    Example:

    ```python
    import keras_monoflow as kmf

    model = kmf.models.load_pretrained("ring")
    print(model.sample(1000, seed=0).shape)  # (1000, 2)
    ```
    """
    cards = pretrained_cards()
    if name not in cards:
        raise ValueError(
            f"`name` must be one of {', '.join(map(repr, cards))}. "
            f"Received: name={name!r}"
        )
    content = (FILES / f"{name}.keras").read_bytes()
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != cards[name]["sha256"]:
        raise ValueError(
            f"The file of the pretrained model {name!r} is damaged: its "
            f"SHA-256 checksum is {checksum}, and that of its card "
            f"{cards[name]['sha256']}. Install the package anew."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / f"{name}.keras"
        path.write_bytes(content)
        return keras.saving.load_model(path)
