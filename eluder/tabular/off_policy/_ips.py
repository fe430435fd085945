r"""Inverse propensity scores (Horvitz & Thompson, 1952; importance sampling in Precup, Sutton & Singh, 2000).

Pseudo-code, in our names::

    for each row (x, a, r, p):
        w <- pi(a | x) / p                                                        # importance weight
        score <- w r
    return the mean of the scores

Guarantee: unbiased if every pair that `pi` plays was logged with a positive, known probability; the variance
is that of ``w r`` over n, and grows with the second moment of the weights.

Deviations from the paper: none.
"""

from numpy.typing import ArrayLike

from eluder.core.contextual import ContextualBandit
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.logged import LoggedData
from eluder.core.results import EstimateResult
from eluder.core.types import Array
from eluder.tabular.off_policy._rows import (
    estimate_result,
    importance_weights,
    instance,
    reward_variance,
    target,
)

__all__ = ["ips"]


def ips(data: LoggedData, pi: ArrayLike) -> EstimateResult:
    """Estimate the mean reward of a policy from the rounds of another one.

    Parameters
    ----------
    data : LoggedData
        The log, n rows.
    pi : array_like, shape (X, A)
        Policy to evaluate: probability of each action in each context.

    Returns
    -------
    EstimateResult
        Value, standard error, scores and diagnostics.

    Raises
    ------
    ValueError
        If `data` is not LoggedData or `pi` is not a policy; the message names the first bad entry.

    Notes
    -----
    O(n) time and memory.

    References
    ----------
    .. [1] Horvitz and Thompson. A generalization of sampling without replacement from a finite universe.
       Journal of the American Statistical Association, 1952.
    .. [2] Precup, Sutton and Singh. Eligibility traces for off-policy policy evaluation. ICML 2000.

    Examples
    --------
    >>> from eluder.core.logged import LoggedData
    >>> log = LoggedData([0, 0, 0], [0, 1, 1], [0.0, 1.0, 1.0], [0.5, 0.5, 0.5], [[1, 1]])
    >>> round(ips(log, [[0.25, 0.75]]).value, 12)
    1.0
    """
    table = target(data, pi)
    w = importance_weights(data, table)
    return estimate_result(data, table, w * data.reward, w)


GUARANTEES = (
    Guarantee(
        Paper(
            "A generalization of sampling without replacement from a finite universe",
            "Horvitz, Thompson",
            "Journal of the American Statistical Association",
            1952,
        ),
        "off-policy evaluation",
        "unbiased; variance that of w r over n",
        "known propensities, positive wherever pi is",
    ),
)


# --- exact moments ---


def ips_variance(bandit: ContextualBandit, logging: ArrayLike, pi: ArrayLike, n: int) -> float:
    """Return the exact variance on n rows: ``(E[w^2 (sigma^2 + f^2)] - v^2) / n``, the mean over the log."""
    b, pi, w, _ = instance(bandit, logging, pi)
    f: Array = bandit.means
    second = bandit.mu @ (b * w**2 * (reward_variance(bandit) + f**2)).sum(axis=1)
    value = bandit.mu @ (pi * f).sum(axis=1)
    return float((second - value**2) / n)
