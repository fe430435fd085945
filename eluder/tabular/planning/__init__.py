"""Exact planning in finite problems: each solver stops on a certificate and returns it."""

from eluder.tabular.planning._modified_policy_iteration import modified_policy_iteration
from eluder.tabular.planning._value_iteration import value_iteration

__all__ = ["modified_policy_iteration", "value_iteration"]
