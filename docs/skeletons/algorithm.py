r"""NAME: what it is, in one line (Author, Author & Author, VENUE YEAR).

Pseudo-code (Algorithm n), in the names of docs/notation.md::

    N <- 0;  Q[h, s, a] <- H - h
    for k = 1, ..., K:
        for h = H-1, ..., 0 and each (s, a):                                        # plan
            Q[h, s, a] <- ...
        for h = 0, ..., H-1:                                                        # act
            play a = argmax Q[h, s, .], observe r, s'
            N(s, a) += 1                                                            # update

with L = ln(...).

Guarantee: with probability 1 - delta, regret O~(...) (Theorem n). Constants confirmed; else say "constant not
confirmed" or "from memory".

Deviations from the paper: none. (Or each of them, with its reason.)
"""

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.problems import EpisodicMDP
from eluder.core.results import OnlineResult
from eluder.core.simulator import Simulator, policy_value, reset, simulator, step
from eluder.core.types import Array, IntArray

__all__ = ["NAME"]


def NAME(
    mdp: EpisodicMDP, K: int, *, delta: float = 0.05, c: float = 1.0, rng: np.random.Generator
) -> OnlineResult:
    """Play K episodes of NAME.

    Parameters
    ----------
    mdp : EpisodicMDP
        The simulator. What the learner knows of it: the horizon and ...; it never reads `P`.
    K : int
        Number of episodes.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies the bonus; 1 is the paper's.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` and ``upper`` of shape (K,); ``Q``, ``pi``, ``N`` by stage.

    Raises
    ------
    ValueError
        If `K` < 1, `delta` is outside (0, 1), `c` is negative, or `rng` is not a Generator.

    Notes
    -----
    O(...) time per episode; O(...) memory.

    References
    ----------
    .. [1] Author, Author and Author. Title. Venue year, Theorem n. arXiv:0000.00000

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.problems import EpisodicMDP
    >>> bandit = EpisodicMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], H=1)
    >>> NAME(bandit, 100, c=0.01, rng=np.random.default_rng(0)).pi
    array([[1]])
    """
    K = checks.integer("K", K)
    delta = checks.number("delta", delta, 0.0, 1.0, open_low=True, open_high=True)
    c = checks.number("c", c, 0.0)
    sim = simulator(mdp)
    H, S, A = sim.r.shape
    return OnlineResult(*_NAME(sim, K, log_term(S, A, K, H, delta), c, checks.generator(rng)))


# Each equation with a constant is a function of its own, so that a test can check it by hand.


def log_term(S: int, A: int, K: int, H: int, delta: float) -> float:
    """Return L = ln(...) (equation n)."""
    raise NotImplementedError


@kernel
def bonus(n: int, H: int, L: float) -> float:
    """Return ... (equation n)."""
    raise NotImplementedError


def bound(S: int, A: int, H: int, K: int, delta: float) -> float:
    """Return the bound of Theorem n."""
    raise NotImplementedError


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Title", authors="Author, Author, Author", venue="VENUE", year=2000, arxiv="0000.00000"
        ),
        setting="episodic regret",
        statement="regret O~(...) with probability 1 - delta (Theorem n)",
        assumptions="...",
        exponent=0.5,
        bound=bound,
    ),
)


@kernel
def _NAME(
    sim: Simulator, K: int, L: float, c: float, rng: np.random.Generator
) -> tuple[Array, Array, Array, IntArray, IntArray]:
    """Run K episodes."""
    H, S, A = sim.r.shape
    N = np.zeros((H, S, A), np.int64)
    Q = np.empty((H, S, A))
    pi = np.zeros((H, S), np.int64)
    V = np.zeros((H + 1, S))
    V_pi = np.zeros((H + 1, S))
    value = np.empty(K)
    upper = np.empty(K)

    for k in range(K):
        # plan
        ...
        value[k] = policy_value(sim, pi, V_pi, H - 1)  # measurement
        upper[k] = np.sum(sim.mu * V[0])

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = pi[h, s]
            s_next, reward, slot = step(sim, h, s, a, rng)

            # update
            N[h, s, a] += 1
            s = s_next
    return value, upper, Q, pi, N
