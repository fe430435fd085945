"""Online exploration of linear mixture MDPs."""

from eluder.linear.mixture._hf_ucrl_vtr_plus import hf_ucrl_vtr_plus
from eluder.linear.mixture._ucrl_vtr import ucrl_vtr
from eluder.linear.mixture._ucrl_vtr_plus import ucrl_vtr_plus

__all__ = ["hf_ucrl_vtr_plus", "ucrl_vtr", "ucrl_vtr_plus"]
