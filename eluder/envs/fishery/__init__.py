"""Fisheries of one and three species: simulator, usual rules, exact values for one species."""

from eluder.envs.fishery._gym import FisheryEnv, fishery_env
from eluder.envs.fishery._model import Fishery, FisheryStep, first_populations, fishery, growth, step
from eluder.envs.fishery._plan import ExactValue, FisheryPlan, fishery_optimum, policy_value
from eluder.envs.fishery._search import GridSearch, best_rule
from eluder.envs.fishery._simulate import (
    ConstantEscapement,
    ConstantMortality,
    EscapementTable,
    Noise,
    Runs,
    draw_noise,
    simulate,
)

__all__ = [
    "ConstantEscapement",
    "ConstantMortality",
    "EscapementTable",
    "ExactValue",
    "Fishery",
    "FisheryEnv",
    "FisheryPlan",
    "FisheryStep",
    "GridSearch",
    "Noise",
    "Runs",
    "best_rule",
    "draw_noise",
    "first_populations",
    "fishery",
    "fishery_env",
    "fishery_optimum",
    "growth",
    "policy_value",
    "simulate",
    "step",
]
