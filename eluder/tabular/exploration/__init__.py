"""Online exploration in tabular problems."""

from eluder.tabular.exploration._kl_ucrl import kl_ucrl
from eluder.tabular.exploration._psrl import psrl
from eluder.tabular.exploration._ucb_q_learning import ucb_q_learning
from eluder.tabular.exploration._ucbvi import ucbvi
from eluder.tabular.exploration._ucrl2 import ucrl2

__all__ = ["kl_ucrl", "psrl", "ucb_q_learning", "ucbvi", "ucrl2"]
