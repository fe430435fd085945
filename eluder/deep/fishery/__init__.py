"""Policies for fisheries, trained by the gradient along sample paths."""

from eluder.deep.fishery._pathwise import PathwiseConfig, learned_rule, pathwise
from eluder.deep.fishery._policies import FisheryPolicy
from eluder.deep.fishery._simulator import Outcome, Simulator

__all__ = ["FisheryPolicy", "Outcome", "PathwiseConfig", "Simulator", "learned_rule", "pathwise"]
