r"""Truncated importance sampling (Ionides, 2008; clipping in Bottou et al., 2013).

Pseudo-code, in our names::

    for each row (x, a, r, p):
        w <- min(cap, pi(a | x) / p)                                              # clip
        score <- w r
    return the mean of the scores

Guarantee: bias ``-E_pi[(1 - cap / w)_+ r]``, which for rewards >= 0 is at most 0; the weights are at most
`cap`. With the default, ``cap = sqrt(n)``, the estimate is consistent (Ionides, 2008).

Deviations from the paper: none. Bottou et al. set weights above the cap to 0 instead of to the cap.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.contextual import ContextualBandit
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.logged import LoggedData
from eluder.core.results import EstimateResult
from eluder.tabular.off_policy._rows import (
    estimate_result,
    importance_weights,
    instance,
    reward_variance,
    target,
)

__all__ = ["clipped_ips"]


def clipped_ips(data: LoggedData, pi: ArrayLike, *, cap: float | None = None) -> EstimateResult:
    """Estimate the mean reward of a policy with importance weights of at most `cap`.

    Parameters
    ----------
    data : LoggedData
        The log, n rows.
    pi : array_like, shape (X, A)
        Policy to evaluate: probability of each action in each context.
    cap : float, optional
        Largest weight, > 0; by default ``sqrt(n)``.

    Returns
    -------
    EstimateResult
        Value, standard error (of the clipped scores, without the bias), scores and diagnostics.

    Raises
    ------
    ValueError
        If `data` is not LoggedData, `pi` is not a policy or `cap` is not positive.

    Notes
    -----
    O(n) time and memory.

    References
    ----------
    .. [1] Ionides. Truncated importance sampling. Journal of Computational and Graphical Statistics, 2008.
    .. [2] Bottou et al. Counterfactual reasoning and learning systems: the example of computational
       advertising. JMLR 2013. arXiv:1209.2355

    Examples
    --------
    >>> from eluder.core.logged import LoggedData
    >>> log = LoggedData([0, 0], [0, 1], [0.0, 1.0], [0.9, 0.1], [[1, 1]])
    >>> clipped_ips(log, [[0.1, 0.9]], cap=2.0).value
    1.0
    """
    table = target(data, pi)
    w = importance_weights(data, table)
    cap = default_cap(w.size) if cap is None else checks.number("cap", cap, 0.0, open_low=True)
    used = np.minimum(w, cap)
    return estimate_result(data, table, used * data.reward, used)


GUARANTEES = (
    Guarantee(
        Paper(
            "Truncated importance sampling",
            "Ionides",
            "Journal of Computational and Graphical Statistics",
            2008,
        ),
        "off-policy evaluation",
        "bias -E_pi[(1 - cap/w)_+ r]; consistent with cap = sqrt(n)",
        "known propensities, positive wherever pi is",
    ),
)


# --- the equations ---


def default_cap(n: int) -> float:
    """Return Ionides' truncation for n rows: ``sqrt(n)``."""
    return math.sqrt(n)


def clipped_bias(bandit: ContextualBandit, logging: ArrayLike, pi: ArrayLike, cap: float) -> float:
    """Return the exact bias: ``-sum_x mu(x) sum_a (pi(a|x) - b(a|x) cap)_+ f(x, a)``."""
    b, pi, _, _ = instance(bandit, logging, pi)
    return -float(bandit.mu @ (np.maximum(pi - b * cap, 0.0) * bandit.means).sum(axis=1))


def clipped_variance(
    bandit: ContextualBandit, logging: ArrayLike, pi: ArrayLike, cap: float, n: int
) -> float:
    """Return the exact variance on n rows: that of ``min(w, cap) r`` over n."""
    b, _, w, _ = instance(bandit, logging, pi)
    used, f = np.minimum(w, cap), bandit.means
    second = bandit.mu @ (b * used**2 * (reward_variance(bandit) + f**2)).sum(axis=1)
    first = bandit.mu @ (b * used * f).sum(axis=1)
    return float((second - first**2) / n)
