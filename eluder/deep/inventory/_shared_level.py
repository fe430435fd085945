"""Order-up-to levels by one small network for all stores and one for all warehouses.

Alvo, Russo, Kanoria & Lee (2023), Deep reinforcement learning for inventory networks: toward reliable policy
optimization, arXiv:2306.11246: weights that stores share, and contexts that sum up the rest of the network.
Federgruen & Zipkin (1984), Approximations of dynamic, multilocation production and inventory problems,
Management Science 30: shortages shared out so that all are equally likely to run out.
Veeraraghavan & Scheller-Wolf (2008), Now or later, Operations Research 56: levels of two sources.

Location i has the echelon position z[i]. With the levels S of a heuristic, and what its sources have and are
asked for as context::

    below[w]   <- inventory and m(inventory, S - z, ...) of the targets of w, averaged by what passes
    spare[w]   <- on hand of w - sum over targets of their share of relu(S - z)
    context[i] <- average over the sources of i of (inventory, below, spare)
    out[i]     <- f(inventory[i], S[i] - z[i], context[i], costs, demand, lead time)          stores
               <- g(the same, below[i], spare[i])                                           warehouses
    level[e]   <- S[i] + unit[i] out[i, 0] - z[i], i its target;  width[i] <- spread[i] exp(tanh(out[i, 1]))
    u[w]       <- (sum_e gap[e] - on hand) / sum_e width, over edges with gap > 0
    q[e]       <- relu(gap[e] - c max(u, 0) width)

With one source each gap[e] = level[e]. Where a location has several, each edge has a level of its own for
what arrives within its lead time, z[e]; in the order of lead times, each wants what those before it leave,
and warehouses order what they are asked for instead of counting echelons::

    level[e]   <- S[e] + unit[i] (out[i, 0] + k(edge, S[e] - z[e], source, target)) - z[e]
    gap[e]     <- level[e] - max(0, level of the edges into i before e)
    level[e']  <- S[w] + unit[w] out[w, 0] + sum_e relu(gap[e]) - position[w], e' into w, e out of w

A warehouse that cannot hold has u of either sign. The last layers of f, g and k start at zero and c at one:
the first policy is the heuristic (`heuristic_levels`, or the dual index of `_source_levels`) with balanced
allocation.

Guarantee: none. The tests hold the orders against a plain loop over locations and edges.

Deviations from the paper:
- Outputs are levels, not orders, and start at a heuristic.
- Of several sources that of the longest lead time brings what the others leave, as in dual sourcing; there
  every edge has an output of its own network.
- The context is some averages per warehouse, not the output of a network over all inventories.
- The balance is one step, not repeated until no target is left with a negative shipment; what orders exceed
  stock by then, the simulator shares out in proportion.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from eluder.core import checks
from eluder.deep.common.devices import has_kernels
from eluder.deep.common.networks import Parameters, init_mlp, mlp, mlp_shapes
from eluder.deep.inventory._compiled_paths import CompiledPaths
from eluder.deep.inventory._graph import NUM_LOCATION, Graph, graph_of
from eluder.deep.inventory._policies import ACTIVATIONS, _check
from eluder.deep.inventory._problem import Problem, Seen
from eluder.deep.inventory._sourcing import NUM_EDGE, STRETCH, Sourcing, sourcing_of

__all__ = ["SharedLevelPolicy"]

Activation = Callable[[Tensor], Tensor]

SMALL = 1e-6  # units


@dataclass(frozen=True)
class SharedLevelPolicy:
    """Order up to levels of networks that all stores, and all warehouses, share.

    The parameters do not depend on the number of stores: those trained on one network work on any other with
    the same longest lead time, if both have warehouses or neither has, and locations with several sources.

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers.
    summary : int
        Features of a location of which a warehouse sees the mean over its targets.
    activation : {"elu", "relu", "tanh"}
        Between layers.

    Examples
    --------
    >>> from eluder.deep.common.random import seed_keys
    >>> from eluder.envs.inventory import setting
    >>> policy, keys = SharedLevelPolicy(), seed_keys([0])
    >>> few, many = (policy.init(Problem(setting("one_warehouse", stores=n)), keys) for n in (50, 500))
    >>> few.flat.shape == many.flat.shape
    True
    """

    hidden: tuple[int, ...] = (32, 32)
    summary: int = 8
    activation: str = "relu"

    def __post_init__(self) -> None:
        _check(self.hidden, self.activation)
        checks.integer("summary", self.summary)

    def init(self, problem: Problem, keys: Tensor) -> Parameters:
        """Draw the parameters; the last layers are zero."""
        graph, L = graph_of(problem), problem.simulator.L
        own = L + 1 + NUM_LOCATION
        context = 2 * L + 1 + self.summary if graph.W else 0
        shapes = mlp_shapes((own + context, *self.hidden, 2), name="store_")
        if graph.W:
            shapes |= mlp_shapes((own + 2 * context - L, *self.hidden, 2), name="warehouse_")
            shapes |= mlp_shapes((own, self.summary), name="summary_")
            shapes |= {"balance": (1, 1)}
        if len(graph.choices):
            sizes = (NUM_EDGE + context + 2 * NUM_LOCATION + L + 2, *self.hidden, 1)
            shapes |= mlp_shapes(sizes, name="edge_")
        parameters = Parameters(shapes, len(keys), keys.device, problem.mean.dtype)
        init_mlp(parameters, keys)
        last = len(self.hidden)
        with torch.no_grad():
            for name, leaf in parameters.tensors.items():
                if name.endswith((f"w{last}", f"b{last}")) and not name.startswith("summary_"):
                    leaf.zero_()
            if graph.W:
                parameters["balance"].fill_(1.0)
        return parameters

    def orders(self, parameters: Mapping[str, Tensor], problem: Problem, seen: Seen) -> Tensor:
        """Return the orders (N, B, E)."""
        g, at, W = graph_of(problem), sourcing_of(problem), problem.simulator.W
        act = ACTIVATIONS[self.activation]
        x = seen.inventory.transpose(1, 2)

        # positions, and what the levels of the heuristic would ask for
        z = x.sum(dim=-1)
        if W:
            z = torch.cat([at.reach @ z, z[:, W:]], dim=1)
        gap = (at.base - z) / at.unit
        inventory = STRETCH * (x / at.unit[..., None] - at.usual)
        own = torch.cat([inventory, gap[..., None], at.location.expand(*gap.shape, -1)], dim=-1)
        context = _contexts(g, at, parameters, own, gap, act) if W else x[..., :0]

        # levels
        if W:
            over = _blocks(at.into, context)
            inputs = torch.cat([own[:, :W], over[:, :W], context[..., g.L :]], dim=-1)
            above = _shared(parameters, inputs, act, "warehouse_")
            inputs = torch.cat([own[:, W:], over[:, W:]], dim=-1)
            out = torch.cat([above, _shared(parameters, inputs, act, "store_")], dim=1)
        else:
            out = _shared(parameters, own, act, "store_")
        wanted = (at.unit * (gap + out[..., 0])).index_select(1, g.target)
        if at.chosen:
            target = g.target[g.choices]
            near, inputs = _edges(g, at, own, context)
            more = out.index_select(1, target) + _shared(parameters, inputs, act, "edge_")
            wanted = wanted.index_copy(1, g.choices, at.unit[target] * (near + more[..., 0]))
            wanted = _split(g, at, wanted)
        if not W:
            return _ahead(torch.relu(wanted))

        # allocation
        width = g.spread * torch.exp(torch.tanh(out[..., 1]))
        return _ahead(_balanced(g, parameters["balance"], wanted, width, x[:, :W, :, 0]))

    def compiled(self, problem: Problem, parameters: Parameters) -> CompiledPaths | None:
        """Return compiled loops for paths and their gradient, where there are any: of these orders alone."""
        rectifies, alike = self.activation == "relu", problem.setting.network.num_samples is None
        known = rectifies and alike and type(self).orders is SharedLevelPolicy.orders
        if known and problem.simulator.W and has_kernels(problem.simulator.device):
            return CompiledPaths(problem, parameters)
        return None


def _contexts(
    g: Graph, at: Sourcing, parameters: Mapping[str, Tensor], own: Tensor, gap: Tensor, act: Activation
) -> Tensor:
    """Return inventory, spare stock, and means over the targets of warehouses, (N, W, B, 2 L + 1 + K)."""
    asked = (at.into.T @ (torch.relu(gap) * at.unit)) / at.unit[: g.W]
    spare = own[:, : g.W, :, 0] / STRETCH + at.usual[: g.W, :, 0] - asked
    below = torch.cat([own[..., : g.L], act(_shared(parameters, own, act, "summary_"))], dim=-1)
    return torch.cat([own[:, : g.W, :, : g.L], spare[..., None], _blocks(at.out_of, below)], dim=-1)


def _blocks(matrix: Tensor, x: Tensor) -> Tensor:
    """Combine locations: ``y[n, i] = sum_j matrix[i, j] x[n, j]``."""
    return (matrix @ x.flatten(2)).unflatten(-1, x.shape[2:])


def _shared(parameters: Mapping[str, Tensor], x: Tensor, act: Activation, name: str) -> Tensor:
    """Apply one perceptron to all locations."""
    y = mlp(parameters, x.flatten(1, 2), act, name)
    return y.unflatten(1, x.shape[1:3])


def _edges(g: Graph, at: Sourcing, own: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    """Return what choices lack, in units that pass, (N, C, B), and what their network sees."""
    like, source, target = own[:, :1], g.source[g.choices], g.target[g.choices]
    outside = like.new_zeros(*like.shape[:-1], context.shape[-1] + NUM_LOCATION)
    fixed = at.location[: g.W].expand(like.shape[0], -1, like.shape[2], -1)
    sources = torch.cat([torch.cat([context, fixed], dim=-1), outside], dim=1) if g.W else outside
    targets = own.index_select(1, target)
    counted = (targets[..., : g.L] / STRETCH + at.usual[target]) * at.counts
    near = at.level / at.unit[target] - counted.sum(dim=-1)
    parts = at.edge.expand(*near.shape, -1), near[..., None], sources.index_select(1, source), targets
    return near, torch.cat(parts, dim=-1)


def _split(g: Graph, at: Sourcing, wanted: Tensor) -> Tensor:
    """Return what edges want beyond those before them, (N, E, B); what is asked for is ordered upstream."""
    nothing, total = torch.zeros_like(wanted[:, :1]), wanted
    for _ in range(g.depth + 1):
        table = torch.cat([total, nothing], dim=1).index_select(1, at.table.flatten())
        most = torch.relu(table).unflatten(1, at.table.shape).cummax(dim=2).values
        before = torch.cat([torch.zeros_like(most[:, :, :1]), most[:, :, :-1]], dim=2).flatten(1, 2)
        rest = total - before.index_select(1, at.place)
        asked = torch.where(g.supplied, 0.0, torch.relu(rest))
        asked = rest.new_zeros(rest.shape[0], g.M, rest.shape[2]).index_add(1, g.source, asked)
        total = wanted + asked.index_select(1, g.target)
    return rest


def _balanced(g: Graph, balance: Tensor, wanted: Tensor, width: Tensor, on_hand: Tensor) -> Tensor:
    """Return orders (N, E, B): where a source is short, all its targets stay as short for their width."""
    spread = width.index_select(1, g.target)
    stays = torch.cat([g.holds, g.holds.new_ones(1, 1)]).index_select(0, g.source)
    counts = (wanted > 0) | ~stays
    zeros = wanted.new_zeros(wanted.shape[0], g.W + 1, wanted.shape[2])
    asked = zeros.index_add(1, g.source, torch.where(counts, wanted, 0.0))[:, : g.W]
    scale = zeros.index_add(1, g.source, torch.where(counts, spread, 0.0))[:, : g.W]
    u = (asked - on_hand) / scale.clamp_min(SMALL)
    u = torch.where(g.holds, torch.relu(u), u)
    u = torch.cat([u, zeros[:, :1]], dim=1).index_select(1, g.source)
    return torch.relu(wanted - balance * u * spread)


def _ahead(q: Tensor) -> Tensor:
    """Return (N, B, E) from (N, E, B)."""
    return q.transpose(1, 2)
