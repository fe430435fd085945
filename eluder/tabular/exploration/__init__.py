"""Online exploration in tabular problems."""

from eluder.tabular.exploration._boltzmann import boltzmann_q_learning
from eluder.tabular.exploration._certainty_equivalence import greedy_certainty_equivalence
from eluder.tabular.exploration._epsilon_greedy import epsilon_greedy_q_learning
from eluder.tabular.exploration._euler import euler
from eluder.tabular.exploration._kl_ucrl import kl_ucrl
from eluder.tabular.exploration._oracle import oracle_policy
from eluder.tabular.exploration._psrl import psrl
from eluder.tabular.exploration._random import random_policy
from eluder.tabular.exploration._ucb_q_learning import ucb_q_learning
from eluder.tabular.exploration._ucbvi import ucbvi
from eluder.tabular.exploration._ucrl2 import ucrl2

__all__ = [
    "boltzmann_q_learning",
    "epsilon_greedy_q_learning",
    "greedy_certainty_equivalence",
    "euler",
    "kl_ucrl",
    "oracle_policy",
    "psrl",
    "random_policy",
    "ucb_q_learning",
    "ucbvi",
    "ucrl2",
]
