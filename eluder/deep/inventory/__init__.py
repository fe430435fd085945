"""Policies for inventory networks, trained by the gradient along sample paths."""

from eluder.deep.inventory._draws import drawer
from eluder.deep.inventory._evaluate import PolicyCost, exact_cost, simulated_cost
from eluder.deep.inventory._hdpo import HDPOConfig, hdpo
from eluder.deep.inventory._policies import LevelPolicy, MLPPolicy, Policy
from eluder.deep.inventory._problem import Problem, Seen, heuristic_levels
from eluder.deep.inventory._simulator import Outcome, Simulator

__all__ = [
    "HDPOConfig",
    "LevelPolicy",
    "MLPPolicy",
    "Outcome",
    "Policy",
    "PolicyCost",
    "Problem",
    "Seen",
    "Simulator",
    "drawer",
    "exact_cost",
    "hdpo",
    "heuristic_levels",
    "simulated_cost",
]
