"""What is done to a graph of recorded operations before it is replayed."""

import operator

import torch


class NotRecordable(Exception):
    """A function does something that cannot be replayed."""


READS_A_VALUE = (
    "It reads the value of a tensor: use functions of `keras.ops` on tensors "
    "instead, such as `where`"
)


class Loop(torch.nn.Module):
    """Runs a recorded body once for each list of noise that it gets.

    Args:
        body: A `GraphModule`, whose inputs are those of the loop and the noise
            of an iteration.
        places: For each output of the body, which input it replaces in the
            next iteration.
    """

    _is_impure = True  # so that `torch.fx` keeps it

    def __init__(self, body, places):
        super().__init__()
        self.body = body
        self._places = places

    def forward(self, inputs, noise):
        inputs = list(inputs)
        for place in self._places:
            # `torch.compile` would compile once more for a Parameter.
            inputs[place] = inputs[place].detach()
        for drawn in noise:
            outputs = self.body(*inputs, *drawn)
            for place, output in zip(self._places, outputs):
                inputs[place] = output
        return outputs

    def compile_body(self):
        """Lets `torch.compile` make kernels of one iteration, and no more."""
        self.body.compile()
        self.forward = torch.compiler.disable(self.forward)


def finish(module):
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


def check_operation(func, args):
    """Raises `NotRecordable` if what an operation does depends on values."""
    if torch.Tag.data_dependent_output in func.tags:
        raise NotRecordable(READS_A_VALUE)
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


def fold_constants(module):
    """Computes what depends on no input once and for all.

    Raises:
        NotRecordable: If the operations change a constant.
    """
    graph, known = module.graph, {}
    changed = _changed_in_place(graph)
    for node in list(graph.nodes):
        if node.op == "get_attr":
            if node in changed:
                raise NotRecordable(
                    "It changes a tensor that is not a variable: make it one"
                )
            known[node] = getattr(module, node.target)
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
    graph.eliminate_dead_code()


def drop_detached(module):
    """Replaces detached views by the tensors: a replay needs no autograd."""
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
    graph.eliminate_dead_code()
    return draws


def drop_unused_constants(module):
    """Lets go of constants that only other constants were computed from."""
    used = {n.target for n in module.graph.nodes if n.op == "get_attr"}
    for name in set(module._buffers) - used:
        delattr(module, name)


def aliases(graph, n, places):
    """Tells which of the first `n` inputs of a body share memory.

    Also makes sure that one iteration of the loop tells what all others do.

    Args:
        graph: The graph of the body, finished.
        n: Number of inputs of the loop; the others are noise.
        places: As for `Loop`.

    Returns:
        Two sets of places: `written`, the inputs that the body changes in
        place, and `shared`, those that change if its outputs do.

    Raises:
        NotRecordable: If later iterations may do something else.
    """
    (outputs,) = (
        node.all_input_nodes for node in graph.nodes if node.op == "output"
    )
    written = _changed_in_place(graph)
    shared = _changed_in_place(graph, later=outputs)
    inputs = _inputs(graph)
    if any("generator" in node.kwargs for node in graph.nodes):
        raise NotRecordable("It draws noise from what it computes")
    if any(inputs[place] in written for place in places):
        raise NotRecordable("It assigns a variable and changes it in place")
    if any(node.op == "get_attr" for node in shared):
        raise NotRecordable("It assigns a constant to a variable")
    return {
        "written": {i for i in range(n) if inputs[i] in written},
        "shared": {i for i in range(n) if inputs[i] in shared},
    }


def add_constant(module, value):
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


def _inputs(graph):
    return [n for n in graph.nodes if n.op == "placeholder"]


def _shared(node, written=False):
    """The inputs whose memory an output shares, or that are written to."""
    if "written" in node.meta:  # a loop
        places = node.meta["written" if written else "shared"]
        yield from (node.args[0][i] for i in places)
    views = (operator.getitem, torch.ops.aten._unsafe_view.default)
    if node.target in views and not written:
        yield node.args[0]
    if not hasattr(node.target, "_schema"):
        return
    arguments = node.target._schema.arguments
    values = [*node.args, *(None for _ in arguments[len(node.args) :])]
    for argument, value in zip(arguments, values):
        value = node.kwargs.get(argument.name, value)
        alias = argument.alias_info
        if alias is None or (written and not alias.is_write):
            continue
        values = value if isinstance(value, (list, tuple)) else [value]
        yield from (v for v in values if isinstance(v, torch.fx.Node))


def _changed_in_place(graph, later=()):
    """The nodes whose memory an operation writes to later on.

    Args:
        graph: A `torch.fx.Graph`.
        later: Nodes whose memory is written to after the graph.
    """
    changed = set(later)
    for node in reversed(graph.nodes):
        changed.update(_shared(node, written=True))
        if node in changed:
            changed.update(_shared(node))
    return changed
