"""Linear MDPs: random simplex features, hard and misspecified ones, and tables as one-hot features."""

import numpy as np

from eluder.core import checks
from eluder.core.linear import LinearMDP, MisspecifiedLinearMDP, episodic
from eluder.core.problems import EpisodicMDP

__all__ = ["hypercube_linear_mdp", "misspecified_linear_mdp", "one_hot_linear_mdp", "random_linear_mdp"]

LARGEST_CUBE = 12


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


def hypercube_linear_mdp(d: int, H: int, gap: float, *, rng: np.random.Generator) -> LinearMDP:
    """Return the hard linear MDP in which each stage hides a corner of a cube.

    Actions are the corners a of ``{-1, 1}^(d-2)``. From state 0 action a of stage h reaches the good state 1,
    which pays 1 in every stage to the end, with probability ``1 / H + gap <a, a_h> / (d - 2)``; the hidden
    corner a_h, drawn for each stage, is best. Otherwise it stays. After the lower bound of Zhou, Gu and
    Szepesvari (COLT 2021), whose chain of states stage-dependent kernels replace: no learner has less
    regret than of order ``d sqrt(H^3 K)`` on all of these with ``gap`` of order ``d / sqrt(H K)``.

    Parameters
    ----------
    d : int
        Number of features, from 3 to 12.
    H : int
        Number of stages.
    gap : float
        What the best action adds to ``1 / H`` and the worst takes off, in (0, min(1 / H, 1 - 1 / H)].
    rng : numpy.random.Generator
        Draws the hidden corners.

    Returns
    -------
    LinearMDP
        Two states, ``2^(d-2)`` actions, ``|phi| = 1``.

    Raises
    ------
    ValueError
        If a number is out of range or `rng` is not a Generator.

    Examples
    --------
    >>> mdp = hypercube_linear_mdp(4, 5, 0.1, rng=np.random.default_rng(0))
    >>> mdp.phi.shape, sorted(set(episodic(mdp).P[0, 0, :, 1].round(9).tolist()))
    ((2, 4, 4), [0.1, 0.2, 0.3])
    """
    d, H = checks.integer("d", d, 3, LARGEST_CUBE), checks.integer("H", H, 2)
    gap = checks.number("gap", gap, 0.0, min(1 / H, 1 - 1 / H), open_low=True)
    m = d - 2
    hidden = 2.0 * checks.generator(rng).integers(2, size=(H, m)) - 1
    corners = 2.0 * (np.arange(2**m)[:, None] >> np.arange(m) & 1) - 1
    alpha, beta = np.sqrt(1 / (1 + gap)), np.sqrt(gap / (1 + gap) / m)
    phi = np.zeros((2, 2**m, d))
    phi[0, :, 0], phi[0, :, 1:-1], phi[1, :, -1] = alpha, beta * corners, 1.0
    psi = np.zeros((H, d, 2))
    psi[:, 0] = (1 - 1 / H) / alpha, 1 / H / alpha
    psi[:, 1:-1, 1] = gap / m / beta * hidden
    psi[:, 1:-1, 0] = -psi[:, 1:-1, 1]
    psi[:, -1, 1] = 1.0
    theta = np.broadcast_to(np.arange(d) == d - 1, (H, d)).astype(float)
    return LinearMDP(phi, psi, theta, [1.0, 0.0])


def misspecified_linear_mdp(
    S: int, A: int, d: int, H: int, zeta: float, *, concentration: float = 0.3, rng: np.random.Generator
) -> MisspecifiedLinearMDP:
    """Return a random linear MDP whose kernels and rewards are off by at most `zeta`.

    Each kernel is mixed with an arbitrary one, of weight `zeta`, and each mean reward is moved by `zeta` up
    or down where it stays in [0, 1]; see `eluder.core.linear.misspecification` for the exact distance.

    Parameters
    ----------
    S, A, d, H : int
        Numbers of states, actions, features and stages.
    zeta : float
        Bound on the misspecification, in [0, 1]: in total variation of kernels and in rewards.
    concentration : float, default=0.3
        Parameter > 0 of the Dirichlet laws of features, factors and the arbitrary kernels.
    rng : numpy.random.Generator
        Draws the linear problem as `random_linear_mdp` does, then what is not linear.

    Returns
    -------
    MisspecifiedLinearMDP
        Starts in state 0.

    Raises
    ------
    ValueError
        If a number is out of range or `rng` is not a Generator.

    Examples
    --------
    >>> misspecified_linear_mdp(5, 2, 3, 4, 0.1, rng=np.random.default_rng(0)).P.shape
    (4, 5, 2, 5)
    """
    zeta = checks.number("zeta", zeta, 0.0, 1.0)
    linear = random_linear_mdp(S, A, d, H, concentration=concentration, rng=rng)
    tables = episodic(linear)
    P = (1 - zeta) * tables.P + zeta * rng.dirichlet(np.full(S, concentration), (H, S, A))
    r = tables.r + zeta * (2.0 * rng.integers(2, size=(H, S, A)) - 1)
    return MisspecifiedLinearMDP(linear.phi, P, np.clip(r, 0.0, 1.0), linear.mu)


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
