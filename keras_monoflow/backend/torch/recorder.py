"""Operations of PyTorch, written down as a `torch.fx` graph.

`torch.fx.experimental.proxy_tensor.make_fx` does the same and more: it computes
metadata of every tensor, for which it needs eight times as long.
"""

import contextlib
import operator

import torch
from torch.overrides import TorchFunctionMode

from keras_monoflow.backend.torch import graph as torch_graph
from keras_monoflow.backend.torch import torch_internals as internals
from keras_monoflow.backend.torch.graph import NotRecordable


def record(fn, tensors):
    """Runs `fn(*tensors)` and writes down its operations.

    Returns:
        A pair of a `GraphModule` and the draws of noise that its last inputs
        are, `(function, args, kwargs)`.

    Raises:
        NotRecordable: If the operations cannot be replayed.
    """
    internals.check_names()
    # Two inputs may be one tensor now, and will be two.
    tensors = [tensor.detach() for tensor in tensors]
    graph = _Graph()
    for tensor in tensors:
        graph.add_input(tensor)
    with _Recorder(graph), _NoReading():
        outputs = fn(*tensors)
    return graph.finish(outputs)


def loop(n, fn, values, generator_at):
    """Runs `fn` once, and writes down a loop of `n` iterations.

    Args:
        n: Number of iterations.
        fn: A function of a list of tensors that returns the list for the next
            iteration.
        values: The list for the first iteration.
        generator_at: A function that tells for a generator of the first
            iteration and an index `i` which one draws in iteration `i`.

    Returns:
        The list after the loop. Its numbers are those after one iteration.
        Only whole numbers go on as they began: the states of seeds, which
        count, are read while the rest is recorded.

    Raises:
        NotRecordable: If the loop cannot be replayed as one.
    """
    recorder = _Recorder.active
    outer = recorder.graph
    # A tensor that a closure holds stays what it was before the loop.
    carried = [value.detach() for value in values]
    if not all(outer.knows(tensor) for tensor in carried):
        raise NotRecordable("It has a loop inside a transform of torch.func")
    recorder.graph = body = _Graph(outer)
    try:
        outputs = [
            _laid_out_as(old, new) for old, new in zip(carried, fn(carried))
        ]
    finally:
        recorder.graph = outer
    changed = [k for k, out in enumerate(outputs) if out is not carried[k]]
    results = outer.add_loop(
        n,
        body,
        [carried[k] for k in changed],
        [outputs[k] for k in changed],
        generator_at,
    )
    values = list(values)
    for k, result in zip(changed, results):
        values[k] = result
    return values


@contextlib.contextmanager
def paused():
    """A context whose operations are not written down."""
    was_paused, _Recorder.is_paused = _Recorder.is_paused, True
    try:
        yield
    finally:
        _Recorder.is_paused = was_paused


class _Recorder(internals.TorchDispatchMode):
    """Writes down every operation, below autograd and `torch.func`."""

    active = None
    is_paused = False

    def __init__(self, graph):
        super().__init__()
        self.graph = graph

    def __enter__(self):
        _Recorder.active = self
        return super().__enter__()

    def __exit__(self, *error):
        _Recorder.active = None
        return super().__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if _Recorder.is_paused:
            return func(*args, **kwargs)
        torch_graph.check_operation(func, args)
        outputs = func(*args, **kwargs)
        self.graph.add_operation(func, args, kwargs, outputs)
        return outputs


class _NoReading(TorchFunctionMode):
    """Refuses what takes values out of a tensor without an operation."""

    _READINGS = (
        torch.Tensor.numpy,
        torch.Tensor.tolist,
        torch.Tensor.__array__,
        torch.Tensor.__dlpack__,
    )

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in self._READINGS and not _Recorder.is_paused:
            raise NotRecordable(torch_graph.READS_A_VALUE)
        return func(*args, **(kwargs or {}))


class _Graph:
    """A graph that is being written, and which node made which tensor.

    A tensor that is neither made by an operation nor an input is a constant.

    Args:
        outer: The graph of the loop that this one is the body of. What that
            graph computed becomes an input of this one where it is used.
    """

    def __init__(self, outer=None):
        self._module = torch.fx.GraphModule(torch.nn.Module(), torch.fx.Graph())
        self._outer = outer
        self._inputs = []
        self._last_input = None
        self._nodes = internals.WeakTensorKeyDictionary()
        # What the bodies of all loops made, which is not there after them.
        self._of_bodies = (
            outer._of_bodies if outer else internals.WeakTensorKeyDictionary()
        )

    def add_input(self, tensor):
        graph = self._module.graph
        with graph.inserting_after(self._last_input):
            node = graph.placeholder(f"input_{len(self._inputs)}")
        self._inputs.append(tensor)
        self._nodes[tensor] = self._last_input = node

    def add_operation(self, func, args, kwargs, outputs):
        node = self._call(func, args, kwargs)
        if isinstance(outputs, torch.Tensor):
            self._made(outputs, node)
        elif isinstance(outputs, (list, tuple)):
            self._add_items(node, outputs)

    def add_loop(self, n, body, carried, outputs, generator_at):
        """Adds a loop, and returns its outputs as new tensors.

        Args:
            n: Number of iterations.
            body: The graph of one iteration.
            carried: Inputs of the body.
            outputs: Tensors that take their places in the next iteration.
            generator_at: As for `loop`.
        """
        for tensor in carried:
            body._node_of(tensor)
        with paused():  # constants are computed
            module, draws = body.finish(outputs)
        places = {id(tensor): i for i, tensor in enumerate(body._inputs)}
        places = [places[id(tensor)] for tensor in carried]
        aliases = torch_graph.aliases(module.graph, len(body._inputs), places)
        draws = [[_later(d, generator_at, i) for d in draws] for i in range(n)]
        noise = [[self._call(*draw) for draw in some] for some in draws]
        inputs = [self._node_of(tensor) for tensor in body._inputs]
        name = f"loop_{len(list(self._module.children()))}"
        self._module.add_submodule(name, torch_graph.Loop(module, places))
        node = self._module.graph.call_module(name, (inputs, noise))
        node.meta.update(aliases)
        with paused():
            results = [_after(n, *tensors) for tensors in zip(carried, outputs)]
        self._add_items(node, results)
        return results

    def finish(self, outputs):
        """Returns what `record` does."""
        graph = self._module.graph
        graph.output([self._node_of(output) for output in outputs])
        return self._module, torch_graph.finish(self._module)

    def knows(self, tensor):
        """Returns whether a tensor was made here, and is not a constant."""
        if tensor in self._nodes:
            return self._nodes[tensor].op != "get_attr"
        return self._outer is not None and self._outer.knows(tensor)

    def _call(self, func, args, kwargs):
        inputs = torch.fx.node.map_aggregate((args, kwargs), self._node_of)
        return self._module.graph.call_function(func, *inputs)

    def _add_items(self, node, items):
        for i, item in enumerate(items):
            if isinstance(item, torch.Tensor):
                getitem = operator.getitem
                self._made(
                    item, self._module.graph.call_function(getitem, (node, i))
                )

    def _made(self, tensor, node):
        if self._outer is not None and tensor not in self._nodes:
            self._of_bodies[tensor] = True
        self._nodes[tensor] = node

    def _node_of(self, thing):
        """Returns the node of a tensor or generator; others are themselves."""
        if isinstance(thing, torch.Generator):
            return torch_graph.add_constant(self._module, thing)
        if not isinstance(thing, torch.Tensor):
            return thing
        if thing not in self._nodes:
            self._add_unknown(thing)
        return self._nodes[thing]

    def _add_unknown(self, tensor):
        if self._outer is not None and self._outer.knows(tensor):
            self.add_input(tensor)
        elif tensor in self._of_bodies:
            raise NotRecordable("It uses what a loop computed on its way")
        else:
            node = torch_graph.add_constant(self._module, tensor)
            self._nodes[tensor] = node


def _laid_out_as(old, new):
    """The new value of a variable in the memory layout of the old one."""
    if new.stride() == old.stride():
        return new
    return torch.empty_like(old).copy_(new)


def _later(draw, generator_at, i):
    """What iteration `i` draws where the first has `draw`."""
    function, args, kwargs = draw
    generator = generator_at(kwargs["generator"], i)
    return function, args, {**kwargs, "generator": generator}


def _after(n, start, end):
    """What a loop makes of a tensor that one iteration takes to `end`."""
    if end.dtype in (torch.int32, torch.int64):
        return start + n * (end - start)
    return end.detach()
