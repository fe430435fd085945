"""Bandits: one state, or none."""

from eluder.tabular.bandits._ucb1 import ucb1

__all__ = ["ucb1"]
