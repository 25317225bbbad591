"""Files that are either the old ones or the new ones, and never half of one."""

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from typing import Any


def check_folder(
    folder: str | os.PathLike, owner: str, remote: bool = False
) -> None:
    """Makes a folder, and checks that files can be written there.

    Args:
        folder: Path of the folder; an empty one is the current folder.
        owner: What the message calls what will write.
        remote: Whether it can write to places such as `gs://...`, which are
            left unchecked.

    Raises:
        OSError: If it cannot be made or written.
        ValueError: If it is a place that only others can write to.
    """
    folder = os.fspath(folder) or "."
    if "://" in folder:
        if remote:
            return
        raise ValueError(
            f"`{owner}` writes to folders of the file system alone. Received: "
            f"{folder!r}. Mount it, or copy the files when the training ends."
        )
    with naming(owner, folder):
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


@contextlib.contextmanager
def naming(owner: str, path: str) -> Iterator[None]:
    """Lets an error of the file system name a callback and a file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            error.errno,
            f"`{owner}` cannot write {path!r}: {reason}. Make room, or choose "
            "another place; what was written before is left as it was",
        ) from error


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike,
    owner: str,
    keep: str | os.PathLike | None = None,
    durable: bool = False,
) -> Iterator[str]:
    """Gives the path of a new file, which takes the place of `path` at the end.

    If anything fails inside, `path` stays as it was.

    Args:
        path: The file to write or replace.
        owner: What the message calls the callback that writes.
        keep: Where the old file is moved, if there is one.
        durable: Whether to wait until the new file is on the disk.

    Raises:
        OSError: If the file cannot be written.
    """
    folder, name = os.path.split(os.fspath(path))
    new = os.path.join(folder, f"unfinished_{name}")
    with naming(owner, os.fspath(path)):
        try:
            os.makedirs(folder or ".", exist_ok=True)
            yield new
            if not os.path.exists(new):
                return  # Nothing was written.
            if durable:
                sync(new)
            if keep is not None and os.path.exists(path):
                os.replace(path, keep)
            os.replace(new, path)
            if durable:
                sync(folder or ".")
        except BaseException:
            with contextlib.suppress(OSError):
                os.remove(new)
            raise


def sync(path: str | os.PathLike) -> None:
    """Waits until a file or a folder is on the disk."""
    if os.path.isdir(path) and os.name == "nt":
        return  # Windows opens no folders.
    flags = os.O_RDONLY if os.path.isdir(path) else os.O_RDWR
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class WeightsInMemory(io.BytesIO):
    """Where Keras writes weights, to be written to a file as plain bytes.

    HDF5 ends the process with a segmentation fault if the disk is full when it
    closes a file.
    """

    def __str__(self) -> str:
        return "memory.weights.h5"  # Keras looks at the ending.


def write_weights(
    weights: WeightsInMemory, path: str | os.PathLike, owner: str, **how: Any
) -> None:
    """Writes weights to a file, as `replacing` does, with its arguments."""
    with replacing(path, owner, **how) as new, open(new, "wb") as file:
        file.write(weights.getbuffer())
