"""What is done to a graph of recorded operations before it is replayed."""

import operator
import warnings
from collections.abc import Container, Iterator, Mapping
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node

from keras_monoflow.backend.torch.errors import NotRecordable
from keras_monoflow.backend.torch.torch_internals import arguments_of

READS_A_VALUE = (
    "It reads the value of a tensor: use functions of `keras.ops` on tensors "
    "instead, such as `where`"
)


def finish(module: GraphModule) -> list[tuple]:
    """Does everything below, and makes code of the graph.

    Returns:
        What `take_out_draws` does.
    """
    fold_constants(module)
    drop_detached(module)
    draws = take_out_draws(module)
    drop_unused_constants(module)
    module.recompile()
    return draws


def reads_values(func: Any) -> bool:
    """Returns whether an operation gives Python a number out of tensors."""
    return torch.Tag.data_dependent_output in func.tags


def check_operation(func: Any, args: tuple) -> None:
    """Raises `NotRecordable` if the shape of a result depends on values."""
    if torch.Tag.dynamic_output_shape not in func.tags:
        return
    # Places of whole numbers give as many items whatever they are.
    masks = (torch.bool, torch.uint8)
    if func is torch.ops.aten.index.Tensor and not any(
        i is not None and i.dtype in masks for i in args[1]
    ):
        return
    raise NotRecordable(
        "It makes a tensor whose shape depends on values: use a mask instead"
    )


def constants_behind(node: Node) -> set[Node]:
    """Returns a node whose value is the same in all replays, and all that it
    is computed from.

    Raises:
        NotRecordable: If it is not.
    """
    found, waiting = set(), [node]
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        found.add(node)
        # A tensor from elsewhere may be anything, unless Python's numbers have
        # just been made one.
        if node.op != "call_function" or _is_random(node):
            raise NotRecordable(READS_A_VALUE)
        if node.target is not torch.ops.aten.lift_fresh.default:
            waiting += node.all_input_nodes
    return found


def _is_random(node: Node) -> bool:
    tags = getattr(node.target, "tags", ())
    return torch.Tag.nondeterministic_seeded in tags


def check_unchanged(nodes: set[Node], graph: Graph) -> None:
    """Raises `NotRecordable` if an operation writes to one of these nodes."""
    if nodes and nodes & _changed_in_place(graph):
        raise NotRecordable(READS_A_VALUE)


def fold_constants(module: GraphModule) -> None:
    """Computes what depends on no input once and for all.

    Raises:
        NotRecordable: If the operations change a constant.
    """
    graph: Graph = module.graph
    known: dict[Node, Any] = {}
    changed = _changed_in_place(graph)
    for node in list(graph.nodes):
        if node.op == "get_attr":
            value = getattr(module, node.target)
            # What is a variable elsewhere is read, and changed, at each replay.
            if isinstance(value, torch.nn.Parameter):
                continue
            if node in changed:
                raise NotRecordable(
                    "It changes a tensor that is not a variable: make it one"
                )
            known[node] = value
        if not _is_foldable(node, known, changed):
            continue
        args, kwargs = _with_values(node, known)
        known[node] = node.target(*args, **kwargs)
        if isinstance(known[node], torch.Tensor):
            with graph.inserting_before(node):
                constant = add_constant(module, known[node])
            known[constant] = known[node]
            node.replace_all_uses_with(constant)
            graph.erase_node(node)
    drop_unused_nodes(graph)


def drop_detached(module: GraphModule) -> None:
    """Replaces detached views by the tensors: a replay needs no autograd."""
    aten = torch.ops.aten
    for node in list(module.graph.nodes):
        if node.target in (aten.detach.default, aten.lift_fresh.default):
            node.replace_all_uses_with(node.args[0])
            module.graph.erase_node(node)


def take_out_draws(module: GraphModule) -> list[tuple]:
    """Makes what generators draw inputs of the graph.

    Returns:
        List of the draws, `(function, args, kwargs)`, in the order of the new
        inputs. A draw from what the step computes stays in the graph.
    """
    graph, draws = module.graph, []
    last = _inputs(graph)[-1]
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
    drop_unused_nodes(graph)
    return draws


def drop_unused_nodes(graph: Graph) -> None:
    """Erases operations whose results nothing needs."""
    with warnings.catch_warnings():
        # Older versions warn of an attribute that is a generator.
        for text in ("Node generator_", "Additional .* get_attr references"):
            warnings.filterwarnings("ignore", text)
        graph.eliminate_dead_code()


def drop_unused_constants(module: GraphModule) -> None:
    """Lets go of constants that only other constants were computed from."""
    used = {n.target for n in module.graph.nodes if n.op == "get_attr"}
    for name in dict(module.named_buffers()).keys() - used:
        delattr(module, name)


def add_constant(module: GraphModule, value: Any) -> Node:
    """Adds a tensor or generator to a module, and its node to the graph."""
    if isinstance(value, torch.Tensor):
        number = module.meta["constants"] = module.meta.get("constants", 0) + 1
        name = f"constant_{number}"
        module.register_buffer(name, value, persistent=False)
    else:
        name = f"generator_{id(value)}"
        setattr(module, name, value)
    return module.graph.create_node("get_attr", name)


def _with_values(node: Node, known: Mapping) -> tuple:
    """The arguments of a node whose inputs are all known."""
    return torch.fx.node.map_arg((node.args, node.kwargs), known.__getitem__)


def _is_foldable(node: Node, known: Mapping, changed: Container) -> bool:
    return (
        node.op == "call_function"
        and not _is_random(node)
        and node not in changed
        and not list(_shared(node, written=True))
        and all(n in known for n in node.all_input_nodes)
    )


def _inputs(graph: Graph) -> list[Node]:
    return [n for n in graph.nodes if n.op == "placeholder"]


def _shared(node: Node, written: bool = False) -> Iterator[Node]:
    """The inputs whose memory an output shares, or that are written to."""
    views = (operator.getitem, torch.ops.aten._unsafe_view.default)
    if node.target in views and not written:
        yield node.args[0]
    found = aliased(node.target, node.args, node.kwargs, written)
    yield from (thing for thing in found if isinstance(thing, Node))


def aliased(func: Any, args: tuple, kwargs: dict, written: bool) -> Iterator:
    """The arguments that an output may share, or that `func` writes to."""
    arguments = arguments_of(func)
    values = [*args, *(None for _ in arguments[len(args) :])]
    for argument, value in zip(arguments, values):
        value = kwargs.get(argument.name, value)
        alias = argument.alias_info
        if alias is None or (written and not alias.is_write):
            continue
        yield from value if isinstance(value, (list, tuple)) else [value]


def _changed_in_place(graph: Graph) -> set[Node]:
    """The nodes whose memory an operation writes to later on."""
    changed: set[Node] = set()
    for node in reversed(graph.nodes):
        changed.update(_shared(node, written=True))
        if node in changed:
            changed.update(_shared(node))
    return changed
