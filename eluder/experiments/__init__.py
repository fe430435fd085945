"""Experiments: studies of plain data, run side by side, stored cell by cell."""

from eluder.experiments.measures import regret, sample_complexity
from eluder.experiments.runner import FailedCells, run
from eluder.experiments.store import Table, consolidate, load
from eluder.experiments.study import Study, load_study

__all__ = [
    "FailedCells",
    "Study",
    "Table",
    "consolidate",
    "load",
    "load_study",
    "regret",
    "run",
    "sample_complexity",
]
