"""Linear MDPs: random simplex features, and tables as one-hot features."""

import numpy as np

from eluder.core import checks
from eluder.core.linear import LinearMDP
from eluder.core.problems import EpisodicMDP

__all__ = ["one_hot_linear_mdp", "random_linear_mdp"]


def random_linear_mdp(
    S: int, A: int, d: int, H: int, *, concentration: float = 0.3, rng: np.random.Generator
) -> LinearMDP:
    """Return a random linear MDP: every pair is a mixture of d factor distributions.

    Parameters
    ----------
    S, A, d, H : int
        Numbers of states, actions, features and stages.
    concentration : float, default=0.3
        Parameter > 0 of the Dirichlet laws: the smaller, the nearer features and factors are to corners.
    rng : numpy.random.Generator
        Draws features (in the simplex), factor measures, rewards of the factors (uniform in [0, 1]).

    Returns
    -------
    LinearMDP
        Starts in state 0; ``|phi| <= 1`` and rewards in [0, 1].

    Raises
    ------
    ValueError
        If a number is out of range or `rng` is not a Generator.

    Examples
    --------
    >>> random_linear_mdp(5, 2, 3, 4, rng=np.random.default_rng(0)).psi.shape
    (4, 3, 5)
    """
    S, A = checks.integer("S", S), checks.integer("A", A)
    d, H = checks.integer("d", d), checks.integer("H", H)
    alpha = checks.number("concentration", concentration, 0.0, open_low=True)
    rng = checks.generator(rng)
    phi = rng.dirichlet(np.full(d, alpha), (S, A))
    psi = rng.dirichlet(np.full(S, alpha), (H, d))
    return LinearMDP(phi, psi, rng.random((H, d)), np.arange(S) == 0)


def one_hot_linear_mdp(mdp: EpisodicMDP) -> LinearMDP:
    """Return an episodic problem as a linear MDP with ``d = S A`` one-hot features.

    Parameters
    ----------
    mdp : EpisodicMDP
        The problem.

    Returns
    -------
    LinearMDP
        The same problem: linear algorithms on it are tabular algorithms.

    Raises
    ------
    ValueError
        If `mdp` is not episodic.

    Examples
    --------
    >>> from eluder.envs import river_swim
    >>> one_hot_linear_mdp(river_swim(3, H=4)).phi.shape
    (3, 2, 6)
    """
    if not isinstance(mdp, EpisodicMDP):
        raise ValueError(f"mdp must be an EpisodicMDP, got {type(mdp).__name__}")
    S, A = mdp.mask.shape
    phi = np.eye(S * A).reshape(S, A, S * A)
    psi = np.broadcast_to(mdp.P, (mdp.H, S, A, S)).reshape(mdp.H, S * A, S)
    theta = np.broadcast_to(mdp.r, (mdp.H, S, A)).reshape(mdp.H, S * A)
    return LinearMDP(phi, psi, theta, mdp.mu, mdp.mask, mdp.bernoulli)
