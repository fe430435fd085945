"""Experiments: studies of plain data, run side by side, stored cell by cell."""

from eluder.experiments._summary import format_summary, summary
from eluder.experiments.measures import regret, sample_complexity
from eluder.experiments.plot import plot_profile, plot_regret
from eluder.experiments.report import write_report
from eluder.experiments.runner import FailedCells, run
from eluder.experiments.store import Table, consolidate, load
from eluder.experiments.study import Study, load_study

__all__ = [
    "FailedCells",
    "Study",
    "Table",
    "consolidate",
    "format_summary",
    "load",
    "load_study",
    "plot_profile",
    "plot_regret",
    "regret",
    "run",
    "sample_complexity",
    "summary",
    "write_report",
]
