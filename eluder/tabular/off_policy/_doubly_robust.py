r"""Doubly robust off-policy evaluation (Dudik, Langford & Li, 2011).

Pseudo-code, in our names::

    for each row (x, a, r, p):
        w <- pi(a | x) / p
        score <- sum_a' pi(a' | x) q(x, a') + w (r - q(x, a))                     # model, and its correction
    return the mean of the scores

Guarantee: unbiased if the propensities are right, whatever the model; unbiased if the model is right,
whatever the propensities (both for a model that was not fitted to these rows). The variance is that of IPS
with rewards replaced by the model's residuals, plus the model's own variation over contexts.

Deviations from the paper: none. The model is the caller's: `table_model` of the other rows is one.
"""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.contextual import ContextualBandit
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.logged import LoggedData
from eluder.core.results import EstimateResult
from eluder.core.types import Array
from eluder.tabular.off_policy._rows import (
    estimate_result,
    importance_weights,
    instance,
    model_table,
    reward_variance,
    target,
)

__all__ = ["doubly_robust"]


def doubly_robust(data: LoggedData, pi: ArrayLike, model: ArrayLike) -> EstimateResult:
    """Estimate the mean reward of a policy by a model that the log corrects.

    Parameters
    ----------
    data : LoggedData
        The log, n rows.
    pi : array_like, shape (X, A)
        Policy to evaluate: probability of each action in each context.
    model : array_like, shape (X, A)
        Predicted mean rewards, from other rows than these. Zeros give IPS; `pi` times it alone is the direct
        method.

    Returns
    -------
    EstimateResult
        Value, standard error, scores and diagnostics.

    Raises
    ------
    ValueError
        If `data` is not LoggedData, `pi` is not a policy or `model` has a wrong shape or entry.

    Notes
    -----
    O(n + X A) time and memory.

    References
    ----------
    .. [1] Dudik, Langford and Li. Doubly robust policy evaluation and learning. ICML 2011. arXiv:1103.4601

    Examples
    --------
    >>> from eluder.core.logged import LoggedData
    >>> log = LoggedData([0, 0], [0, 1], [0.0, 1.0], [0.5, 0.5], [[1, 1]])
    >>> doubly_robust(log, [[0.25, 0.75]], [[0.0, 0.5]]).value
    0.75
    """
    table = target(data, pi)
    q = model_table(data, model)
    w = importance_weights(data, table)
    return estimate_result(data, table, doubly_robust_scores(data, table, q, w), w)


GUARANTEES = (
    Guarantee(
        Paper(
            "Doubly robust policy evaluation and learning",
            "Dudik, Langford, Li",
            "ICML",
            2011,
            "1103.4601",
        ),
        "off-policy evaluation",
        "unbiased if the propensities or the model are right",
        "propensities positive wherever pi is; a model that these rows did not fit",
    ),
)


# --- the equations ---


def direct_method(pi: Array, q: Array) -> Array:
    """Return the model's value of the policy in each context: ``sum_a pi(a|x) q(x, a)``."""
    values: Array = (pi * q).sum(axis=1)
    return values


def doubly_robust_scores(data: LoggedData, pi: Array, q: Array, w: Array) -> Array:
    """Return ``sum_a pi(a|x_i) q(x_i, a) + w_i (r_i - q(x_i, a_i))`` for each row."""
    scores: Array = direct_method(pi, q)[data.context] + w * (data.reward - q[data.context, data.action])
    return scores


def doubly_robust_variance(
    bandit: ContextualBandit, logging: ArrayLike, pi: ArrayLike, model: ArrayLike, n: int
) -> float:
    """Return the exact variance on n rows with the right propensities.

    Given the context, the mean of a score is the policy's value there, so the variance over n is
    ``Var_x[v(x)] + E_x[sum_a b w^2 (sigma^2 + (f - q)^2) - (sum_a pi (f - q))^2]``.
    """
    b, pi, w, _ = instance(bandit, logging, pi)
    q = np.where(bandit.mask, checks.finite("model", model, bandit.mask.shape), 0.0)
    gap = bandit.means - q
    v = (pi * bandit.means).sum(axis=1)
    between = bandit.mu @ v**2 - (bandit.mu @ v) ** 2
    inside = (b * w**2 * (reward_variance(bandit) + gap**2)).sum(axis=1) - (pi * gap).sum(axis=1) ** 2
    return float((between + bandit.mu @ inside) / n)
