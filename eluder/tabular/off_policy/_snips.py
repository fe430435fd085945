r"""Self-normalised inverse propensity scores (Swaminathan & Joachims, 2015).

Pseudo-code, in our names::

    w_i <- pi(a_i | x_i) / p_i for each row
    return sum_i w_i r_i / sum_i w_i

The sum of the weights, n in the mean, is a control variate: it takes away the part of the error that comes
from rows being over- or under-represented.

Guarantee: consistent; the estimate is a weighted mean of rewards that were seen, so it lies in their range,
and a constant added to all rewards adds itself to the estimate. Its bias is of order 1/n.

Deviations from the paper: none in the estimate. The standard error is that of the delta method for a ratio.
"""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core.guarantees import Guarantee, Paper
from eluder.core.logged import LoggedData
from eluder.core.results import EstimateResult
from eluder.core.types import Array
from eluder.tabular.off_policy._rows import estimate_result, importance_weights, target

__all__ = ["snips"]


def snips(data: LoggedData, pi: ArrayLike) -> EstimateResult:
    """Estimate the mean reward of a policy, with weights that are divided by their sum.

    Parameters
    ----------
    data : LoggedData
        The log, n rows.
    pi : array_like, shape (X, A)
        Policy to evaluate: probability of each action in each context.

    Returns
    -------
    EstimateResult
        Value, standard error, scores ``w_i r_i / mean(w)`` and diagnostics.

    Raises
    ------
    ValueError
        If `data` is not LoggedData, `pi` is not a policy, or no row of the log has a positive weight.

    Notes
    -----
    O(n) time and memory.

    References
    ----------
    .. [1] Swaminathan and Joachims. The self-normalized estimator for counterfactual learning.
       NeurIPS 2015.

    Examples
    --------
    >>> from eluder.core.logged import LoggedData
    >>> log = LoggedData([0, 0, 0], [0, 1, 1], [0.0, 1.0, 1.0], [0.5, 0.5, 0.5], [[1, 1]])
    >>> round(snips(log, [[0.25, 0.75]]).value, 12)
    0.857142857143
    """
    table = target(data, pi)
    w = importance_weights(data, table)
    if not w.sum() > 0:
        raise ValueError(f"pi plays none of the {w.size} logged pairs: a ratio of weights is undefined")
    scores = w * data.reward / w.mean()
    return estimate_result(data, table, scores, w, ratio_error(w, data.reward))


GUARANTEES = (
    Guarantee(
        Paper(
            "The self-normalized estimator for counterfactual learning",
            "Swaminathan, Joachims",
            "NeurIPS",
            2015,
        ),
        "off-policy evaluation",
        "consistent, equivariant, within the range of the rewards; bias of order 1/n",
        "known propensities, positive wherever pi is",
    ),
)


# --- the equations ---


def ratio_error(w: Array, r: Array) -> float:
    """Return the standard error of ``v = sum w r / sum w`` by the delta method."""
    n = w.size
    if n == 1:
        return float("nan")
    residual = w * (r - (w @ r) / w.sum()) / w.mean()
    return float(np.sqrt(residual @ residual / (n - 1) / n))
