"""Off-policy evaluation: what a policy would have earned, from the rounds of another one."""

from eluder.tabular.off_policy._clipped_ips import clipped_ips
from eluder.tabular.off_policy._doubly_robust import doubly_robust
from eluder.tabular.off_policy._ips import ips
from eluder.tabular.off_policy._snips import snips
from eluder.tabular.off_policy._switch import switch

__all__ = ["clipped_ips", "doubly_robust", "ips", "snips", "switch"]
