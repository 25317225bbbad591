"""The processes of `torch.distributed`, once it is initialized.

The functions are documented in `keras_monoflow.backend.processes`.
"""

import contextlib
from collections.abc import Sequence

import keras
import torch.distributed


def _is_initialized() -> bool:
    distributed = torch.distributed
    return distributed.is_available() and distributed.is_initialized()


def count() -> int:
    return torch.distributed.get_world_size() if _is_initialized() else 1


def index() -> int:
    return torch.distributed.get_rank() if _is_initialized() else 0


def copy_from_first(values: Sequence) -> list:
    copies = [keras.ops.convert_to_tensor(v) for v in values]
    for copy in copies:
        torch.distributed.broadcast(copy, src=0)
    return [keras.ops.convert_to_numpy(copy) for copy in copies]


def local(variables: Sequence) -> contextlib.AbstractContextManager:
    return contextlib.nullcontext()


def wait_for(variables: Sequence) -> None:
    """Nothing is computed ahead."""
