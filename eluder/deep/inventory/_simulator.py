"""One period of a network in PyTorch, differentiable in orders and state: what `eluder.envs.inventory.step`
defines, for N seeds and B samples at once.

The number of operations does not depend on the size of the network: shipments are added up per source and
placed per target by one indexed addition each. Orders are continuous unless `rounded`; fixed costs and
rounding have no derivative.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from eluder.envs.inventory import Network

__all__ = ["Outcome", "Simulator"]

NEGLIGIBLE = 1e-4  # units; as in the definition


class Outcome(NamedTuple):
    """What happens in one period.

    Attributes
    ----------
    inventory : Tensor, shape (N, B, M, L)
        At the start of the next period.
    shipped : Tensor, shape (N, B, E)
        Units that leave along each edge.
    short : Tensor, shape (N, B, n)
        Units lost in the period, or owed at its end.
    cost : Tensor, shape (N, B)
        Of all locations and edges.
    """

    inventory: Tensor
    shipped: Tensor
    short: Tensor
    cost: Tensor


class Simulator:
    """A network as tensors.

    Parameters
    ----------
    network : Network
        The network; parameters of its own for each sample are kept.
    device : str or torch.device, default="cpu"
        Where the tensors live.
    dtype : torch.dtype, default=torch.float32
        Their type.

    Attributes
    ----------
    W, n, M, E, L : int
        Warehouses, stores, locations, edges, slots of a location.
    holding, penalty, unit_cost : Tensor, shape (M,), (n,), (E,), or with samples in front
        As in the network.
    source, target : Tensor of int64, shape (E,)
        Ends of the edges; sources of suppliers are W.
    lead_time : Tensor of int64, shape (E,) or (B, E)
        Periods.

    Examples
    --------
    >>> from eluder.envs.inventory import edge, store, supplier
    >>> shop = store("shop", holding=1, penalty=4, initial=7)
    >>> lane = edge("factory", "shop", lead_time=1)
    >>> simulator = Simulator(Network.build(supplier("factory"), shop, lane))
    >>> x = torch.tensor([[[[7.0]]]])
    >>> outcome = simulator.step(x, torch.tensor([[[3.0]]]), torch.tensor([[[9.0]]]))
    >>> outcome.inventory.item(), outcome.cost.item()
    (3.0, 8.0)
    """

    def __init__(
        self, network: Network, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        self.network, self.device, self.dtype = network, torch.device(device), dtype
        self.W, self.n = len(network.warehouses), len(network.stores)
        self.M, self.E, self.L = network.num_locations, network.num_edges, network.longest

        def place(x: np.ndarray) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(x), dtype=dtype, device=device)

        self.holding, self.penalty = place(network.holding), place(network.penalty)
        self.unit_cost, self.fixed_cost = place(network.unit_cost), place(network.fixed_cost)
        self.capacity, self.initial = place(network.capacity), place(network.initial)
        self.limited = bool(np.isfinite(network.capacity).any())
        self.costly = bool((network.unit_cost != 0).any() or (network.fixed_cost != 0).any())
        supplied = network.source < 0
        self.source = torch.as_tensor(np.where(supplied, self.W, network.source), device=device)
        self.target = torch.as_tensor(network.target, device=device)
        self.holds = torch.as_tensor(np.append(network.holds, True), device=device)
        self.supplied = torch.as_tensor(supplied, device=device)
        self.lead_time = torch.as_tensor(network.lead_time, device=device)
        self.at_once = bool((network.lead_time == 0).any())
        self.integer = network.orders == "integer"
        self.slot = self.target * self.L + (self.lead_time - 1).clamp_min(0)

    def take(self, samples: Tensor) -> "Simulator":
        """Return the network of some of the samples, shape (B,); itself if none has parameters of its own."""
        if self.network.num_samples is None:
            return self
        other = object.__new__(Simulator)
        other.__dict__.update(self.__dict__)
        for name in ("holding", "penalty", "unit_cost", "lead_time", "slot"):
            x = getattr(self, name)
            if x.ndim == 2:
                setattr(other, name, x[samples])
        return other

    def step(self, inventory: Tensor, orders: Tensor, demand: Tensor, *, rounded: bool = False) -> Outcome:
        """Play one period.

        Parameters
        ----------
        inventory : Tensor, shape (N, B, M, L)
            On hand after this period's arrivals, then arriving in 1, ..., L - 1 periods.
        orders : Tensor, shape (N, B, E)
            Units ordered along each edge, not negative.
        demand : Tensor, shape (N, B, n)
            Units asked for at each store.
        rounded : bool, default=False
            Whether a network of integer orders rounds them, as the definition does.

        Returns
        -------
        Outcome
            The next state, shipments, shortages and costs.
        """
        W = self.W
        f = self.shipments(inventory, orders, rounded=rounded)

        # arrive at once
        y = inventory[..., 0]
        if self.at_once:
            now = torch.where(self.lead_time == 0, f, 0.0)
            y, later = y.index_add(-1, self.target, now), f - now
        else:
            later = f
        on_hand = y[..., W:]

        # costs
        left = on_hand - demand
        short = (-left).clamp_min(0.0)
        if W:
            leaving = f.new_zeros(*f.shape[:-1], W + 1).index_add(-1, self.source, f)[..., :W]
            y = torch.cat([(y[..., :W] - leaving).clamp_min(0.0), left], dim=-1)
        else:
            y = left
        held = y.clamp_min(0.0)
        cost = (self.holding * held).sum(dim=-1)
        if self.network.objective == "cost":
            cost = cost + (self.penalty * short).sum(dim=-1)
        else:
            cost = cost - (self.penalty * torch.minimum(on_hand, demand)).sum(dim=-1)
        if self.costly:
            cost = cost + (self.unit_cost * f + self.fixed_cost * (f > NEGLIGIBLE)).sum(dim=-1)
        if self.network.unmet == "lost":
            y = held

        # shift
        slots = [inventory[..., 1:], inventory.new_zeros(*inventory.shape[:-1], 1)]
        after = torch.cat(slots, dim=-1).flatten(-2)
        first = torch.arange(self.M, device=self.device) * self.L
        after = after.index_add(-1, first, y)
        if self.slot.ndim == 1:
            after = after.index_add(-1, self.slot, later)
        else:
            after = after.scatter_add(-1, self.slot.expand_as(later), later)
        return Outcome(after.unflatten(-1, (self.M, self.L)), f, short, cost)

    def shipments(self, inventory: Tensor, orders: Tensor, *, rounded: bool = False) -> Tensor:
        """Return what each edge ships, shape (N, B, E): its order if the source has enough, else in
        proportion to the orders."""
        whole = rounded and self.integer
        q = orders.round() if whole else orders
        if self.limited:
            q = torch.minimum(q, self.capacity.floor() if whole else self.capacity)
        if self.W == 0:
            return q
        W = self.W
        zeros = q.new_zeros(*q.shape[:-1], W + 1)
        total = zeros.index_add(-1, self.source, q)
        if not bool(self.network.holds.all()):
            idle = (total[..., self.source] <= 0) & ~self.holds[self.source]
            q = torch.where(idle, 1.0, q)
            total = zeros.index_add(-1, self.source, q)
        on_hand = torch.cat([inventory[..., :W, 0], q.new_zeros(*q.shape[:-1], 1)], dim=-1)
        if whole:
            return self._whole_shares(q, total, on_hand)
        short = (total > on_hand) | ~self.holds
        ratio = on_hand / torch.where(short & (total > 0), total, 1.0)  # else the square of tiny orders is 0
        scale = torch.where(short, ratio, 1.0)[..., self.source]
        return torch.where(self.supplied, q, q * scale)

    def _whole_shares(self, q: Tensor, total: Tensor, on_hand: Tensor) -> Tensor:
        """Return shares of what a warehouse is short of, in whole units."""
        f = q.clone()
        for i in range(self.W):
            leaving = (self.source == i).nonzero()[:, 0]
            orders, s, sum_ = q[..., leaving], on_hand[..., i : i + 1], total[..., i : i + 1]
            up_to, some = orders.cumsum(dim=-1), torch.where(sum_ > 0, sum_, 1.0)
            share = (up_to * s / some).floor() - ((up_to - orders) * s / some).floor()
            f[..., leaving] = torch.where((sum_ > s) | ~self.holds[i], share, orders)
        return f
