"""Online exploration of linear MDPs, and policy optimisation in linear mixtures."""

from eluder.linear.exploration._lsvi_phe import lsvi_phe
from eluder.linear.exploration._lsvi_ucb import lsvi_ucb
from eluder.linear.exploration._lsvi_ucb_history import lsvi_ucb_history
from eluder.linear.exploration._lsvi_ucb_plus_plus import lsvi_ucb_plus_plus
from eluder.linear.exploration._oppo import oppo
from eluder.linear.exploration._rlsvi import rlsvi

__all__ = ["lsvi_phe", "lsvi_ucb", "lsvi_ucb_history", "lsvi_ucb_plus_plus", "oppo", "rlsvi"]
