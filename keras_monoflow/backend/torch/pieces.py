"""A recorded graph in compiled pieces, of which equal ones are compiled once.

`torch.compile` takes minutes for twenty discriminator steps in one graph. They
are the same operations, so here each kind of step is compiled once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node


class CompiledPieces:
    """A function like a `GraphModule`, in pieces that `torch.compile` compiles.

    Args:
        module: Its nodes tell in `meta["piece"]` which piece they are of.
    """

    def __init__(self, module: GraphModule) -> None:
        nodes = list(module.graph.nodes)
        self._constants = [
            getattr(module, n.target) for n in nodes if n.op == "get_attr"
        ]
        inputs = [n for n in nodes if n.op == "placeholder"]
        inputs += [n for n in nodes if n.op == "get_attr"]
        places = {node: i for i, node in enumerate(inputs)}
        pieces: dict[int, list[Node]] = {}
        for node in nodes:
            if node.op == "call_function":
                pieces.setdefault(node.meta["piece"], []).append(node)
        cut = [_cut_out(piece) for piece in pieces.values()]
        # What any of several equal pieces hands on, they all return.
        handed_on: dict[str, set[int]] = {}
        for graph, _, results in cut:
            handed_on.setdefault(str(graph), set()).update(results)
        compiled: dict[str, Callable] = {}
        self._calls = []
        for piece, (graph, arguments, _) in zip(pieces.values(), cut):
            code = str(graph)
            results = [piece[i] for i in sorted(handed_on[code])]
            if code not in compiled:
                compiled[code] = _compile(module, graph, handed_on[code])
            first = len(places)
            places.update((node, first + i) for i, node in enumerate(results))
            self._calls.append(
                (
                    compiled[code],
                    [places[node] for node in arguments],
                    [places[node] for node in results],
                )
            )
        (output,) = (n for n in nodes if n.op == "output")
        self._outputs = torch.fx.node.map_arg(output.args[0], places.get)
        self._is_tensor = [isinstance(x, Node) for x in output.args[0]]

    def __call__(self, *inputs: torch.Tensor) -> list:
        values: dict[int, Any] = dict(enumerate([*inputs, *self._constants]))
        for function, arguments, results in self._calls:
            outputs = function(*[values[i] for i in arguments])
            values.update(zip(results, outputs))
        return [
            values[x] if is_tensor else x
            for x, is_tensor in zip(self._outputs, self._is_tensor)
        ]


def _cut_out(nodes: Sequence[Node]) -> tuple[Graph, list[Node], list[int]]:
    """Returns a graph of nodes, its inputs, and the places of its results.

    The inputs are nodes outside; the results are what nodes outside read.
    """
    inside = set(nodes)
    inputs = dict.fromkeys(
        n for node in nodes for n in node.all_input_nodes if n not in inside
    )
    graph = Graph()
    copies = {
        node: graph.placeholder(f"input_{i}") for i, node in enumerate(inputs)
    }
    for i, node in enumerate(nodes):
        args, kwargs = torch.fx.node.map_arg(
            (node.args, node.kwargs), copies.__getitem__
        )
        copies[node] = graph.create_node(
            "call_function", node.target, args, kwargs, name=f"node_{i}"
        )
    results = [
        i for i, node in enumerate(nodes) if not inside.issuperset(node.users)
    ]
    return graph, list(inputs), results


def _compile(module: GraphModule, graph: Graph, results: set[int]) -> Callable:
    nodes = [node for node in graph.nodes if node.op == "call_function"]
    graph.output([nodes[i] for i in sorted(results)])
    return torch.compile(GraphModule(module, graph))
