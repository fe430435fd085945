"""A lower bound for stores behind a warehouse that keeps nothing: Federgruen and Zipkin 1984.

n stores with jointly normal demand (not clipped) and backlogging; all that reaches the warehouse is shipped
to the stores at once. Let shipments be negative too, so that the warehouse takes from one store what it gives
to another: then only the total position counts. With the same h and p at all stores it is best shared so that
all run short with the same probability, which costs as much as one store of deviation sum_i s_i; the total
itself varies with the demand of the W = `warehouse_lead_time` periods between order and sharing::

    v  = (L + 1) (sum_i s_i)^2 + W 1' Sigma 1                                      # variance that costs
    LB = (h + p) phi(z) sqrt(v) / n,    z = Phi^-1(p / (p + h))                    # per store and period

Certified: the bound holds for every policy; the tests compare it with simulated policies.

Deviations from the paper: the special case of equal costs and lead times, by its closed form.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from eluder.core import checks
from eluder.core.types import Array
from eluder.envs.inventory._demand import MultivariateNormal
from eluder.envs.inventory._newsvendor import critical_ratio, density

__all__ = ["transshipment_bound"]


def transshipment_bound(
    mean: ArrayLike,
    sd: ArrayLike,
    correlation: float | ArrayLike,
    *,
    lead_time: int,
    warehouse_lead_time: int,
    penalty: float,
    holding: float = 1.0,
) -> float:
    """Return a lower bound on the cost of stores behind a warehouse that keeps no stock.

    Parameters
    ----------
    mean, sd : array_like, shape (n,)
        Of the normal demand of each store, units per period; the bound does not depend on `mean`.
    correlation : float or array_like, shape (n, n)
        Of each pair of stores, or the whole matrix.
    lead_time : int
        Periods from the warehouse to each store, 0 or more.
    warehouse_lead_time : int
        Periods from the supplier to the warehouse, 0 or more.
    penalty : float
        Cost per unit backlogged at the end of a period, positive, the same at all stores.
    holding : float, default=1.0
        Cost per unit on hand at the end of a period, positive, the same at all stores.

    Returns
    -------
    float
        Average cost per store and period that no policy undercuts.

    Raises
    ------
    ValueError
        If an argument is out of range, or `correlation` is no correlation matrix.

    Notes
    -----
    O(n^2) time, with a matrix O(n^3) to check it. Nothing in transit is charged.

    References
    ----------
    .. [1] Federgruen and Zipkin. Approximations of dynamic, multilocation production and inventory problems.
       Management Science 30, 1984.

    Examples
    --------
    >>> round(transshipment_bound([5, 5], [1, 2], 0.5, lead_time=2, warehouse_lead_time=3, penalty=9), 4)
    6.0794
    """
    m = checks.finite("mean", mean, (None,))
    n = len(m)
    s = checks.finite("sd", sd, (n,), low=np.finfo(float).tiny)
    L = checks.integer("lead_time", lead_time, 0)
    W = checks.integer("warehouse_lead_time", warehouse_lead_time, 0)
    p = checks.number("penalty", penalty, 0.0, open_low=True)
    h = checks.number("holding", holding, 0.0, open_low=True)
    z = float(special.ndtri(critical_ratio(h, p)))
    return (h + p) * density(z) * float(np.sqrt(costly_variance(s, _covariance(m, s, correlation), L, W))) / n


def costly_variance(sd: Array, covariance: Array, lead_time: int, warehouse_lead_time: int) -> float:
    """``(L + 1) (sum_i s_i)^2 + W 1' Sigma 1``."""
    return float((lead_time + 1) * sd.sum() ** 2 + warehouse_lead_time * covariance.sum())


def _covariance(m: Array, s: Array, correlation: float | ArrayLike) -> Array:
    """Covariance of all stores; refuse a matrix that is none of correlations."""
    if np.ndim(correlation) == 0:
        return MultivariateNormal(m, s, float(np.asarray(correlation))).covariance
    R = checks.finite("correlation", correlation, (len(s), len(s)), low=-1.0, high=1.0)
    for bad, what in ((R != R.T, "is not symmetric"), (np.diag(~np.isclose(np.diag(R), 1)), "must be 1")):
        if bad.any():
            raise ValueError(f"{checks.entry('correlation', checks.first(bad))} {what}")
    least = float(np.linalg.eigvalsh(R)[0])
    if least < -1e-9:
        raise ValueError(f"correlation has the negative eigenvalue {least:g}")
    covariance: Array = R * np.outer(s, s)
    return covariance
