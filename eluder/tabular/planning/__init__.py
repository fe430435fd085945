"""Exact planning in finite problems: each solver stops on a certificate and returns it."""

from eluder.tabular.planning._anderson_value_iteration import anderson_value_iteration
from eluder.tabular.planning._average_policy_iteration import average_policy_iteration
from eluder.tabular.planning._backward_induction import backward_induction
from eluder.tabular.planning._linear_program import linear_program
from eluder.tabular.planning._modified_policy_iteration import modified_policy_iteration
from eluder.tabular.planning._policy_iteration import policy_iteration
from eluder.tabular.planning._prioritized_sweeping import prioritized_sweeping
from eluder.tabular.planning._relative_value_iteration import relative_value_iteration
from eluder.tabular.planning._soft_backward_induction import soft_backward_induction
from eluder.tabular.planning._soft_value_iteration import soft_value_iteration
from eluder.tabular.planning._value_iteration import value_iteration

__all__ = [
    "anderson_value_iteration",
    "average_policy_iteration",
    "backward_induction",
    "linear_program",
    "modified_policy_iteration",
    "policy_iteration",
    "prioritized_sweeping",
    "relative_value_iteration",
    "soft_backward_induction",
    "soft_value_iteration",
    "value_iteration",
]
