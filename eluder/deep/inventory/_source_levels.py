"""Where locations have several sources: which orders when, before anything is learnt.

Veeraraghavan & Scheller-Wolf (2008), Now or later: a simple policy for effective dual sourcing in capacitated
systems, Operations Research 56: a fast source keeps what arrives within its lead time at a level, a slow one
the whole position at a higher one.

Edges into a location come in the order of their lead times, of equal ones the cheapest first. Locations come
downstream first; n[t] is what they learn before they order, demand of the last period at a store, what is
asked for at a warehouse. For every pair of a fast and a slow edge and many distances D of their levels::

    y = over[t-1] - n[t] + slow orders whose rest of the way is now as short as the fast one
    fast[t] = relu(-y);   over[t] = relu(y);   slow[t] = relu(D - over[t] - slow orders further away)
    S = quantile at (p - c) / (p - c + h) of x[t] = what n will be until an order arrives and is met - over[t]
    cost = E [h relu(S - x) + p relu(x - S)] + E [c_fast fast + c_slow slow]

The cheapest pair, or one edge alone, gets the levels S and S + D, and what it orders is asked for upstream.

Guarantee: for each D the level S is optimal where sources never run out and unmet demand waits; the tests
hold levels against a plain loop, and the best pair of an instance against the best dual index.

Deviations from the paper:
- Costs are those of one path of normal demand, clipped at 0, with one shock for all stores, so that
  they do not depend on the order of stores. What these ask of a warehouse varies less, by their correlation.
- Sources may run out: the learnt part of the policy sees to that.
- Lost demand pays no purchase: the penalty is less by its cost.
- Of three or more sources two have these levels; others cover mean demand, and no more than those two.
- Warehouses, which have no penalty, get the quantile `WAREHOUSE_RATIO`.
"""

from dataclasses import dataclass

import numpy as np

from eluder.core.types import Array, IntArray
from eluder.envs.inventory import Network, Setting

__all__ = ["Levels", "Means", "means_of", "source_levels"]

PERIODS, WARM_UP = 1000, 100
DISTANCES = np.linspace(-4.0, 2.0, 13)  # standard deviations of demand, from the mean over the difference
WAREHOUSE_RATIO = 0.3
EXTREMES = 0.01, 0.999  # of ratios


@dataclass(frozen=True)
class Levels:
    """What `source_levels` returns.

    Attributes
    ----------
    level, flow : ndarray, shape (E,)
        Order-up-to levels of what arrives within an edge's lead time, and mean orders, units.
    turn : ndarray of int64, shape (E,)
        Edges, those furthest downstream first, of a location the soonest first.
    """

    level: Array
    flow: Array
    turn: IntArray


@dataclass(frozen=True)
class Means:
    """Parameters of a network, means of its samples.

    Attributes
    ----------
    holding, penalty : ndarray, shape (M,)
        Costs of locations; warehouses have no penalty.
    lead, price : ndarray, shape (E,)
        Lead times, and what a unit has cost when it leaves along an edge.
    depth : ndarray of int64, shape (M,)
        Edges on the longest way from where a location is to a supplier.
    """

    holding: Array
    penalty: Array
    lead: IntArray
    price: Array
    depth: IntArray


def means_of(network: Network) -> Means:
    """Return the parameters."""
    W = len(network.warehouses)
    h, p, lead, price = (
        np.atleast_2d(x).mean(axis=0)
        for x in (network.holding, network.penalty, network.lead_time, network.unit_cost)
    )
    depth = np.zeros(network.num_locations, np.int64)
    for i in network.upstream_first():
        if i < W:
            into, out = network.target == i, network.source == i
            price[out] += price[into].min()
            np.maximum.at(depth, network.target[out], depth[i] + 1)
    return Means(h, np.concatenate([np.zeros(W), p]), np.rint(lead).astype(np.int64), price, depth)


def source_levels(setting: Setting) -> Levels:
    """Return the levels of edges, all for mean parameters of the samples."""
    network, m = setting.network, means_of(setting.network)
    W, E = len(network.warehouses), network.num_edges
    turn = np.lexsort((m.price, m.lead, network.target, -m.depth[network.target]))
    news = np.zeros((PERIODS + 2 * int(m.lead.max()), network.num_locations))
    shock = np.random.default_rng(0).standard_normal((len(news) - 1, 1))
    news[1:, W:] = np.maximum(setting.mean + setting.sd * shock, 0.0)
    levels, flow, calm = np.full(E, np.nan), np.zeros((len(news), E)), _calm(setting)
    for depth in range(m.depth.max(), -1, -1):
        _choose(network, m, [e for e in turn if m.depth[network.target[e]] == depth], news, levels, flow)
        for e in np.flatnonzero((m.depth[network.target] == depth) & (network.source >= 0)):
            w, x = network.source[e], flow[:, e]
            news[:, w] += x.mean() + calm[w] * (x - x.mean()) if network.target[e] >= W else x
    _fill(network, m, news[WARM_UP:].mean(axis=0), levels)
    return Levels(levels, flow[WARM_UP:].mean(axis=0), turn)


def _calm(setting: Setting) -> Array:
    """Return standard deviations of the demand of each warehouse's stores over the sums of theirs."""
    network, W = setting.network, len(setting.network.warehouses)
    correlation, calm = float(getattr(network.demand, "correlation", 0.0)), np.ones(W)
    for w in range(W):
        sd = setting.sd[network.target[(network.source == w) & (network.target >= W)] - W]
        if sd.sum() > 0:
            square = (1.0 - correlation) * (sd**2).sum() / sd.sum() ** 2 + correlation
            calm[w] = np.sqrt(max(square, 0.0))
    return calm


def _choose(network: Network, m: Means, edges: list[int], news: Array, levels: Array, flow: Array) -> None:
    """Fill levels and orders of the cheapest pairs of the locations into which some edges lead."""
    pairs = [(e, e) for e in edges]
    for k, e in enumerate(edges):
        later = (x for x in edges[k:] if network.target[x] == network.target[e])
        pairs += [(e, x) for x in later if m.lead[x] > m.lead[e] and m.price[x] < m.price[e]]
    fast, slow = np.array(pairs).T.repeat(len(DISTANCES), axis=1)
    i, rest = network.target[fast], m.lead[slow] - m.lead[fast]
    mean, sd = news[WARM_UP:].mean(axis=0)[i], news[WARM_UP:].std(axis=0)[i]
    far = np.maximum(mean * rest + np.tile(DISTANCES, len(pairs)) * sd, 0.0)
    over, soon, late = simulate(news[:, i], far, rest)

    # levels and costs
    store = i >= len(network.warehouses)
    under = np.maximum(m.penalty[i] - (network.unmet == "lost") * m.price[fast], 0.0)
    ratio = np.where(store, under / np.maximum(under + m.holding[i], 1e-9), WAREHOUSE_RATIO)
    short = np.where(store, m.penalty[i], m.holding[i] * WAREHOUSE_RATIO / (1.0 - WAREHOUSE_RATIO))
    spent = m.price[fast] * soon[WARM_UP:].mean(axis=0) + m.price[slow] * late[WARM_UP:].mean(axis=0)
    sums = np.concatenate([np.zeros((1, news.shape[1])), news.cumsum(axis=0)])
    best: dict[int, tuple[float, float, int]] = {}
    for k, (e, j) in enumerate(zip(fast, i, strict=True)):
        ahead = m.lead[e] + store[k]
        x = sums[1 + ahead :, j] - sums[1 : len(sums) - ahead, j]
        x = (x - over[: len(x), k])[WARM_UP:]
        S = float(np.quantile(x, np.clip(ratio[k], *EXTREMES)))
        cost = spent[k] + (m.holding[j] * np.maximum(S - x, 0.0) + short[k] * np.maximum(x - S, 0.0)).mean()
        best[j] = min(best.get(j, (np.inf, S, k)), (float(cost), S, k))
    for _, S, k in best.values():
        levels[fast[k]], flow[:, fast[k]] = S, soon[:, k]
        if slow[k] != fast[k]:
            levels[slow[k]], flow[:, slow[k]] = S + far[k], late[:, k]


def simulate(news: Array, far: Array, rest: IntArray) -> tuple[Array, Array, Array]:
    """Return what is over, and orders of fast and slow edges, each (T, K), from news (T, K).

    All is fast where `rest`, the difference of lead times, is 0.
    """
    T, K = news.shape
    over, soon, late = (np.zeros((T, K)) for _ in range(3))
    size, k = int(rest.max(initial=0)) + 1, np.arange(K)
    way, further, left = np.zeros((size, K)), np.zeros(K), np.zeros(K)
    for t in range(T):
        y = left - news[t] + way[t % size]
        further -= way[t % size]
        way[t % size] = 0.0
        soon[t], left = np.maximum(-y, 0.0), np.maximum(y, 0.0)
        late[t] = np.where(rest > 0, np.maximum(far - left - further, 0.0), 0.0)
        way[(t + rest) % size, k] += late[t]
        further += late[t]
        over[t] = left
    return over, soon, late


def _fill(network: Network, m: Means, mean: Array, levels: Array) -> None:
    """Fill the levels of edges that are not of the cheapest pair."""
    most = np.full(network.num_locations, -np.inf)
    np.fmax.at(most, network.target, levels)
    covers = np.minimum(mean[network.target] * (m.lead + 1), most[network.target])
    levels[:] = np.where(np.isnan(levels), covers, levels)
