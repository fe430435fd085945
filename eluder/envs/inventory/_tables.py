"""What happened, as a table: one row per period and location."""

from typing import TYPE_CHECKING

import numpy as np

from eluder.core import checks
from eluder.envs.inventory._network import Network
from eluder.envs.inventory._simulate import SimulationResult, Trajectories

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["period_table"]


def period_table(
    network: Network, result: SimulationResult | Trajectories, *, sample: int = 0
) -> "pd.DataFrame":
    """Return one sample of a recorded simulation as a table.

    Parameters
    ----------
    network : Network
        The network that was simulated.
    result : SimulationResult or Trajectories
        Of `simulate` with ``record=True``.
    sample : int, default=0
        Which sample.

    Returns
    -------
    pandas.DataFrame
        A row for each period and location, in this order, with columns

        - period, location;
        - on_hand: units on hand before demand, after arrivals (negative: owed); under_way: units to arrive;
        - ordered: units it asks for along all its edges; coming: units that are sent to it;
        - sent: units it ships (warehouses); demand, short: at stores;
        - on_hand_after: units left after shipping and demand, before the next arrivals (negative: owed);
        - cost: holding and shortage (less revenue) and the costs of the edges to it.

    Raises
    ------
    ValueError
        If nothing was recorded, the network is another one, or there is no such sample.

    Examples
    --------
    >>> from eluder.envs.inventory import edge, order_up_to, simulate, store, supplier
    >>> shop = store("shop", holding=1, penalty=4, initial=6)
    >>> network = Network.build(supplier("factory"), shop, edge("factory", "shop", lead_time=2))
    >>> result = simulate(network, order_up_to(network, 9), demand=[[[4.0], [5.0]]], record=True)
    >>> print(period_table(network, result)[["on_hand", "ordered", "demand", "short", "cost"]])
       on_hand  ordered  demand  short  cost
    0      6.0      3.0     4.0    0.0   2.0
    1      2.0      4.0     5.0    3.0  12.0
    """
    import pandas as pd

    kept = result.trajectories if isinstance(result, SimulationResult) else result
    if kept is None:
        raise ValueError("result holds no trajectories: simulate with record=True")
    B, T, M, _ = kept.inventory.shape
    W, E = len(network.warehouses), network.num_edges
    if (M, kept.orders.shape[2]) != (network.num_locations, E):
        raise ValueError(f"result is of {M} locations and {kept.orders.shape[2]} edges, network has others")
    b = checks.integer("sample", sample, 0, B - 1)
    to, away = np.zeros((E, M)), np.zeros((E, M))
    to[np.arange(E), network.target] = 1.0
    inside = network.source >= 0
    away[np.flatnonzero(inside), network.source[inside]] = 1.0
    demand, short = np.zeros((T, M)), np.zeros((T, M))
    demand[:, W:], short[:, W:] = kept.demand[b], kept.short[b]
    sent = kept.shipped[b] @ away
    lead_time = network.lead_time[b] if network.lead_time.ndim == 2 else network.lead_time
    at_once = (kept.shipped[b] * (lead_time == 0)) @ to
    after = kept.inventory[b, :, :, 0] + at_once - sent - demand
    if network.unmet == "lost":
        after = after + short
    columns = {
        "on_hand": kept.inventory[b, :, :, 0],
        "under_way": kept.inventory[b, :, :, 1:].sum(axis=2),
        "ordered": kept.orders[b] @ to,
        "coming": kept.shipped[b] @ to,
        "sent": sent,
        "demand": demand,
        "short": short,
        "on_hand_after": after,
        "cost": kept.location_cost[b] + kept.edge_cost[b] @ to,
    }
    where = {"period": np.repeat(np.arange(T), M), "location": np.tile(np.array(network.locations), T)}
    return pd.DataFrame({**where, **{name: values.ravel() for name, values in columns.items()}})
