"""Policies for inventory networks, trained by the gradient along sample paths."""

from eluder.deep.inventory._data_driven import (
    DataDrivenPolicy,
    QuantileForecast,
    QuantilePolicy,
    calendar_features,
    fit_quantiles,
)
from eluder.deep.inventory._draws import drawer
from eluder.deep.inventory._evaluate import PolicyCost, best_offsets, exact_cost, simulated_cost
from eluder.deep.inventory._gnn import GNNPolicy
from eluder.deep.inventory._hdpo import HDPOConfig, hdpo
from eluder.deep.inventory._hdpo_on_data import DataConfig, hdpo_on_data, recorded_cost
from eluder.deep.inventory._index_policy import DualIndexPolicy
from eluder.deep.inventory._inventory_ppo import InventoryPPOConfig, inventory_ppo
from eluder.deep.inventory._plot import plot_policy
from eluder.deep.inventory._policies import LevelPolicy, MLPPolicy, Policy
from eluder.deep.inventory._problem import Problem, Seen, heuristic_levels
from eluder.deep.inventory._score_function import (
    GradientNoise,
    ReinforceConfig,
    gradient_noise,
    reinforce,
)
from eluder.deep.inventory._shared_level import SharedLevelPolicy
from eluder.deep.inventory._simulator import Outcome, Simulator
from eluder.deep.inventory._symmetry_aware import SymmetryAwarePolicy

__all__ = [
    "DataConfig",
    "DataDrivenPolicy",
    "QuantileForecast",
    "QuantilePolicy",
    "calendar_features",
    "fit_quantiles",
    "hdpo_on_data",
    "recorded_cost",
    "DualIndexPolicy",
    "GNNPolicy",
    "GradientNoise",
    "HDPOConfig",
    "InventoryPPOConfig",
    "LevelPolicy",
    "MLPPolicy",
    "Outcome",
    "Policy",
    "PolicyCost",
    "Problem",
    "ReinforceConfig",
    "Seen",
    "SharedLevelPolicy",
    "Simulator",
    "SymmetryAwarePolicy",
    "best_offsets",
    "drawer",
    "exact_cost",
    "gradient_noise",
    "hdpo",
    "heuristic_levels",
    "inventory_ppo",
    "plot_policy",
    "reinforce",
    "simulated_cost",
]
