"""Robust linear MDPs: policies that hold their value when the transitions are not those that were learnt."""

from eluder.linear.robust._dr_lsvi_ucb import dr_lsvi_ucb
from eluder.linear.robust._dr_rpo import dr_rpo
from eluder.linear.robust._drpvi import drpvi
from eluder.linear.robust._r2pvi import r2pvi
from eluder.linear.robust._va_drpvi import va_drpvi
from eluder.linear.robust._va_r2pvi import va_r2pvi

__all__ = ["dr_lsvi_ucb", "dr_rpo", "drpvi", "r2pvi", "va_drpvi", "va_r2pvi"]
