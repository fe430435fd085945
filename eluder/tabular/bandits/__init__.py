"""Bandits: one state, or none."""

from eluder.tabular.bandits._batched_elimination import batched_elimination
from eluder.tabular.bandits._batched_regression import batched_regression
from eluder.tabular.bandits._bayes_ucb import bayes_ucb
from eluder.tabular.bandits._comb_ucb1 import comb_ucb1
from eluder.tabular.bandits._cts import cts
from eluder.tabular.bandits._d_ts import d_ts
from eluder.tabular.bandits._delayed_exp3 import delayed_exp3
from eluder.tabular.bandits._discounted_ucb import discounted_ucb
from eluder.tabular.bandits._epsilon_greedy import epsilon_greedy
from eluder.tabular.bandits._exp3 import exp3
from eluder.tabular.bandits._exp3_graph import exp3_graph
from eluder.tabular.bandits._exp3_ix import exp3_ix
from eluder.tabular.bandits._exp3_m import exp3_m
from eluder.tabular.bandits._exp3_p import exp3_p
from eluder.tabular.bandits._exp3_plus_plus import exp3_plus_plus
from eluder.tabular.bandits._exp4 import exp4
from eluder.tabular.bandits._explore_then_commit import explore_then_commit
from eluder.tabular.bandits._fair_exp2 import fair_exp2
from eluder.tabular.bandits._fair_ftpl import fair_ftpl
from eluder.tabular.bandits._falcon import falcon
from eluder.tabular.bandits._ftpl import ftpl
from eluder.tabular.bandits._hedge import hedge
from eluder.tabular.bandits._imed import imed
from eluder.tabular.bandits._kl_ucb import kl_ucb
from eluder.tabular.bandits._kl_ucb_plus_plus import kl_ucb_plus_plus
from eluder.tabular.bandits._log_barrier import log_barrier
from eluder.tabular.bandits._lucb import lucb
from eluder.tabular.bandits._moss import moss
from eluder.tabular.bandits._optimistic_hedge import optimistic_hedge
from eluder.tabular.bandits._purely_periodic import purely_periodic
from eluder.tabular.bandits._raw_ucb import raw_ucb
from eluder.tabular.bandits._recovering_ucb import recovering_ucb
from eluder.tabular.bandits._rucb import rucb
from eluder.tabular.bandits._sliding_window_average import sliding_window_average
from eluder.tabular.bandits._sliding_window_ucb import sliding_window_ucb
from eluder.tabular.bandits._square_cb import square_cb
from eluder.tabular.bandits._successive_elimination import successive_elimination
from eluder.tabular.bandits._successive_halving import successive_halving
from eluder.tabular.bandits._thompson import thompson
from eluder.tabular.bandits._top_two import top_two
from eluder.tabular.bandits._track_and_stop import track_and_stop
from eluder.tabular.bandits._tsallis_inf import tsallis_inf
from eluder.tabular.bandits._ucb1 import ucb1
from eluder.tabular.bandits._ucb_v import ucb_v

__all__ = [
    "batched_elimination",
    "batched_regression",
    "bayes_ucb",
    "comb_ucb1",
    "cts",
    "d_ts",
    "delayed_exp3",
    "discounted_ucb",
    "epsilon_greedy",
    "exp3",
    "exp3_graph",
    "exp3_ix",
    "exp3_m",
    "exp3_p",
    "exp3_plus_plus",
    "exp4",
    "explore_then_commit",
    "fair_exp2",
    "fair_ftpl",
    "falcon",
    "ftpl",
    "hedge",
    "imed",
    "kl_ucb",
    "kl_ucb_plus_plus",
    "log_barrier",
    "lucb",
    "moss",
    "optimistic_hedge",
    "purely_periodic",
    "raw_ucb",
    "recovering_ucb",
    "rucb",
    "sliding_window_average",
    "sliding_window_ucb",
    "square_cb",
    "successive_elimination",
    "successive_halving",
    "thompson",
    "top_two",
    "track_and_stop",
    "tsallis_inf",
    "ucb1",
    "ucb_v",
]
