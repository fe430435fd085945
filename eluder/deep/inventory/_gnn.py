"""A graph network: what neighbours know travels along the edges, and every edge becomes an order.

Alvo, Russo, Kanoria & Lee (2023), Deep reinforcement learning for inventory networks: toward reliable policy
optimization, arXiv:2306.11246, the graph network of its third version.

Nodes are locations. Arcs are the edges of the network, a loop at each warehouse that can hold (stock it
keeps), and one from each store to its customers. Five perceptrons, the same for all nodes, arcs and rounds::

    h[i] <- f_node(inventory[i], costs, demand, lead time)
    e[a] <- f_arc(h[source], h[target], lead time, unit cost of a)         outside: h = 0
    rounds times:
        in[i]  <- sum over arcs a into i of e[a] / sqrt(number of them);   out[i] the same of arcs out of i
        h[i]   <- h[i] + g_node(h[i], in[i], out[i])
        e[a]   <- e[a] + g_arc(e[a], h[source], h[target])
    y[a] <- unit[a] softplus(f_order(e[a]))                                edges and loops
    q[e] <- y[e] min(1, on hand of its source / sum of y over the source's edges and loop)

Guarantee: none. The tests hold the orders against a plain loop over nodes and arcs.

Deviations from the paper:
- Orders go to the edge they belong to, whatever the number of warehouses; lead times of each sample's own
  count; inventories are in units of what passes through a location, and so are orders.
- Arcs that decide nothing are not updated in the last round. What a node adds to the first layer of an arc's
  perceptron is computed once for the node. Both leave the function as it is.
- With `levels` the outputs are added to what the order-up-to levels of a heuristic ask for,
  ``q[e] = relu(share[e] (S - z)[target] + unit[e] f_order(e))``, from zero: the first policy is the
  heuristic. There are no loops then; what a source lacks, the simulator shares out in proportion.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from eluder.core import checks
from eluder.deep.common.networks import Parameters, init_mlp, mlp, mlp_shapes
from eluder.deep.inventory._graph import NUM_EDGE, NUM_LOCATION, Graph, graph_of
from eluder.deep.inventory._policies import ACTIVATIONS, _check
from eluder.deep.inventory._problem import Problem, Seen

__all__ = ["GNNPolicy"]

ONE = 0.5413248546129181  # softplus(ONE) = 1: the first policy orders about what passes
SMALL = 1e-10  # units

Activation = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class GNNPolicy:
    """Message passing over the network, an order for every edge.

    The parameters do not depend on the graph: those trained on one network work on any other with the same
    longest lead time.

    Attributes
    ----------
    width : int
        Units of every layer and of what nodes and arcs carry.
    rounds : int or None
        Rounds of messages; None for the number of warehouses on the longest way to a store, at least 1.
    activation : {"elu", "relu", "tanh"}
        Of every layer but the last.
    levels : bool
        Whether outputs are added to what a heuristic asks for.

    Examples
    --------
    >>> from eluder.deep.common.random import seed_keys
    >>> from eluder.envs.inventory import setting
    >>> policy, keys = GNNPolicy(), seed_keys([0])
    >>> few, many = (policy.init(Problem(setting("one_warehouse", stores=n)), keys) for n in (50, 500))
    >>> few.flat.shape == many.flat.shape
    True
    """

    width: int = 32
    rounds: int | None = None
    activation: str = "elu"
    levels: bool = False

    def __post_init__(self) -> None:
        _check((), self.activation)
        checks.integer("width", self.width)
        if self.rounds is not None:
            checks.integer("rounds", self.rounds)

    def init(self, problem: Problem, keys: Tensor) -> Parameters:
        """Draw the parameters: uniform in one over the root of the number of inputs."""
        H = self.width
        inputs = {
            "node_": problem.simulator.L + NUM_LOCATION,
            "arc_": 2 * H + NUM_EDGE,
            "node_update_": 3 * H,
            "arc_update_": 3 * H,
        }
        shapes: dict[str, tuple[int, ...]] = {}
        for name, size in inputs.items():
            shapes |= mlp_shapes((size, H, H, H), name=name)
        shapes |= mlp_shapes((H, H, H, 1), name="order_")
        parameters = Parameters(shapes, len(keys), keys.device, problem.mean.dtype)
        init_mlp(parameters, keys)
        with torch.no_grad():
            if self.levels:
                parameters["order_w2"].zero_()
            parameters["order_b2"].fill_(0.0 if self.levels else ONE)
        return parameters

    def orders(self, parameters: Mapping[str, Tensor], problem: Problem, seen: Seen) -> Tensor:
        """Return the orders (N, B, E)."""
        g, act = graph_of(problem), ACTIVATIONS[self.activation]
        rounds = self.rounds if self.rounds is not None else max(g.depth, 1)
        decide = g.E if self.levels else g.E + len(g.kept)
        x = seen.inventory.transpose(1, 2) / g.unit[..., None]

        # embed
        features = torch.cat([x, g.location.expand(*x.shape[:3], -1)], dim=-1)
        h = act(_perceptron(parameters, "node_", features, act))
        first = _ends(parameters["arc_w0"], h, g.arc_source, g.arc_target, at=0)
        own = g.arc.expand(h.shape[0], -1, -1, -1)
        first = first + _rows(own, parameters["arc_w0"][:, 2 * self.width :], parameters["arc_b0"])
        e = act(_after_first(parameters, "arc_", first, act))

        # pass messages
        for r in range(rounds):
            around = [_summed(g, e, g.arc_target, 0), _summed(g, e, g.arc_source, 1)]
            h = h + act(_perceptron(parameters, "node_update_", torch.cat([h, *around], dim=-1), act))
            k = decide if r == rounds - 1 else len(g.arc_source)
            e, w = e[:, :k], parameters["arc_update_w0"]
            first = _rows(e, w[:, : self.width], parameters["arc_update_b0"])
            first = first + _ends(w, h, g.arc_source[:k], g.arc_target[:k], at=self.width)
            e = e + act(_after_first(parameters, "arc_update_", first, act))

        # order
        out, unit = _perceptron(parameters, "order_", e, act)[..., 0], g.arc_unit[:decide]
        if self.levels:
            return torch.relu(_heuristic(g, x) + unit * out).transpose(1, 2)
        return _allocated(g, unit * softplus(out), seen.inventory).transpose(1, 2)


def _perceptron(parameters: Mapping[str, Tensor], name: str, x: Tensor, act: Activation) -> Tensor:
    """Apply one perceptron to (N, nodes or arcs, B, F)."""
    return mlp(parameters, x.flatten(1, 2), act, name).unflatten(1, x.shape[1:3])


def _after_first(parameters: Mapping[str, Tensor], name: str, first: Tensor, act: Activation) -> Tensor:
    """Apply a perceptron from what its first layer returns."""
    rest: dict[str, Tensor] = {}
    i = 1
    while f"{name}w{i}" in parameters:
        rest |= {f"w{i - 1}": parameters[f"{name}w{i}"], f"b{i - 1}": parameters[f"{name}b{i}"]}
        i += 1
    return _perceptron(rest, "", act(first), act)


def _rows(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Return ``x w + b`` of (N, arcs, B, F)."""
    return _perceptron({"w0": w, "b0": b}, "", x, torch.relu)


def _ends(w: Tensor, h: Tensor, source: Tensor, target: Tensor, *, at: int) -> Tensor:
    """Return ``h[source] w[at : at + H] + h[target] w[at + H : at + 2 H]``, each node projected once."""
    H = h.shape[-1]
    both = torch.cat([w[:, at : at + H], w[:, at + H : at + 2 * H]], dim=-1)
    p = (h.flatten(1, 2) @ both).unflatten(1, h.shape[1:3])
    p = torch.cat([p, torch.zeros_like(p[:, :1])], dim=1)
    return p[..., : w.shape[-1]].index_select(1, source) + p[..., w.shape[-1] :].index_select(1, target)


def _summed(g: Graph, e: Tensor, ends: Tensor, side: int) -> Tensor:
    """Return the sum over the arcs into (side 0) or out of (1) each node, over the root of their number."""
    total = e.new_zeros(e.shape[0], g.M + 1, *e.shape[2:]).index_add(1, ends, e)
    return total[:, : g.M] / g.degree[side].sqrt()


def _heuristic(g: Graph, x: Tensor) -> Tensor:
    """Return what each edge orders by the levels of the heuristic, of either sign, (N, E, B)."""
    z = x.sum(dim=-1) * g.unit
    if g.W:
        z = torch.cat([g.reach @ z, z[:, g.W :]], dim=1)
    return g.share * (g.base - z).index_select(1, g.target)


def _allocated(g: Graph, y: Tensor, inventory: Tensor) -> Tensor:
    """Return the orders (N, E, B) that sources with a loop can fill."""
    q = y[:, : g.E]
    if not g.W:
        return q
    zeros = y.new_zeros(y.shape[0], g.W + 1, y.shape[2])
    total = zeros.index_add(1, g.source, q).index_add(1, g.kept, y[:, g.E :])[:, : g.W]
    part = inventory.transpose(1, 2)[:, : g.W, :, 0] / (total + SMALL)
    part = torch.where(g.holds, part.clamp_max(1.0), 1.0)
    return q * torch.cat([part, zeros[:, :1] + 1.0], dim=1).index_select(1, g.source)
