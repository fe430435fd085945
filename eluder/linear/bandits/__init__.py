"""Linear bandits: arms with features."""

from eluder.linear.bandits._dynlin_ucb import dynlin_ucb
from eluder.linear.bandits._gfucb import gfucb
from eluder.linear.bandits._glm_ucb import glm_ucb
from eluder.linear.bandits._lin_ts import lin_ts
from eluder.linear.bandits._lin_ucb import lin_ucb
from eluder.linear.bandits._misspecified_elimination import misspecified_elimination
from eluder.linear.bandits._phased_elimination import phased_elimination
from eluder.linear.bandits._rep_exp import rep_exp
from eluder.linear.bandits._sparse_elimination import sparse_elimination
from eluder.linear.bandits._weighted_oful import weighted_oful

__all__ = [
    "dynlin_ucb",
    "gfucb",
    "glm_ucb",
    "lin_ts",
    "lin_ucb",
    "misspecified_elimination",
    "phased_elimination",
    "rep_exp",
    "sparse_elimination",
    "weighted_oful",
]
