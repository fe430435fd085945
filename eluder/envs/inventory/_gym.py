"""Networks behind gymnasium's interface."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.types import Array
from eluder.envs.inventory._demand import Trace
from eluder.envs.inventory._dynamics import initial_inventory, step
from eluder.envs.inventory._network import Network
from eluder.envs.inventory._policies import reachable
from eluder.envs.inventory._settings import Setting, setting

__all__ = ["InventoryEnv", "inventory_env"]


def inventory_env(
    problem: Network | Setting | str,
    *,
    periods: int | None = None,
    largest: ArrayLike | None = None,
    render_mode: str | None = None,
    **options: Any,
) -> "InventoryEnv":
    """Return a gymnasium environment that plays a network.

    Parameters
    ----------
    problem : Network, Setting or str
        A network with a law of demand, a setting, or the name of one.
    periods : int, optional
        Periods of an episode, which is then truncated; those of the setting's training data if not given,
        50 for a network.
    largest : array_like, shape (E,) or a number, optional
        Largest order along each edge; 4 times the mean demand of all stores it leads to if not given.
    render_mode : {"ansi"}, optional
        Whether ``render()`` returns the last period as a text.
    **options : Any
        Options of the setting, where `problem` is a name.

    Returns
    -------
    InventoryEnv
        Observations are the state, float32 of shape (M L,): for each location units on hand (negative: owed)
        and those arriving in 1, ..., L - 1 periods. Actions are orders, float32 of shape (E,). The reward
        is minus the cost of the period. ``info`` holds demand, shipments, shortages and the costs by location
        and edge. Episodes start as the setting's do (`Setting.first_inventory`), or with the network's
        initial stock. Where parameters differ by sample each episode is one of the samples; recorded demand
        starts at a random period.

    Raises
    ------
    ValueError
        If `problem` is none of these or has no law of demand, an argument is out of range, or there are
        options without a name.

    Notes
    -----
    One episode at a time, in NumPy: for agents of other libraries. `simulate` is much faster.

    Examples
    --------
    >>> env = inventory_env("lost_sales", lead_time=2, penalty=4, periods=10)
    >>> env.observation_space.shape, env.action_space.shape
    ((2,), (1,))
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(np.array([5.0], dtype=np.float32))
    >>> reward == -info["cost"], terminated, truncated
    (True, False, False)
    """
    return InventoryEnv(problem, periods=periods, largest=largest, render_mode=render_mode, **options)


class InventoryEnv(gymnasium.Env):  # type: ignore[misc]
    """A network as a gymnasium environment; see `inventory_env`."""

    metadata = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012

    def __init__(
        self,
        problem: Network | Setting | str,
        *,
        periods: int | None = None,
        largest: ArrayLike | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        if isinstance(problem, str):
            problem = setting(problem, **options)
        elif options:
            raise ValueError(f"options {sorted(options)} are for the name of a setting, problem is not one")
        if not isinstance(problem, Network | Setting):
            raise ValueError(f"problem must be a Network, a Setting or a name, got {problem!r}")
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode must be None or 'ansi', got {render_mode!r}")
        self.render_mode = render_mode
        self.setting = problem if isinstance(problem, Setting) else None
        self.network = problem.network if isinstance(problem, Setting) else problem
        self._data = None if self.setting is None else self.setting.data
        if self.network.demand is None and self._data is None:
            raise ValueError("problem must have a law of demand or recorded demand")
        default = 50 if self.setting is None else self.setting.train.periods
        most = None if self._data is None else self._data.shape[1]
        self.periods = checks.integer("periods", default if periods is None else periods, 1, most)
        M, L, E = self.network.num_locations, self.network.longest, self.network.num_edges
        high = _largest(self.network, self._data) if largest is None else largest
        high = checks.finite("largest", high, (E,) if np.ndim(high) else (), low=0.0)
        top = np.broadcast_to(high, (E,)).astype(np.float32)
        self.action_space = gymnasium.spaces.Box(np.zeros(E, dtype=np.float32), top)
        backlog = self.network.unmet == "backlog" or self._data is not None
        low = np.zeros((M, L), dtype=np.float32)
        low[len(self.network.warehouses) :, 0] = -np.inf if backlog else 0.0
        self.observation_space = gymnasium.spaces.Box(low.ravel(), np.inf, dtype=np.float32)
        self._t = -1
        self._last: dict[str, Any] = {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode: draw a sample, all its demand, and the first state."""
        super().reset(seed=seed)
        rng, n = self.np_random, len(self.network.stores)
        samples = self.network.num_samples if self._data is None else len(self._data)
        b = int(rng.integers(samples or 1))
        self._net = self.network.take([b])
        if self._data is not None:
            t = int(rng.integers(self._data.shape[1] - self.periods + 1))
            self._demand: Array = self._data[b : b + 1, t : t + self.periods]
        else:
            assert self.network.demand is not None
            self._demand = self.network.demand.sample(rng, (1, self.periods, n))
        if self.setting is None:
            self._x = initial_inventory(self._net, 1)
        else:
            self._x = self.setting.first_inventory(1, rng=rng)
        self._t, self._last = 0, {}
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play a period."""
        if not 0 <= self._t < self.periods:
            raise gymnasium.error.ResetNeeded("the episode is over: call reset()")
        q = np.asarray(action, dtype=np.float64)
        if q.shape != (self.network.num_edges,):
            raise ValueError(f"action must have shape ({self.network.num_edges},), got {q.shape}")
        d = self._demand[:, self._t]
        period = step(self._net, self._x, q[None], d)
        self._x = period.inventory
        self._t += 1
        self._last = {
            "period": self._t - 1,
            "demand": d[0],
            "shipped": period.shipped[0],
            "short": period.short[0],
            "location_cost": period.location_cost[0],
            "edge_cost": period.edge_cost[0],
            "cost": float(period.cost[0]),
        }
        return (
            self._observation(),
            -self._last["cost"],
            False,
            self._t == self.periods,
            dict(self._last),
        )

    def render(self) -> Any:
        """Return the state, and what happened in the last period, as a text; None without a render mode."""
        if self.render_mode is None:
            return None
        lines = [f"period {self._t} of {self.periods}"]
        lines += [
            f"{name}: {row[0]:g} on hand, arriving {', '.join(f'{u:g}' for u in row[1:]) or 'nothing'}"
            for name, row in zip(self.network.locations, self._x[0], strict=True)
        ]
        if self._last:
            lines.append(f"last demand {self._last['demand'].tolist()}, cost {self._last['cost']:g}")
        return "\n".join(lines)

    def _observation(self) -> Any:
        return self._x.astype(np.float32).ravel()


def _largest(network: Network, data: Array | None) -> Array:
    """Return 4 times the mean demand of the stores that each edge leads to."""
    if data is not None:
        mean = data.mean(axis=(0, 1))
    elif isinstance(network.demand, Trace):
        mean = network.demand.values.mean(axis=0)
    else:
        mean = np.asarray(getattr(network.demand, "mean", np.nan))
    if not np.isfinite(mean).all():
        raise ValueError("largest must be given, the law of demand does not tell its mean")
    n = len(network.stores)
    reach = reachable(network)[:, network.num_locations - n :]
    most: Array = 4 * (reach @ np.broadcast_to(mean, (n,)))[network.target]
    return most
