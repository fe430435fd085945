"""Nature's answer in a robust linear MDP: the factors, and the problem, that hurt a policy most."""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.linear import LinearMDP
from eluder.core.robust_linear import (
    RobustLinearMDP,
    nominal,
    refuse_not_robust,
    robust_model,
    robust_values,
)
from eluder.core.robust_model import factor_values
from eluder.core.types import Array

__all__ = ["worst_factors", "worst_model"]


def worst_factors(mdp: RobustLinearMDP, V: ArrayLike) -> Array:
    """Return nature's best answer to values.

    Parameters
    ----------
    mdp : RobustLinearMDP
        The problem.
    V : array_like, shape (H + 1, S)
        Values after each stage, such as those of a policy.

    Returns
    -------
    ndarray, shape (H, d, S)
        The worst ``q_h(i)`` against ``V[h+1]``.

    Raises
    ------
    ValueError
        If `mdp` is not robust or `V` has another shape.

    Examples
    --------
    >>> from eluder.core.robust_linear import robust
    >>> linear = LinearMDP([[[1.0]], [[1.0]]], [[[0.5, 0.5]]], [[0.0]], [1.0, 0.0])
    >>> worst_factors(robust(linear, 0.25), [[0, 0], [0, 1]])
    array([[[0.75, 0.25]]])
    """
    refuse_not_robust(mdp)
    H, d, S = mdp.psi.shape
    V = checks.finite("V", V, (H + 1, S))
    q, nu, model = np.zeros((H, d, S)), np.zeros(d), robust_model(mdp)
    for h in range(H):
        factor_values(model, h, V[h + 1], nu, q[h])
    return q


def worst_model(mdp: RobustLinearMDP, pi: ArrayLike) -> LinearMDP:
    """Return the linear MDP that nature makes against a policy.

    Parameters
    ----------
    mdp : RobustLinearMDP
        The problem.
    pi : array_like, shape (H, S) of int or (H, S, A) of float
        A policy.

    Returns
    -------
    LinearMDP
        With the worst factors: with balls the policy's value there is its robust value.

    Raises
    ------
    ValueError
        If `mdp` is not robust or `pi` is not a policy.

    Examples
    --------
    >>> from eluder.core.robust_linear import robust
    >>> linear = LinearMDP([[[1.0]], [[1.0]]], [[[0.5, 0.5]]], [[0.0]], [1.0, 0.0])
    >>> worst_model(robust(linear, 0.25), [[0, 0]]).psi
    array([[[0.5, 0.5]]])
    """
    return nominal(mdp)._replace(psi=worst_factors(mdp, robust_values(mdp, pi)))
