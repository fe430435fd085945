"""What a policy knows of a network before it learns: sizes, scales, and levels that a heuristic would use."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from eluder.core.types import Array, IntArray
from eluder.deep.inventory._simulator import Simulator
from eluder.envs.inventory import IntegerDemand, Network, Normal, Setting, shang_song

__all__ = ["Problem", "Seen", "heuristic_levels"]


class Seen(NamedTuple):
    """What a policy sees before it orders, for N seeds and B samples.

    Attributes
    ----------
    inventory : Tensor, shape (N, B, M, L)
        On hand, then arriving in 1, ..., L - 1 periods.
    past : Tensor, shape (N, B, H, n), or None
        Demand of the last H periods, the newest last; None where policies do not ask for it.
    calendar : Tensor, shape (C,), or None
        Features of the period, where demand is recorded.
    """

    inventory: Tensor
    past: Tensor | None = None
    calendar: Tensor | None = None


class Problem:
    """A setting as a policy sees it.

    Parameters
    ----------
    setting : Setting
        Network, demand, horizons.
    device : str or torch.device, default="cpu"
        Where the tensors live.
    dtype : torch.dtype, default=torch.float32
        Their type.

    Attributes
    ----------
    simulator : Simulator
        The network as tensors.
    mean, sd : Tensor, shape (n,)
        Of the demand of each store.
    through : Tensor, shape (M,)
        Mean demand that passes through each location (of a store whose mean is 0 its standard deviation): a
        location's is split evenly among its sources.
    share : Tensor, shape (E,)
        Part of what its target wants that each edge orders at first: one over the number of its sources.
    slots : Tensor of bool, shape (M, L)
        Slots that can hold something: up to the longest lead time into the location.
    places : Tensor of int64, shape (F,)
        Where these are among all slots ``i L + j``: a mask of booleans cannot be captured in a graph.
    reach : Tensor, shape (M, M)
        ``reach[i, j] = 1`` where stock at i can come to j, i itself among them: echelons.

    Examples
    --------
    >>> from eluder.envs.inventory import setting
    >>> problem = Problem(setting("serial"))
    >>> problem.through.tolist(), problem.slots.sum(dim=1).tolist()
    ([5.0, 5.0, 5.0, 5.0], [2, 4, 3, 4])
    """

    def __init__(
        self, setting: Setting, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        self.setting, self.simulator = setting, Simulator(setting.network, device, dtype)
        network, s = setting.network, self.simulator
        sources = np.bincount(network.target, minlength=s.M)
        unit = np.where(setting.mean > 0, setting.mean, setting.sd)
        through = np.concatenate([np.zeros(s.W), unit])
        reach = np.eye(s.M)
        for i in network.upstream_first()[::-1]:
            for e in np.flatnonzero(network.source == i):
                through[i] += through[network.target[e]] / sources[network.target[e]]
                reach[i] = np.maximum(reach[i], reach[network.target[e]])
        longest = np.zeros(s.M, np.int64)
        np.maximum.at(longest, network.target, np.atleast_2d(network.lead_time).max(axis=0))

        def place(x: Array) -> Tensor:
            return torch.as_tensor(x, dtype=dtype, device=device)

        self.mean, self.sd, self.through, self.reach = (
            place(x) for x in (setting.mean, setting.sd, through, reach)
        )
        self.share = place(1.0 / sources[network.target])
        slots = np.arange(s.L) < np.maximum(longest, 1)[:, None]
        self.slots = torch.as_tensor(slots, device=device)
        self.places = torch.as_tensor(np.flatnonzero(slots), device=device)
        self.scale = float(unit.mean())


def heuristic_levels(setting: Setting, *, echelon: bool = True) -> Array:
    """Return order-up-to levels to start from, shape (M,), warehouses first.

    A serial system gets the levels of Shang and Song, where its costs are such that they hold. Elsewhere, for
    demand that is nearly normal: a store covers its lead time and a period with probability p / (p + h), not
    nearer than 1e-9 to 0 or 1; a warehouse's echelon covers its own lead time, the mean one of what it
    supplies, of what that supplies and so on, and a period, with the mean of the ratios of its stores.

    Parameters
    ----------
    setting : Setting
        The problem.
    echelon : bool, default=True
        Whether the levels of warehouses are of echelon positions; else of their own.

    Returns
    -------
    ndarray, shape (M,)
        Levels, in units.

    Examples
    --------
    >>> from eluder.envs.inventory import setting
    >>> heuristic_levels(setting("serial")).round(1).tolist()
    [83.4, 72.6, 49.2, 32.4]
    """
    network = setting.network
    W, M = len(network.warehouses), network.num_locations
    order = network.upstream_first()[::-1]
    mean_lead = network.lead_time if network.lead_time.ndim == 1 else network.lead_time.mean(axis=0)
    own = np.bincount(network.target, mean_lead, M) / np.bincount(network.target, minlength=M)
    levels = np.zeros(M)
    if echelon and _is_serial(network):
        bounds = shang_song(
            network.demand,  # type: ignore[arg-type]
            lead_times=own[order].astype(int),
            holding=network.holding[order],
            penalty=float(network.penalty[0]),
        )
        levels[order] = bounds.levels
        return levels
    h, p = network.holding[..., W:], network.penalty
    ratio = np.clip(np.divide(p, p + h, out=np.full((p + h).shape, 0.5), where=p + h > 0), 1e-9, 1 - 1e-9)
    z = ndtri(np.atleast_2d(ratio)).mean(axis=0)
    levels[W:] = setting.mean * (own[W:] + 1) + z * setting.sd * np.sqrt(own[W:] + 1)
    below = own.copy()  # with the mean of what is further down
    for i in order:
        if i >= W:
            continue
        below[i] += below[network.target[network.source == i]].mean()
        stores = _stores_below(setting, int(i))
        periods = below[i] + 1 if echelon else own[i]
        mean, sd = setting.mean[stores].sum(), np.sqrt((setting.sd[stores] ** 2).sum())
        correlation = float(getattr(network.demand, "correlation", 0.0))
        sd = np.sqrt(max((1 - correlation) * sd**2 + correlation * setting.sd[stores].sum() ** 2, 0.0))
        levels[i] = mean * periods + z[stores].mean() * sd * np.sqrt(max(periods, 1.0))
    return levels


def _is_serial(network: Network) -> bool:
    """Say whether the bounds of Shang and Song hold: one way, backlog, holding costs that fall upwards."""
    M = network.num_locations
    chain = M > 1 and len(network.stores) == 1 and network.num_edges == M and network.num_samples is None
    plain = network.unmet == "backlog" and network.objective == "cost" and bool(network.holds.all())
    if not (chain and plain and isinstance(network.demand, Normal | IntegerDemand)):
        return False
    h = network.holding[network.upstream_first()]
    return bool((np.diff(h, prepend=0.0) > 0).all() and network.penalty[0] > 0)


def _stores_below(setting: Setting, i: int) -> IntArray:
    """Return the stores that stock at warehouse i can come to."""
    network, W = setting.network, len(setting.network.warehouses)
    found, left = set(), [i]
    while left:
        at = left.pop()
        for e in np.flatnonzero(network.source == at):
            j = int(network.target[e])
            if j >= W:
                found.add(j - W)
            else:
                left.append(j)
    return np.array(sorted(found), dtype=np.int64)
