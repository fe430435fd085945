"""Online exploration in tabular problems."""

from eluder.tabular.exploration._ucbvi import ucbvi
from eluder.tabular.exploration._ucrl2 import ucrl2

__all__ = ["ucbvi", "ucrl2"]
