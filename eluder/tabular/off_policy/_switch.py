r"""SWITCH: weights where they are small, a model where they are large (Wang, Agarwal & Dudik, 2017).

Pseudo-code, in our names::

    w(x, a) <- pi(a | x) / b(a | x)
    for each row (x, a, r):
        score <- w r 1(w <= threshold)                                            # the log
               + sum_a' pi(a' | x) q(x, a') 1(w(x, a') > threshold)               # the model
    return the mean of the scores

With ``correct=True`` the first term is the doubly robust one, ``sum_a' pi q 1(w <= threshold) + w (r - q)
1(w <= threshold)`` (SWITCH-DR): the model then also serves where the log decides, and is corrected there.

Guarantee: bias ``E_pi[(q - f) 1(w > threshold)]``, in both forms; a threshold of 0 is the direct method, an
infinite one IPS (or the doubly robust estimate).

Deviations from the paper: the default threshold minimises the estimated variance plus the square of the bound
``R E_pi[1(w > threshold)]`` on the bias, R being `reward_bound`, among the weights of the log's contexts; the
rule is from memory.
"""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.contextual import ContextualBandit, stochastic_policy
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.logged import LoggedData
from eluder.core.results import EstimateResult
from eluder.core.types import Array
from eluder.tabular.off_policy._rows import estimate_result, importance_weights, instance, model_table, target

__all__ = ["switch"]

TRIED = 64  # thresholds that the default tries at most


def switch(
    data: LoggedData,
    pi: ArrayLike,
    model: ArrayLike,
    logging: ArrayLike,
    *,
    threshold: float | None = None,
    correct: bool = False,
    reward_bound: float = 1.0,
) -> EstimateResult:
    """Estimate the mean reward of a policy by the log where it knows, by a model elsewhere.

    Parameters
    ----------
    data : LoggedData
        The log, n rows.
    pi : array_like, shape (X, A)
        Policy to evaluate: probability of each action in each context.
    model : array_like, shape (X, A)
        Predicted mean rewards, from other rows than these.
    logging : array_like, shape (X, A)
        The policy that logged. The propensities of the rows must agree with it.
    threshold : float, optional
        Largest weight that is trusted, >= 0; by default the one that balances variance and bias.
    correct : bool, default=False
        Whether the model also serves, corrected, below the threshold (SWITCH-DR).
    reward_bound : float, default=1.0
        Bound on the mean rewards, > 0; used by the default threshold only.

    Returns
    -------
    EstimateResult
        Value, standard error (without the bias), scores and diagnostics; ``weights`` are 0 above the
        threshold.

    Raises
    ------
    ValueError
        If an argument is wrong, or a row's propensity is not that of `logging`.

    Notes
    -----
    O(n + X A) time for a given threshold; the default tries at most 64.

    References
    ----------
    .. [1] Wang, Agarwal and Dudik. Optimal and adaptive off-policy evaluation in contextual bandits.
       ICML 2017. arXiv:1612.01205

    Examples
    --------
    >>> from eluder.core.logged import LoggedData
    >>> log = LoggedData([0, 0], [0, 1], [0.0, 1.0], [0.9, 0.1], [[1, 1]])
    >>> switch(log, [[0.1, 0.9]], [[0.0, 0.7]], [[0.9, 0.1]], threshold=2.0).value
    0.63
    """
    table = target(data, pi)
    q = model_table(data, model)
    w = all_weights(table, _agreeing(data, stochastic_policy("logging", logging, data.mask)))
    bound = checks.number("reward_bound", reward_bound, 0.0, open_low=True)
    if threshold is None:
        threshold = balanced_threshold(data, table, q, w, correct, bound)
    elif threshold != np.inf:
        threshold = checks.number("threshold", threshold, 0.0)
    used = importance_weights(data, table)
    used[w[data.context, data.action] > threshold] = 0.0
    return estimate_result(data, table, switch_scores(data, table, q, w, threshold, correct), used)


GUARANTEES = (
    Guarantee(
        Paper(
            "Optimal and adaptive off-policy evaluation in contextual bandits",
            "Wang, Agarwal, Dudik",
            "ICML",
            2017,
            "1612.01205",
        ),
        "off-policy evaluation",
        "bias E_pi[(q - f) 1(w > threshold)]; weights at most the threshold",
        "known logging policy; a model that these rows did not fit",
    ),
)


def _agreeing(data: LoggedData, logging: Array) -> Array:
    """Refuse propensities that are not those of the logging policy."""
    p = logging[data.context, data.action]
    if (bad := np.abs(p - data.propensity) > 1e-6).any():
        (i,) = checks.first(bad)
        raise ValueError(f"propensity[{i}] is {data.propensity[i]:g}, the logging policy says {p[i]:g}")
    return logging


# --- the equations ---


def all_weights(pi: Array, logging: Array) -> Array:
    """Return ``w(x, a) = pi(a|x) / b(a|x)``: 0 where the target never goes, inf where only it does."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(pi > 0, pi / logging, 0.0)


def switch_scores(data: LoggedData, pi: Array, q: Array, w: Array, threshold: float, correct: bool) -> Array:
    """Return the score of each row; see the module's docstring."""
    x, a = data.context, data.action
    kept = w[x, a] <= threshold
    weight = np.where(kept, pi[x, a] / data.propensity, 0.0)
    if correct:
        scores: Array = (pi * q).sum(axis=1)[x] + weight * (data.reward - q[x, a])
    else:
        scores = (pi * q * (w > threshold)).sum(axis=1)[x] + weight * data.reward
    return scores


def balanced_threshold(
    data: LoggedData, pi: Array, q: Array, w: Array, correct: bool, reward_bound: float
) -> float:
    """Return the threshold of least ``variance + bias_bound^2``, both estimated from the log."""
    often = np.bincount(data.context, minlength=pi.shape[0]) / data.context.size
    seen = np.unique(w[(often[:, None] * pi > 0) & np.isfinite(w)])
    if seen.size > TRIED:
        seen = seen[np.linspace(0, seen.size - 1, TRIED).round().astype(int)]
    best, least = 0.0, np.inf
    for threshold in (0.0, *seen):
        y = switch_scores(data, pi, q, w, float(threshold), correct)
        bias = reward_bound * float(often @ (pi * (w > threshold)).sum(axis=1))
        if (loss := y.var() / y.size + bias**2) < least:
            best, least = float(threshold), loss
    return best


def switch_bias(
    bandit: ContextualBandit, logging: ArrayLike, pi: ArrayLike, model: ArrayLike, threshold: float
) -> float:
    """Return the exact bias: ``E_pi[(q - f) 1(w > threshold)]``."""
    _, pi, w, _ = instance(bandit, logging, pi)
    q = np.where(bandit.mask, checks.finite("model", model, bandit.mask.shape), 0.0)
    return float(bandit.mu @ (pi * (q - bandit.means) * (w > threshold)).sum(axis=1))
