"""Offline learning in linear MDPs: from transitions that another policy left."""

from eluder.linear.offline._pevi import pevi
from eluder.linear.offline._vapvi import vapvi

__all__ = ["pevi", "vapvi"]
