"""Inventory control: laws of demand, networks and their simulator, exact optima and heuristics."""

from eluder.envs.inventory._demand import (
    Categorical,
    Demand,
    Geometric,
    IntegerDemand,
    MultivariateNormal,
    NegativeBinomial,
    Normal,
    Poisson,
    Trace,
    uniform_demand,
)

__all__ = [
    "Categorical",
    "Demand",
    "Geometric",
    "IntegerDemand",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "Trace",
    "uniform_demand",
]
