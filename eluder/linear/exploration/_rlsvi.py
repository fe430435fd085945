r"""RLSVI: randomised least-squares value iteration (Osband, Van Roy & Wen, ICML 2016).

Pseudo-code (algorithm 1), in our names::

    for k = 1, ..., K:
        for h = H-1, ..., 0:                                                        # plan
            Lambda <- lam I + sum of phi phi' over the rounds of stage h
            w <- Lambda^-1 sum of phi (r + max_a Q[h+1](s', a)) over these rounds
            draw xi ~ Normal(0, sigma^2 Lambda^-1)
            Q[h] <- phi (w + xi), and max_a Q[h] cut off at 0 and at H - h
        for h = 0, ..., H-1:                                                        # act, update
            play a = argmax Q[h](s, .), observe r and s'

Guarantee: Bayesian regret O~(sqrt(H^3 S A T)) for tables with a suitable prior and sigma of order H (Osband
et al. 2019); in linear MDPs a version of it that falls back on default values where data are scarce has
regret O~(d^2 H^2 sqrt(T)) with high probability (Zanette, Brandfonbrener, Brunskill, Pirotta & Lazaric,
AISTATS 2020; constants not confirmed).

Deviations from the paper: values are cut off where they are not possible, which the paper does not do and the
version of 2020 does in another way; sums over the rounds are kept as statistics. `c` multiplies sigma = H.
"""

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import dot, kernel
from eluder.core.linear import LinearMDP, MisspecifiedLinearMDP
from eluder.core.linear_simulator import LinearSimulator, linear_simulator, measure, reset, step
from eluder.core.results import OnlineResult
from eluder.core.ridge import checked_radius
from eluder.core.types import Array, IntArray
from eluder.core.value_regression import ValueRegression, add_predictions, add_round, new_regression, solve
from eluder.linear.exploration._greedy import act_greedily
from eluder.linear.exploration._perturbation import perturb

__all__ = ["rlsvi"]


def rlsvi(
    mdp: LinearMDP | MisspecifiedLinearMDP,
    K: int,
    *,
    lam: float = 1.0,
    c: float = 1.0,
    rng: np.random.Generator,
) -> OnlineResult:
    """Play K episodes of randomised least-squares value iteration.

    Parameters
    ----------
    mdp : LinearMDP or MisspecifiedLinearMDP
        The simulator. The learner knows `phi` and the horizon; it sees states and rewards.
    K : int
        Number of episodes.
    lam : float, default=1.0
        Weight > 0 of the ridge.
    c : float, default=1.0
        Multiplies the standard deviation ``sigma = H`` of the noise; smaller is common in practice.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` of shape (K,); ``upper`` is the value that the random Q promises; ``Q``, ``pi``, ``N`` by
        stage.

    Raises
    ------
    ValueError
        If `mdp` is not linear, `K` < 1, `lam` is not positive, `c` is negative or makes a radius above
        1e100, or `rng` is not a Generator.

    Notes
    -----
    O(H (d^3 + d S + S A d)) time per episode, whatever K is, beside the exact evaluation of the policy.

    References
    ----------
    .. [1] Osband, Van Roy and Wen. Generalization and exploration via randomized value functions. ICML 2016.
       arXiv:1402.0635
    .. [2] Zanette, Brandfonbrener, Brunskill, Pirotta and Lazaric. Frequentist regret bounds for randomized
       least-squares value iteration. AISTATS 2020. arXiv:1911.00567

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import random_linear_mdp
    >>> mdp = random_linear_mdp(5, 2, 3, 2, rng=np.random.default_rng(0))
    >>> rlsvi(mdp, 100, c=0.1, rng=np.random.default_rng(0)).value.shape
    (100,)
    """
    sim = linear_simulator(mdp)
    K = checks.integer("K", K)
    lam = checks.number("lam", lam, 0.0, open_low=True)
    c = checks.number("c", c, 0.0)
    H, S, A = sim.r.shape
    fit = new_regression(mdp.phi, H, lam)
    Q, pi, N = np.zeros((H, S, A)), np.zeros((H, S), np.int64), np.zeros((H, S, A), np.int64)
    value, upper = np.empty(K), np.empty(K)
    sigma = checked_radius(c * deviation(H), c=c)
    _rlsvi(value, upper, Q, pi, N, fit, sim, sigma, checks.generator(rng))
    Q[:, ~mdp.mask] = -np.inf
    return OnlineResult(value, upper, Q, pi, N)


def deviation(H: int) -> float:
    """Return the standard deviation ``sigma = H`` of the noise, in units of the width."""
    return float(H)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Generalization and exploration via randomized value functions",
            authors="Osband, Van Roy, Wen",
            venue="ICML",
            year=2016,
            arxiv="1402.0635",
        ),
        setting="episodic regret",
        statement="Bayesian regret O~(sqrt(H^3 S A T)) for tables; a version with default values has regret "
        "O~(d^2 H^2 sqrt(T)) in linear MDPs (constants not confirmed)",
        assumptions="linear MDP, |phi| <= 1, rewards in [0, 1]",
        exponent=0.5,
    ),
)


@kernel
def _plan(
    Q: Array,
    V: Array,
    pi: IntArray,
    fit: ValueRegression,
    sim: LinearSimulator,
    sigma: float,
    y: Array,
    w: Array,
    rng: np.random.Generator,
) -> int:
    """Plan in place (`Q`, `V`, `pi`); return the last stage where `pi` changed, or -1."""
    H = Q.shape[0]
    top = -1
    for h in range(H - 1, -1, -1):
        solve(fit, h, V[h + 1], y, w)
        perturb(w, np.linalg.cholesky(fit.inverse[h]), sigma, y, rng)
        Q[h] = 0.0
        add_predictions(fit, w, Q[h])
        if act_greedily(Q[h], sim.mask, V[h], pi[h]):
            top = max(top, h)
        V[h] = np.minimum(np.maximum(V[h], 0.0), H - h)
    return top


@kernel
def _rlsvi(
    value: Array,
    upper: Array,
    Q: Array,
    pi: IntArray,
    N: IntArray,
    fit: ValueRegression,
    sim: LinearSimulator,
    sigma: float,
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (all but `sim`)."""
    H, S = pi.shape
    d = fit.b.shape[1]
    V, V_pi, y, w, u = np.zeros((H + 1, S)), np.zeros((H + 1, S)), np.zeros(d), np.zeros(d), np.zeros(d)
    for k in range(value.size):
        # plan
        top = _plan(Q, V, pi, fit, sim, sigma, y, w, rng)
        measure(value, k, sim, pi, V_pi, top)
        upper[k] = dot(sim.mu, V[0])

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = pi[h, s]
            s_next, reward = step(sim, h, s, a, rng)

            # update
            add_round(fit, h, s, a, reward, s_next, u)
            N[h, s, a] += 1
            s = s_next
