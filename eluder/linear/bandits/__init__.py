"""Linear bandits: arms with features."""

from eluder.linear.bandits._lin_ucb import lin_ucb

__all__ = ["lin_ucb"]
