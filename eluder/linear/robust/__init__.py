"""Robust linear MDPs: policies that hold their value when the transitions are not those that were learnt."""

from eluder.linear.robust._dr_lsvi_ucb import dr_lsvi_ucb
from eluder.linear.robust._dr_rpo import dr_rpo
from eluder.linear.robust._drpvi import drpvi
from eluder.linear.robust._r2pvi import r2pvi

__all__ = ["dr_lsvi_ucb", "dr_rpo", "drpvi", "r2pvi"]
