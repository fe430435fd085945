"""Random problems in which every policy is ergodic."""

import numpy as np

from eluder.core import checks
from eluder.envs._build import Problem, problem

__all__ = ["random_ergodic"]


def random_ergodic(
    S: int,
    A: int,
    *,
    concentration: float = 1.0,
    H: int | None = None,
    gamma: float | None = None,
    rng: np.random.Generator,
) -> Problem:
    """Return a random problem in which each pair can lead to every state.

    Parameters
    ----------
    S : int
        Number of states; the initial state is uniform.
    A : int
        Number of actions.
    concentration : float, default=1.0
        Rows of P are Dirichlet with this parameter, > 0: small for nearly deterministic moves, large for
        nearly uniform ones.
    H : int, optional
        Horizon, for an EpisodicMDP.
    gamma : float, optional
        Discount, for a DiscountedMDP; 1.0 for the average reward. Exactly one of `H` and `gamma` is given.
    rng : numpy.random.Generator
        Draws the instance.

    Returns
    -------
    EpisodicMDP or DiscountedMDP
        Mean rewards are uniform in [0, 1]. One part in a thousand of each row is uniform, so that no
        probability is less than ``.001 / S``.

    Raises
    ------
    ValueError
        If an argument is out of range, `rng` is not a Generator, or not exactly one of `H` and `gamma` is
        given.

    Notes
    -----
    Every policy has one class of states, no transient state and no period, so that its gain is one number.

    Examples
    --------
    >>> bool((random_ergodic(4, 2, gamma=1.0, rng=np.random.default_rng(0)).P > 0.0002).all())
    True
    """
    S, A = checks.integer("S", S), checks.integer("A", A)
    concentration = checks.number("concentration", concentration, 0.0, open_low=True)
    rng = checks.generator(rng)
    P = 0.999 * rng.dirichlet(np.full(S, concentration), (S, A)) + 0.001 / S
    return problem(P, rng.random((S, A)), np.full(S, 1 / S), H=H, gamma=gamma)
