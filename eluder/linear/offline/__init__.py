"""Offline learning in linear MDPs: from transitions that another policy left."""

from eluder.linear.offline._pevi import pevi

__all__ = ["pevi"]
