"""The deterministic map behind `batched_regression`: every count is replaced by its expectation.

The policy p_k of batch k decides the log, ``n(x, a) = batch mu(x) p(x, a)`` in the mean with rewards
``n(x, a) f*(x, a)``, the log decides the next regression, and that the next policy. Runs follow the map where
batches are long enough for the regression to see little noise. An orbit that does not settle is then the
oscillation effect: with a class of regressions that does not hold f* it can be the same for any length of the
batches, so that no amount of data averages it away. (A table with a short memory is another case: pairs that
are played a few times in a batch are far from their expectation, and runs lose more than the map says.)
"""

import numpy as np

from eluder.core import checks
from eluder.core.contextual import ContextualBandit, refuse_other_problems, value_of
from eluder.core.types import Array
from eluder.tabular.bandits._batched_regression import batch_policy, batch_rates
from eluder.tabular.bandits._regression import fit, kind_of

__all__ = ["period", "population_orbit"]


def population_orbit(
    bandit: ContextualBandit,
    batches: int,
    *,
    batch: int = 5000,
    delay: int = 1,
    memory: int | None = None,
    oracle: str = "table",
    explore: str = "inverse_gap",
    gamma: float | None = None,
    epsilon: float = 0.1,
    delta: float = 0.05,
) -> tuple[Array, Array]:
    """Return the value (K,) and the policy (K, X, A) of each batch; arguments as in `batched_regression`."""
    refuse_other_problems(bandit)
    batches = checks.integer("batches", batches)
    kind = kind_of(oracle, bandit)
    memory = batches if memory is None else checks.integer("memory", memory)
    rates = batch_rates(kind, bandit, batches, batch, delay, memory, explore, gamma, epsilon, delta)
    X, A = bandit.mask.shape
    p, f = np.zeros((batches, X, A)), np.zeros((X, A))
    for k in range(batches):
        n = batch * bandit.mu[:, None] * p[max(k - delay - memory, 0) : max(k - delay, 0)].sum(axis=0)
        fit(kind, bandit, n, n * bandit.means, f)
        batch_policy(f, bandit.mask, rates[k], k > delay, p[k])
    return np.array([value_of(bandit, policy) for policy in p]), p


def period(policies: Array, most: int = 12, tol: float = 1e-6) -> int:
    """Return the least d <= `most` at which the last `most` policies repeat those d batches before, or 0."""
    last = policies[-most:]
    for d in range(1, min(most, len(policies) - most) + 1):
        if np.abs(last - policies[-most - d : -d]).max() <= tol:
            return d
    return 0
