"""The operations of a step on PyTorch, written down while the step runs.

Nothing is broken off: what cannot be written down is noted in `error`, and the
step goes on. (`torch.fx.experimental.proxy_tensor.make_fx` writes down the same
operations, but stops the step where one reads a value, and takes several times
as long: see `docs/performance.md`.)
"""

import operator
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch

from keras_monoflow.backend.torch import graph as torch_graph
from keras_monoflow.backend.torch import torch_internals as internals
from keras_monoflow.backend.torch.errors import NotRecordable

_READINGS = (
    torch.Tensor.numpy,
    torch.Tensor.tolist,
    torch.Tensor.__array__,
    torch.Tensor.__dlpack__,
)


class Recorder(internals.TorchDispatchMode):
    """Writes down every operation inside it, below autograd.

    Args:
        inputs: Tensors that a replay gets anew. All others are constants.

    Raises:
        NotRecordable: If the installed PyTorch has other private names.
    """

    def __init__(self, inputs: Sequence[torch.Tensor]) -> None:
        internals.check_names()
        super().__init__()
        self.error: Exception | None = None
        self._graph = _Graph()
        self._readings = _NoReading(self)
        self._is_paused = False
        self._written: set[int] | None = None
        for tensor in inputs:
            self._graph.add_input(tensor)

    def __enter__(self) -> "Recorder":
        self._readings.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._readings.__exit__(*error)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple = (),
        kwargs: dict | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        outputs = func(*args, **kwargs)
        if self._written is not None:
            self._written.update(_addresses_written(func, args, kwargs))
        if self.error is None and not self._is_paused:
            try:
                if torch_graph.reads_values(func):
                    self._graph.add_reading(args)
                else:
                    torch_graph.check_operation(func, args)
                    self._graph.add_operation(func, args, kwargs, outputs)
            except Exception as error:
                self.fail(error)
        return outputs

    def fail(self, error: Exception) -> None:
        """Notes why there is nothing to replay; the first reason counts."""
        if self.error is None and not self._is_paused:
            # Its frames would keep the tensors of the step.
            self.error = error.with_traceback(None)
            self.error.add_note(_layer_that_runs())

    def see_reading(self, tensor: torch.Tensor) -> None:
        """Notes that Python takes the values of a tensor."""
        if self.error is None and not self._is_paused:
            try:
                self._graph.add_reading(tensor)
            except NotRecordable as error:
                self.fail(error)

    def unseen(self, fn: Callable[[], Any]) -> Any:
        """Returns `fn()`, whose operations are not written down."""
        was_paused, self._is_paused = self._is_paused, True
        try:
            return fn()
        finally:
            self._is_paused = was_paused

    def written_by(self, fn: Callable[[], Any]) -> tuple[Any, set[int]]:
        """Returns `fn()`, and `address` of all memory that it has changed."""
        before, self._written = self._written, set()
        try:
            return fn(), self._written
        finally:
            self._written = before

    def cut(self) -> None:
        """Marks where a piece of the graph ends and the next one begins."""
        self._graph.cut()

    def finish(
        self, outputs: Sequence
    ) -> tuple[torch.fx.GraphModule, list[tuple]]:
        """Returns what replays the operations.

        Args:
            outputs: Tensors that the replay returns; anything else is returned
                as it is.

        Returns:
            A pair of a `GraphModule` and the draws of noise that its last
            inputs are, `(function, args, kwargs)`. Each node tells in
            `meta["piece"]` between which marks it stands.

        Raises:
            NotRecordable: If the operations cannot be replayed.
        """
        if self.error is not None:
            raise self.error
        return self._graph.finish(outputs)


def address(tensor: torch.Tensor) -> int:
    """Returns where in memory a tensor, or what it is a view of, begins."""
    return tensor.untyped_storage().data_ptr()


def _addresses_written(func: Any, args: tuple, kwargs: dict) -> set[int]:
    found = torch_graph.aliased(func, args, kwargs, written=True)
    return {address(x) for x in found if isinstance(x, torch.Tensor)}


def _layer_that_runs() -> str:
    """Names the layer that runs, if any."""
    for frame, _ in traceback.walk_stack(None):
        layer = frame.f_locals.get("self")
        if isinstance(layer, keras.Layer) and not hasattr(layer, "fit"):
            return f"in layer {layer.name!r}, a {type(layer).__name__}"
    return ""


class _NoReading(internals.TorchFunctionMode):
    """Notices what takes values out of a tensor without an operation."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple = (),
        kwargs: dict | None = None,
    ) -> Any:
        if func in _READINGS:
            self._recorder.see_reading(args[0])
        return func(*args, **(kwargs or {}))


class _Graph:
    """A graph that is being written, and which node made which tensor.

    A tensor that is neither made by an operation nor an input is a constant.
    """

    def __init__(self) -> None:
        self._module = torch.fx.GraphModule(torch.nn.Module(), torch.fx.Graph())
        self._inputs: list[torch.fx.Node] = []
        self._nodes = internals.WeakTensorKeyDictionary()
        self._cuts: set[torch.fx.Node] = set()
        # What Python has read the values of, and so must stay as it is.
        self._read: set[torch.fx.Node] = set()

    def add_input(self, tensor: torch.Tensor) -> None:
        name = f"input_{len(self._inputs)}"
        self._inputs.append(self._module.graph.placeholder(name))
        self._nodes[tensor] = self._inputs[-1]

    def add_operation(
        self, func: Any, args: tuple, kwargs: dict, outputs: Any
    ) -> None:
        inputs = torch.fx.node.map_aggregate((args, kwargs), self._node_of)
        node = self._module.graph.call_function(func, *inputs)
        if isinstance(outputs, torch.Tensor):
            self._nodes[outputs] = node
        elif isinstance(outputs, (list, tuple)):
            for i, item in enumerate(outputs):
                if isinstance(item, torch.Tensor):
                    self._nodes[item] = self._module.graph.call_function(
                        operator.getitem, (node, i)
                    )

    def add_reading(self, tensors: Any) -> None:
        for tensor in keras.tree.flatten(tensors):
            if isinstance(tensor, torch.Tensor):
                node = self._node_of(tensor)
                self._read |= torch_graph.constants_behind(node)

    def cut(self) -> None:
        self._cuts.add(next(iter(reversed(self._module.graph.nodes))))

    def finish(
        self, outputs: Sequence
    ) -> tuple[torch.fx.GraphModule, list[tuple]]:
        graph, piece = self._module.graph, 0
        torch_graph.check_unchanged(self._read, graph)
        graph.output([self._node_of(output) for output in outputs])
        for node in graph.nodes:
            node.meta["piece"] = piece
            piece += node in self._cuts
        return self._module, torch_graph.finish(self._module)

    def _node_of(self, thing: Any) -> Any:
        """Returns the node of a tensor or generator; others are themselves."""
        if isinstance(thing, torch.Generator):
            return torch_graph.add_constant(self._module, thing)
        if not isinstance(thing, torch.Tensor):
            return thing
        if thing not in self._nodes:
            constant = torch_graph.add_constant(self._module, thing)
            self._nodes[thing] = constant
        return self._nodes[thing]
