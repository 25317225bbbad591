"""Every private name of PyTorch that recorded steps need.

Without one of them, steps run operation by operation.
`tests/backend/test_torch_fallbacks.py` trains without each.
"""

import importlib
from typing import Any

import torch

from keras_monoflow.backend.torch.errors import NotRecordable

_missing: list[str] = []


def _find(module: str, name: str, stand_in: type) -> Any:
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        _missing.append(f"{module}.{name}")
        return stand_in


TorchDispatchMode = _find(
    "torch.utils._python_dispatch", "TorchDispatchMode", object
)
TorchFunctionMode = _find("torch.overrides", "TorchFunctionMode", object)
WeakTensorKeyDictionary = _find(
    "torch.utils.weak", "WeakTensorKeyDictionary", dict
)
try:
    torch.ops.aten.add_.Tensor._schema  # noqa: B018
except AttributeError:
    _missing.append("torch.ops.aten.add_.Tensor._schema")


def check_names() -> None:
    """Raises `NotRecordable` if a name is missing."""
    if _missing:
        raise NotRecordable(
            f"The installed PyTorch has no {' and no '.join(_missing)}. Use a "
            "version that this version of keras_monoflow was tested with"
        )


def arguments_of(operation: Any) -> list:
    """Returns what the schema of an operation says of its arguments.

    That is empty for functions of Python, which make views at most.
    """
    schema = getattr(operation, "_schema", None)
    return [] if schema is None else list(schema.arguments)
