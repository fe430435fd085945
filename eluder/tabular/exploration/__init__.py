"""Online exploration in tabular problems."""

from eluder.tabular.exploration._ucbvi import ucbvi

__all__ = ["ucbvi"]
