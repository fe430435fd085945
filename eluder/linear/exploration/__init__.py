"""Online exploration of linear MDPs."""

from eluder.linear.exploration._lsvi_ucb import lsvi_ucb
from eluder.linear.exploration._rlsvi import rlsvi

__all__ = ["lsvi_ucb", "rlsvi"]
