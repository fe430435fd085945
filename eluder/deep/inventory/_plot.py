"""Pictures of ordering policies of a single store with lost sales."""

from pathlib import Path
from typing import Any

import numpy as np

from eluder.core.results import TrainResult
from eluder.core.types import Array
from eluder.envs.inventory import IntegerDemand, Setting, lost_sales_plan

__all__ = ["plot_policy"]


def plot_policy(result: TrainResult, setting: Setting, path: str | Path, *, seed: int = 0) -> Path:
    """Draw the orders of a trained policy beside the optimal ones.

    Each point is a state that the optimal policy reaches with some probability: the optimal order to the
    right, the trained policy's (not rounded) up, as large as the state is frequent.

    Parameters
    ----------
    result : TrainResult
        Of `hdpo` or another trainer.
    setting : Setting
        A single store with lost sales.
    path : path
        File to write: png, pdf, svg.
    seed : int, default=0
        Which of the result's seeds, by its place.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the setting is no single store with lost sales, or there is no such seed.
    """
    network = setting.network
    law = network.demand
    if setting.name != "lost_sales" or len(network.stores) != 1 or not isinstance(law, IntegerDemand):
        raise ValueError(f"setting must be a single store with lost sales, got {setting.name}")
    if not 0 <= seed < len(result.seeds):
        raise ValueError(f"seed must be in [0, {len(result.seeds) - 1}], got {seed}")
    from matplotlib.figure import Figure

    states, best, weight = _optimal(setting)
    seen = np.broadcast_to(states[None, :, None], (len(result.seeds), *states[:, None].shape))
    ours = result.policy(seen.astype(np.float64))[seed, :, 0]
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.subplots()
    top = max(float(best.max()), float(ours.max())) + 1
    axes.plot([0, top], [0, top], color="0.7", lw=1, zorder=0, label="the same order")
    axes.scatter(best, ours, s=400 * np.sqrt(weight / weight.max()), alpha=0.35, linewidths=0)
    axes.set(xlabel="optimal order, units", ylabel="order of the policy, units")
    axes.set_title(f"lead time {network.lead_time[0]}, penalty {network.penalty[0]:g}")
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=120)
    return Path(path)


def _optimal(setting: Setting) -> tuple[Any, Any, Array]:
    """Return states of the optimal policy's chain, its orders there, and how often they are met."""
    from eluder.envs.inventory import evaluate_store

    network, law = setting.network, setting.network.demand
    assert isinstance(law, IntegerDemand)
    costs: dict[str, Any] = {
        "lead_time": int(network.lead_time[0]),
        "penalty": float(network.penalty[0]),
        "holding": float(network.holding[0]),
    }
    plan = lost_sales_plan(law, **costs)
    chain = evaluate_store(lambda states: plan(states.astype(np.float64)), law, **costs)
    often = chain.stationary > 1e-6
    return chain.states[often], chain.orders[often], chain.stationary[often]
