"""What the estimators share: importance weights of the rows, and the result with its diagnostics."""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import FIXED
from eluder.core.contextual import ContextualBandit, stochastic_policy
from eluder.core.contextual import refuse_other_problems as refuse_other_bandits
from eluder.core.logged import LoggedData, refuse_other_data
from eluder.core.results import EstimateResult
from eluder.core.types import Array, BoolArray

HEAVY = 0.1  # of the rows: fewer effective ones than that are worth a word
OFF = 5.0  # standard errors by which the mean weight may miss 1


def target(data: LoggedData, pi: ArrayLike) -> Array:
    """Check the log and return the target policy as a table of shape (X, A)."""
    refuse_other_data(data)
    return stochastic_policy("pi", pi, data.mask)


def importance_weights(data: LoggedData, pi: Array) -> Array:
    """Return ``w_i = pi(a_i | x_i) / p_i`` of each row."""
    weights: Array = pi[data.context, data.action] / data.propensity
    return weights


def model_table(data: LoggedData, model: ArrayLike) -> Array:
    """Return a model of the mean rewards, checked; entries of actions that are not available count as 0."""
    table = checks.finite("model", model, data.mask.shape)
    return np.where(data.mask, table, 0.0)


def standard_error(scores: Array) -> float:
    """Return the standard error of the mean of independent scores; NaN for a single one."""
    n = scores.size
    return float(scores.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")


def estimate_result(
    data: LoggedData, pi: Array, scores: Array, used: Array, error: float | None = None
) -> EstimateResult:
    """Return the estimate with what tells whether to trust it."""
    raw = importance_weights(data, pi)
    squares = float(used @ used)
    effective = float(used.sum()) ** 2 / squares if squares > 0 else 0.0
    unsupported = missing_support(data, pi)
    return EstimateResult(
        value=float(scores.mean()),
        error=standard_error(scores) if error is None else error,
        scores=scores,
        weights=used,
        mean_weight=float(raw.mean()),
        effective_rows=effective,
        unsupported=unsupported,
        status=_status(raw, effective, unsupported),
    )


def missing_support(data: LoggedData, pi: Array) -> float:
    """Return the target's probability, in the contexts of the log, of pairs that were never logged."""
    logged = np.zeros(pi.shape, bool)
    logged[data.context, data.action] = True
    often = np.bincount(data.context, minlength=pi.shape[0]) / data.context.size
    return float(often @ (pi * ~logged).sum(axis=1))


def _status(raw: Array, effective: float, unsupported: float) -> str:
    words = []
    if unsupported > 0:
        words.append(
            f"{unsupported:.2g} of the policy's probability is on pairs that were never logged: "
            "nothing is known of them but what a model says"
        )
    if effective < HEAVY * raw.size:
        words.append(
            f"the estimate stands on {effective:.1f} of {raw.size} rows: try a model, clipping or a switch"
        )
    off = abs(raw.mean() - 1.0)
    if raw.size > 1 and off > OFF * max(standard_error(raw), 1e-12) and unsupported == 0:
        words.append(f"the weights have mean {raw.mean():.3g} instead of 1: are the propensities right?")
    return "; ".join(words) or "ok"


def instance(
    bandit: ContextualBandit, logging: ArrayLike, pi: ArrayLike
) -> tuple[Array, Array, Array, BoolArray]:
    """Return the two policies of an instance, the weights ``w(x, a)``, and where the target can go."""
    refuse_other_bandits(bandit)
    b, pi = stochastic_policy("logging", logging, bandit.mask), stochastic_policy("pi", pi, bandit.mask)
    if (bad := (pi > 0) & (b == 0)).any():
        x, a = checks.first(bad)
        raise ValueError(f"logging[{x}, {a}] is 0 where pi is {pi[x, a]:g}: no log can tell its value")
    return b, pi, np.divide(pi, b, out=np.zeros_like(pi), where=b > 0), pi > 0


def reward_variance(bandit: ContextualBandit) -> Array:
    """Return the variance of the reward of each pair: ``f (1 - f)``, or 0 without noise."""
    return np.zeros_like(bandit.means) if bandit.law == FIXED else bandit.means * (1.0 - bandit.means)
