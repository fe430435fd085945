"""Linear mixture MDPs: random base kernels, the hard instance of the lower bound, long waits, and tables."""

import numpy as np

from eluder.core import checks
from eluder.core.mixture import LinearMixtureMDP, largest_return
from eluder.core.problems import EpisodicMDP

__all__ = [
    "hypercube_mixture_mdp",
    "one_hot_mixture_mdp",
    "random_linear_mixture_mdp",
    "wait_or_take_mixture_mdp",
]

LARGEST_CUBE = 12


def random_linear_mixture_mdp(
    S: int,
    A: int,
    d: int,
    H: int,
    *,
    total: float | None = None,
    concentration: float = 0.3,
    rng: np.random.Generator,
) -> LinearMixtureMDP:
    """Return a random linear mixture MDP: d random kernels, mixed.

    Parameters
    ----------
    S, A, d, H : int
        Numbers of states, actions, base kernels and stages.
    total : float, optional
        If given, in (0, 1]: rewards are scaled so that the largest sum over a trajectory is `total`.
    concentration : float, default=0.3
        Parameter > 0 of the Dirichlet laws of the rows of the base kernels.
    rng : numpy.random.Generator
        Draws the base kernels, the mixture (uniform on the simplex), rewards (uniform in [0, 1]).

    Returns
    -------
    LinearMixtureMDP
        Starts in state 0; one mixture for all stages. The base kernels are divided by ``sqrt(d)`` and the
        mixture multiplied by it, so that ``|psi_V| <= 1`` for V in [0, 1]; ``B = sqrt(d)``.

    Raises
    ------
    ValueError
        If a number is out of range or `rng` is not a Generator.

    Examples
    --------
    >>> random_linear_mixture_mdp(5, 2, 3, 4, rng=np.random.default_rng(0)).phi.shape
    (3, 5, 2, 5)
    """
    S, A = checks.integer("S", S), checks.integer("A", A)
    d, H = checks.integer("d", d), checks.integer("H", H)
    alpha = checks.number("concentration", concentration, 0.0, open_low=True)
    if total is not None:
        total = checks.number("total", total, 0.0, 1.0, open_low=True)
    rng = checks.generator(rng)
    phi = rng.dirichlet(np.full(S, alpha), (d, S, A)) / np.sqrt(d)
    theta = rng.dirichlet(np.ones(d)) * np.sqrt(d)
    mdp = LinearMixtureMDP(phi, theta, rng.random((S, A)), np.arange(S) == 0, H, np.sqrt(d))
    return mdp if total is None else mdp._replace(r=mdp.r * min(1.0, total / largest_return(mdp)))


def hypercube_mixture_mdp(d: int, H: int, gap: float, *, rng: np.random.Generator) -> LinearMixtureMDP:
    """Return the hard linear mixture MDP in which each stage hides a corner of a cube.

    Actions are the corners a of ``{-1, 1}^(d-1)``. From state h of a chain, action a leads at stage h to the
    good state H + 1, which pays 1 in every stage to the end, with probability
    ``1 / H + gap <a, a_h> / (d - 1)``, else to state h + 1; the hidden corner a_h, drawn for each stage, is
    best. This is the instance of the lower bound of Zhou, Gu and Szepesvari (COLT 2021, from memory): no
    learner has less regret than of order ``d H sqrt(K H)`` on all of these with ``gap`` of order
    ``d / sqrt(H K)``.

    Parameters
    ----------
    d : int
        Number of base kernels, from 2 to 12.
    H : int
        Number of stages.
    gap : float
        What the best action adds to ``1 / H`` and the worst takes off, in (0, min(1 / H, 1 - 1 / H)].
    rng : numpy.random.Generator
        Draws the hidden corners.

    Returns
    -------
    LinearMixtureMDP
        ``H + 2`` states, ``2^(d-1)`` actions, a mixture for each stage.

    Raises
    ------
    ValueError
        If a number is out of range or `rng` is not a Generator.

    Examples
    --------
    >>> from eluder.core.mixture import mixture_tables
    >>> P = mixture_tables(hypercube_mixture_mdp(3, 5, 0.1, rng=np.random.default_rng(0))).P
    >>> sorted(set(P[0, 0, :, 6].round(9).tolist()))
    [0.1, 0.2, 0.3]
    """
    d, H = checks.integer("d", d, 2, LARGEST_CUBE), checks.integer("H", H, 2)
    gap = checks.number("gap", gap, 0.0, min(1 / H, 1 - 1 / H), open_low=True)
    m, S = d - 1, H + 2
    hidden = 2.0 * checks.generator(rng).integers(2, size=(H, m)) - 1
    corners = 2.0 * (np.arange(2**m)[:, None] >> np.arange(m) & 1) - 1
    alpha, beta = np.sqrt(1 / (1 + gap)), np.sqrt(gap / (1 + gap) / m)
    phi = np.zeros((d, S, 2**m, S))
    for s in range(H):
        phi[0, s, :, s + 1], phi[0, s, :, H + 1] = alpha * (1 - 1 / H), alpha / H
        phi[1:, s, :, s + 1], phi[1:, s, :, H + 1] = -beta * corners.T, beta * corners.T
    phi[0, H, :, H] = phi[0, H + 1, :, H + 1] = alpha
    theta = np.column_stack([np.full(H, 1 / alpha), gap / m / beta * hidden])
    r = np.zeros((S, 2**m))
    r[H + 1] = 1.0
    return LinearMixtureMDP(phi, theta, r, np.arange(S) == 0, H)


def wait_or_take_mixture_mdp(H: int, *, take: float = 0.3, survive: float = 0.5) -> LinearMixtureMDP:
    """Return the choice between a small reward now and 1 at the end, which may be lost on the way.

    Action 0 in the first state takes the reward `take`, action 1 waits. What is waited for is lost at each
    stage with the same probability, which is not known, and lasts to the end with probability `survive`. So
    the rewards of an episode add up to 1 at most, and the longer the horizon is, the smaller is what there is
    to know about one step: the number of episodes needed to choose well is the same. A bonus for each step
    that follows the horizon grows with it.

    Parameters
    ----------
    H : int
        Number of stages, 3 or more.
    take : float, default=0.3
        Reward of action 0 in the first state, in [0, 1].
    survive : float, default=0.5
        Probability in (0, 1] that what is waited for lasts.

    Returns
    -------
    LinearMixtureMDP
        Three states (start, waiting, over), two base kernels: where one waits, the first stays and the second
        leaves. They are scaled so that ``|psi_V| <= 1`` for V in [0, 1]; ``B = sqrt(2)``.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> from eluder.core.exact import optimal_value
    >>> from eluder.core.mixture import mixture_tables
    >>> float(optimal_value(mixture_tables(wait_or_take_mixture_mdp(16)))[0, 0].round(9))
    0.5
    """
    H = checks.integer("H", H, 3)
    take = checks.number("take", take, 0.0, 1.0)
    survive = checks.number("survive", survive, 0.0, 1.0, open_low=True)
    stay = survive ** (1 / (H - 2))
    phi = np.zeros((2, 3, 2, 3))
    phi[:, 0, 0, 2] = phi[:, 0, 1, 1] = 1.0
    phi[0, 1, :, 1] = phi[1, 1, :, 2] = 1.0
    phi[:, 2, :, 2] = 1.0
    r = np.zeros((H, 3, 2))
    r[0, 0, 0], r[H - 1, 1] = take, 1.0
    theta = np.sqrt(2) * np.array([stay, 1 - stay])
    return LinearMixtureMDP(phi / np.sqrt(2), theta, r, [1.0, 0.0, 0.0], H, np.sqrt(2))


def one_hot_mixture_mdp(mdp: EpisodicMDP) -> LinearMixtureMDP:
    """Return an episodic problem as a linear mixture MDP with ``d = S A S`` one-hot base kernels.

    Parameters
    ----------
    mdp : EpisodicMDP
        The problem.

    Returns
    -------
    LinearMixtureMDP
        The same problem; `theta` is its kernel, written as a vector.

    Raises
    ------
    ValueError
        If `mdp` is not episodic.

    Notes
    -----
    O((S A S)^2) memory.

    Examples
    --------
    >>> from eluder.envs import river_swim
    >>> one_hot_mixture_mdp(river_swim(3, H=4)).theta.shape
    (18,)
    """
    if not isinstance(mdp, EpisodicMDP):
        raise ValueError(f"mdp must be an EpisodicMDP, got {type(mdp).__name__}")
    S, A = mdp.mask.shape
    phi = np.eye(S * A * S).reshape(S * A * S, S, A, S)
    theta = mdp.P.reshape(*mdp.P.shape[:-3], S * A * S)
    return LinearMixtureMDP(phi, theta, mdp.r, mdp.mu, mdp.H, None, mdp.mask, mdp.bernoulli)
