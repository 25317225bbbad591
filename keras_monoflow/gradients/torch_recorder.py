"""Operations of PyTorch, written down as a `torch.fx` graph.

`torch.fx.experimental.proxy_tensor.make_fx` does the same and more: it computes
metadata of every tensor, for which it needs eight times as long.
"""

import contextlib
import operator

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.weak import WeakTensorKeyDictionary


class NotTraceable(Exception):
    """A function does something that cannot be replayed."""


def record(fn, tensors):
    """Runs `fn(*tensors)` and returns its operations as a `GraphModule`."""
    graph = torch.fx.Graph()
    module = torch.fx.GraphModule(torch.nn.Module(), graph)
    recorder = _Recorder(module)
    for i, tensor in enumerate(tensors):
        recorder.nodes[tensor] = graph.placeholder(f"input_{i}")
    with recorder:
        outputs = fn(*tensors)
    graph.output([recorder.node_of(output) for output in outputs])
    return module


class _Recorder(TorchDispatchMode):
    """Writes down every operation, below autograd and `torch.func`.

    A tensor that no operation made, and that is no input, is a constant.
    """

    _is_paused = False

    def __init__(self, module):
        super().__init__()
        self._module = module
        self.nodes = WeakTensorKeyDictionary()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        outputs = func(*args, **kwargs)
        if _Recorder._is_paused:
            return outputs
        if func is torch.ops.aten._local_scalar_dense.default:
            raise NotTraceable("It reads the value of a tensor")
        inputs = tree_map(self.node_of, (args, kwargs))
        node = self._module.graph.call_function(func, *inputs)
        if isinstance(outputs, torch.Tensor):
            self.nodes[outputs] = node
        elif isinstance(outputs, (list, tuple)):
            for i, output in enumerate(outputs):
                if isinstance(output, torch.Tensor):
                    self.nodes[output] = self._module.graph.call_function(
                        operator.getitem, (node, i)
                    )
        return outputs

    def node_of(self, thing):
        """Returns the node of a tensor or generator; others are themselves."""
        if isinstance(thing, torch.Tensor):
            if thing not in self.nodes:
                self.nodes[thing] = _constant(self._module, thing)
            return self.nodes[thing]
        if isinstance(thing, torch.Generator):
            return _constant(self._module, thing)
        return thing


@contextlib.contextmanager
def paused():
    """A context whose operations are not written down."""
    _Recorder._is_paused = True
    try:
        yield
    finally:
        _Recorder._is_paused = False


def fold_constants(module):
    """Computes what depends on no input once and for all.

    Raises:
        NotTraceable: If the operations change a constant.
    """
    graph, known = module.graph, {}
    changed = _changed_in_place(graph)
    for node in list(graph.nodes):
        if node.op == "get_attr":
            if node in changed:
                raise NotTraceable("It changes a tensor that is no variable")
            known[node] = getattr(module, node.target)
        if not _is_foldable(node, known, changed):
            continue
        args, kwargs = _with_values(node, known)
        known[node] = node.target(*args, **kwargs)
        if isinstance(known[node], torch.Tensor):
            with graph.inserting_before(node):
                constant = _constant(module, known[node])
            known[constant] = known[node]
            node.replace_all_uses_with(constant)
            graph.erase_node(node)
    graph.eliminate_dead_code()


def drop_detached(module):
    """Puts tensors for their detached views: autograd is off in a replay."""
    aten = torch.ops.aten
    for node in list(module.graph.nodes):
        if node.target in (aten.detach.default, aten.lift_fresh.default):
            node.replace_all_uses_with(node.args[0])
            module.graph.erase_node(node)


def take_out_draws(module):
    """Makes what generators draw inputs of the graph.

    Returns:
        List of the draws, `(function, args, kwargs)`, in the order of the new
        inputs. A draw from what the step computes stays in the graph.
    """
    graph, draws = module.graph, []
    last = [n for n in graph.nodes if n.op == "placeholder"][-1]
    for node in list(graph.nodes):
        inputs = node.all_input_nodes
        is_draw = "generator" in node.kwargs
        if not is_draw or any(n.op != "get_attr" for n in inputs):
            continue
        known = {n: getattr(module, n.target) for n in inputs}
        draws.append((node.target, *_with_values(node, known)))
        with graph.inserting_after(last):
            last = graph.placeholder(f"noise_{len(draws)}")
        node.replace_all_uses_with(last)
        graph.erase_node(node)
    graph.eliminate_dead_code()
    return draws


def _constant(module, value):
    """Adds a tensor or generator to a module, and its node to the graph."""
    if isinstance(value, torch.Tensor):
        name = f"constant_{len(module._buffers)}"
        module.register_buffer(name, value, persistent=False)
    else:
        name = f"generator_{id(value)}"
        setattr(module, name, value)
    return module.graph.create_node("get_attr", name)


def _with_values(node, known):
    """The arguments of a node whose inputs are all known."""
    return torch.fx.node.map_arg((node.args, node.kwargs), known.__getitem__)


def _is_foldable(node, known, changed):
    is_random = torch.Tag.nondeterministic_seeded in getattr(
        node.target, "tags", ()
    )
    return (
        node.op == "call_function"
        and not is_random
        and node not in changed
        and not list(_shared(node, written=True))
        and all(n in known for n in node.all_input_nodes)
    )


def _shared(node, written=False):
    """The inputs whose memory an output shares, or that are written to."""
    if node.target is operator.getitem:
        yield from () if written else node.args[:1]
    if not hasattr(node.target, "_schema"):
        return
    for argument, value in zip(node.target._schema.arguments, node.args):
        alias = argument.alias_info
        if alias is None or (written and not alias.is_write):
            continue
        values = value if isinstance(value, (list, tuple)) else [value]
        yield from (v for v in values if isinstance(v, torch.fx.Node))


def _changed_in_place(graph):
    """The nodes whose memory an operation writes to later on."""
    changed = set()
    for node in reversed(graph.nodes):
        changed.update(_shared(node, written=True))
        if node in changed:
            changed.update(_shared(node))
    return changed
