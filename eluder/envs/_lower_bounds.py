"""The problems of lower-bound proofs: one pair among many is a little better than the others."""

import numpy as np

from eluder.core import checks
from eluder.core.problems import EpisodicMDP
from eluder.envs._build import Problem, problem

__all__ = ["lower_bound_average", "lower_bound_episodic"]


def lower_bound_episodic(
    depth: int = 2,
    A: int = 2,
    *,
    H: int,
    eps: float = 0.1,
    wait: int | None = None,
    rng: np.random.Generator,
) -> EpisodicMDP:
    """Return a hard problem of Domingues et al. 2021: one stage, leaf and action is better than the others.

    Parameters
    ----------
    depth : int, default=2
        Levels d of a full tree with A children per node, at least 1: ``L = A**(d - 1)`` leaves.
    A : int, default=2
        Number of actions, at least 2.
    H : int
        Horizon, at least 3 d.
    eps : float, default=0.1
        How much more likely the secret pair leads to the good state, in [0, 1/2].
    wait : int, optional
        Stages W in [1, H - d] at which the tree can be entered; ``H // 3`` by default.
    rng : numpy.random.Generator
        Draws the secret: the stage, the leaf and the action, uniformly.

    Returns
    -------
    EpisodicMDP
        ``S = 3 + (A**d - 1) / (A - 1)`` states: 0 waiting, 1 good, 2 bad, then the tree in level order. At
        the stages 0 to W - 2 action 0 waits; anything else, and anything at stage W - 1, enters the root.
        In the tree action a goes to child a. A leaf leads to the good or the bad state, with 1/2 each, but
        the secret pair at the secret stage with 1/2 + eps and 1/2 - eps. Both are absorbing; the good one
        pays 1 at each of the stages W + d, ..., H - 1. The kernel and the rewards depend on the stage.

    Raises
    ------
    ValueError
        If an argument is out of range or `rng` is not a Generator.

    Notes
    -----
    The optimal value is ``(H - W - d) (1/2 + eps)``; a policy that misses the secret loses
    ``(H - W - d) eps``, as in the regret's identity in the paper. There are W L A secrets, so that learning
    costs ``Omega(sqrt(H^3 S A K))``. Memory O(H S^2 A). The construction is from memory of the paper.

    References
    ----------
    .. [1] Domingues, Menard, Kaufmann and Valko. Episodic reinforcement learning in finite MDPs: minimax
       lower bounds revisited. ALT 2021, section 3. arXiv:2010.03531

    Examples
    --------
    >>> from eluder.core.exact import optimal_value
    >>> mdp = lower_bound_episodic(2, 3, H=9, eps=0.25, rng=np.random.default_rng(0))
    >>> mdp.mu.size, float(optimal_value(mdp)[0, 0])
    (7, 3.0)
    """
    d, A = checks.integer("depth", depth), checks.integer("A", A, low=2)
    H = checks.integer("H", H, low=3 * d)
    eps = checks.number("eps", eps, 0.0, 0.5)
    W = checks.integer("wait", H // 3 if wait is None else wait, low=1, high=H - d)
    rng = checks.generator(rng)
    waiting, good, bad, root = range(4)
    nodes = (A**d - 1) // (A - 1)
    leaves = root + np.arange(nodes - A ** (d - 1), nodes)
    S = root + nodes
    P = np.zeros((H, S, A, S))
    P[:, good, :, good] = 1.0
    P[:, bad, :, bad] = 1.0
    P[:, waiting, :, root] = 1.0
    P[: W - 1, waiting, 0] = np.eye(S)[waiting]
    for node in range(nodes - leaves.size):
        for a in range(A):
            P[:, root + node, a, root + A * node + 1 + a] = 1.0
    P[:, leaves, :, good] = 0.5
    P[:, leaves, :, bad] = 0.5
    secret = (rng.integers(d, W + d), rng.choice(leaves), rng.integers(A))
    P[*secret, good] += eps
    P[*secret, bad] -= eps
    r = np.zeros((H, S, A))
    r[W + d :, good] = 1.0
    return EpisodicMDP(P, r, np.eye(S)[waiting], H)


def lower_bound_average(
    copies: int = 1,
    arms: int = 2,
    *,
    D: float = 20.0,
    eps: float | None = None,
    H: int | None = None,
    gamma: float | None = None,
    rng: np.random.Generator,
) -> Problem:
    """Return a hard problem of Jaksch, Ortner & Auer 2010: one of many arms leaves the poor state sooner.

    Parameters
    ----------
    copies : int, default=1
        Pairs of states k: state 2 i is poor, state 2 i + 1 is rich.
    arms : int, default=2
        Arms A' of a poor state, at least 1; at least 2 with several copies.
    D : float, default=20.0
        Bound on the diameter, steps, more than 4; see Notes.
    eps : float, optional
        How much sooner the secret arm leaves, in [0, 1 - delta]; ``delta / 2`` by default, where
        ``delta = 4 / D``.
    H : int, optional
        Horizon, for an EpisodicMDP.
    gamma : float, optional
        Discount, for a DiscountedMDP; 1.0 for the average reward. Exactly one of `H` and `gamma` is given.
    rng : numpy.random.Generator
        Draws the secret: the copy and the arm, uniformly.

    Returns
    -------
    EpisodicMDP or DiscountedMDP
        ``S = 2 k`` states and A' actions, ``2 A' + 1`` with several copies. In a poor state an arm leads to
        its rich state with probability delta, the secret one with ``delta + eps``, else it stays. A rich
        state pays 1 and leads back with probability delta, whatever the action. With several copies, the
        poor states are a tree with A' children per node: action ``A' + i`` goes to child i, action ``2 A'``
        to the parent; where there is none, it stays. The initial state is 0, the root.

    Raises
    ------
    ValueError
        If an argument is out of range, `rng` is not a Generator, or not exactly one of `H` and `gamma` is
        given.

    Notes
    -----
    The optimal gain is ``(delta + eps) / (2 delta + eps)``; without the secret it is 1/2. The diameter is at
    most ``2 (D / 4 + depth of the tree)``, hence at most D where D is at least 4 times the depth. Learning
    costs ``Omega(sqrt(D S A T))``. The construction is from memory of the paper.

    References
    ----------
    .. [1] Jaksch, Ortner and Auer. Near-optimal regret bounds for reinforcement learning. JMLR 11, 2010,
       Theorem 5.

    Examples
    --------
    >>> from eluder.core.exact import diameter
    >>> round(diameter(lower_bound_average(gamma=1.0, D=20, rng=np.random.default_rng(0))), 12)
    5.0
    """
    k = checks.integer("copies", copies)
    arms = checks.integer("arms", arms, low=1 if k == 1 else 2)
    delta = 4 / checks.number("D", D, 4.0, open_low=True)
    eps = checks.number("eps", delta / 2 if eps is None else eps, 0.0, 1 - delta)
    rng = checks.generator(rng)
    A = arms if k == 1 else 2 * arms + 1
    poor, rich = 2 * np.arange(k), 2 * np.arange(k) + 1
    P = np.zeros((2 * k, A, 2 * k))
    P[rich, :, rich] = 1 - delta
    P[rich, :, poor] = delta
    P[poor, :arms, poor] = 1 - delta
    P[poor, :arms, rich] = delta
    secret = 2 * int(rng.integers(k))
    arm = int(rng.integers(arms))
    P[secret, arm, [secret, secret + 1]] += -eps, eps
    for i in range(k if k > 1 else 0):
        for j in range(arms):
            child = arms * i + 1 + j
            P[2 * i, arms + j, 2 * (child if child < k else i)] = 1.0
        P[2 * i, 2 * arms, 2 * ((i - 1) // arms if i else 0)] = 1.0
    r = np.zeros((2 * k, A))
    r[rich] = 1.0
    return problem(P, r, np.eye(1, 2 * k)[0], H=H, gamma=gamma)
