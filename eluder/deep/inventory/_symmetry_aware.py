"""One network for all stores and one for all warehouses, beside a network that sums up the whole state.

Alvo, Russo, Kanoria & Lee (2023), Deep reinforcement learning for inventory networks: toward reliable policy
optimization, arXiv:2306.11246, the architecture of its second version: what stores do alike is learned from
all of them at once, and what they must know of the others fits into one vector.

Every edge e, from its source w to its target i, becomes an order. The networks f_context, f_store and
f_warehouse are perceptrons::

    own[i] <- inventory[i] / unit[i], costs, demand, lead time
    c      <- f_context(inventories of all locations)
    y[e]   <- f_store(own[i], own[w], lead time, unit cost of e, c)          i a store; own of suppliers = 0
              f_warehouse(the same)                                          i a warehouse
    q[e]   <- 4 unit[e] sigmoid(y[e] - log 3)                                w a supplier
    a[e]   <- part[e] exp(y[e])                                              w a warehouse
    q[e]   <- on hand[w] a[e] / (keep[w] + sum of a over the edges of w)

`unit` is what passes in a period, and part[e] what passes along e of all that leaves w. A warehouse keeps
stock with the weight 1 if it can hold and 0 if not, as in transshipment: the allocation is a softmax over
its targets and its own shelf. The first policy orders about what passes and ships about half of the stock.

Guarantee: none. The tests hold the orders against a plain loop over edges.

Deviations from the paper:
- The paper has one warehouse. Here its network serves all warehouses, and an edge from one warehouse to
  another is a share of stock as one to a store is.
- Scores start at the logarithm of `part`, so that stores with more demand have more from the beginning, and
  are kept within 20 of it; a network sees both ends of its edge.
- The context is an inner layer of one perceptron, cut off after its activation; what it adds to the first
  layer of the other networks is computed once for all edges. It sees inventories only, in units of what
  passes. That an order from outside is at most four times its mean is the bound of the paper's perceptron.
- Defaults are narrower than the paper's context of a few hundred units.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from eluder.deep.common.networks import Parameters, init_mlp, mlp, mlp_shapes
from eluder.deep.inventory._gnn import Activation, _after_first, _rows
from eluder.deep.inventory._graph import NUM_EDGE, NUM_LOCATION, Graph, graph_of
from eluder.deep.inventory._policies import ACTIVATIONS, _check
from eluder.deep.inventory._problem import Problem, Seen

__all__ = ["SymmetryAwarePolicy"]

MOST = 4.0  # means, of an order from outside
BOUND = 20.0  # of scores


@dataclass(frozen=True)
class SymmetryAwarePolicy:
    """Shares of stock and orders by networks that stores, and warehouses, share, and a context of everything.

    The first layer of the context network grows with the number of locations; no other parameter does.

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers of the networks of stores and warehouses.
    context : tuple of int
        Units of the layers of the context network; the last is what all others see of it.
    activation : {"elu", "relu", "tanh"}
        Of every layer but the last of stores and warehouses.

    Raises
    ------
    ValueError
        If there is no hidden layer or no layer of the context, a size is no positive integer, or the
        activation is unknown.

    Examples
    --------
    >>> from eluder.deep.common.random import seed_keys
    >>> from eluder.envs.inventory import setting
    >>> policy, keys = SymmetryAwarePolicy(), seed_keys([0])
    >>> few, many = (policy.init(Problem(setting("one_warehouse", stores=n)), keys) for n in (3, 30))
    >>> few["store_w0"].shape == many["store_w0"].shape
    True
    """

    hidden: tuple[int, ...] = (32, 32)
    context: tuple[int, ...] = (64, 64)
    activation: str = "elu"

    def __post_init__(self) -> None:
        for name in ("hidden", "context"):
            _check(getattr(self, name), self.activation, name)
            if not getattr(self, name):
                raise ValueError(f"{name} must hold at least one layer, got ()")

    def init(self, problem: Problem, keys: Tensor) -> Parameters:
        """Draw the parameters: uniform in one over the root of the number of inputs."""
        g = graph_of(problem)
        inputs = 2 * (g.L + NUM_LOCATION) + NUM_EDGE + self.context[-1]
        shapes = mlp_shapes((len(problem.places), *self.context), name="context_")
        for name, edges in (("warehouse_", g.to_warehouse), ("store_", g.to_store)):
            if len(edges):
                shapes |= mlp_shapes((inputs, *self.hidden, 1), name=name)
        parameters = Parameters(shapes, len(keys), keys.device, problem.mean.dtype)
        init_mlp(parameters, keys)
        return parameters

    def orders(self, parameters: Mapping[str, Tensor], problem: Problem, seen: Seen) -> Tensor:
        """Return the orders (N, B, E)."""
        g, act = graph_of(problem), ACTIVATIONS[self.activation]

        # see
        x = seen.inventory / g.unit
        everything = x.flatten(-2).index_select(-1, problem.places)
        c = act(mlp(parameters, everything, act, "context_"))
        x = x.transpose(1, 2)
        own = torch.cat([x, g.location.expand(*x.shape[:3], -1)], dim=-1)

        # score
        y = [
            _scores(g, parameters, own, c, act, name, edges)
            for name, edges in (("warehouse_", g.to_warehouse), ("store_", g.to_store))
            if len(edges)
        ]
        score = torch.cat(y, dim=1).index_select(1, g.in_order)

        # order
        return _shared_out(g, score, seen.inventory).transpose(1, 2)


def _scores(
    g: Graph,
    parameters: Mapping[str, Tensor],
    own: Tensor,
    c: Tensor,
    act: Activation,
    name: str,
    edges: Tensor,
) -> Tensor:
    """Return the scores (N, edges, B) of edges whose targets share a network."""
    w, K = parameters[f"{name}w0"], c.shape[-1]
    ends = torch.cat([own, torch.zeros_like(own[:, :1])], dim=1)
    source, target = g.arc_source[edges], g.arc_target[edges]
    fixed = g.edge[edges].expand(own.shape[0], -1, own.shape[2], -1)
    inputs = torch.cat([ends.index_select(1, target), ends.index_select(1, source), fixed], dim=-1)
    first = _rows(inputs, w[:, :-K], parameters[f"{name}b0"]) + (c @ w[:, -K:])[:, None]
    return _after_first(parameters, name, first, act)[..., 0]


def _shared_out(g: Graph, score: Tensor, inventory: Tensor) -> Tensor:
    """Return the orders (N, E, B): bounded from outside, of warehouses a softmax over targets and shelf."""
    unit = g.arc_unit[: g.E]
    asked = MOST * unit * torch.sigmoid(score - math.log(MOST - 1))
    if not g.W:
        return asked
    weight = g.part * torch.exp(BOUND * torch.tanh(score / BOUND))
    total = weight.new_zeros(weight.shape[0], g.W + 1, weight.shape[2]).index_add(1, g.source, weight)
    on_hand = inventory.transpose(1, 2)[:, : g.W, :, 0] / (total[:, : g.W] + g.holds)
    share = weight * torch.cat([on_hand, total[:, :1]], dim=1).index_select(1, g.source)
    return torch.where(g.supplied, asked, share)
