r"""GFUCB: many bandits learn one representation (Lu, Zhao, Du & Huang, NeurIPS 2022), for finite classes.

Pseudo-code, in our names; M tasks, N candidates phi_n with k features, one head w_i per task::

    for t = 0, ..., T-1:
        loss_n = min_w sum_i [ sum (reward - <phi_n, w_i>)^2 + lam |w_i|^2 ],    attained at w_n
        slack_n = c^2 (2 sigma^2 ln(N / delta) + lam M S^2)
                  + min_m [ loss_m + c^2 sigma^2 sum_i ln det V_mi / det(lam I) ] - loss_n
        observe contexts x_1, ..., x_M
        (n, a_1, ..., a_M) = argmax over n with slack_n >= 0, and over a, of
            sum_i <phi_n(x_i, a_i), w_ni> + sqrt(slack_n) sqrt(sum_i |phi_n(x_i, a_i)|^2 in V_ni^-1)
        play a_i in task i, observe a reward of each                                    # act
        V_mi += phi_m(x_i, a_i) phi_m(x_i, a_i)' for all m and i                        # update

The confidence set is ``F_t = {(n, w): loss_n + sum_i |w_i - w_ni|_V^2 <= loss_n + slack_n}``: all functions
whose regularised loss is at most one threshold. For a fixed n it is an ellipsoid in the M heads together, and
the largest ``sum_i <phi_n(x_i, a_i), w_i>`` over it is the index above (Cauchy and Schwarz, with equality).

Guarantee: with probability at least 1 - delta the truth is in F_t at all times. Proof: for fixed (m, w) the
product ``exp(-(sum (reward - <phi_m, w_i>)^2 - sum noise^2) / (2 sigma^2))`` is a supermartingale from 1; its
mean over ``w_i ~ N(0, sigma^2 / lam I)`` is ``exp(-(loss_m - sum noise^2 + sigma^2 ln det) / (2 sigma^2))``,
with ln det that of the M ridges together. By Ville's inequality for the mean over m, ``sum noise^2 <= loss_m
+ sigma^2 ln det_m + 2 sigma^2 ln(N / delta)`` for all m and t; and the truth has the regularised loss ``sum
noise^2 + lam sum |w_i|^2``. Then, with probability at least 1 - 2 delta, the regret of all tasks is at most
`bound` (derived there): O(sqrt(T N M k (M k + ln N))) up to logarithms. The paper: O(sqrt(T M dim (M k + ln
N(Phi)))) up to logarithms, with dim the eluder dimension of the class (from memory); for N unrelated
candidates it may be of order N k. Tasks apart pay M sqrt(T ...) and no less.

Deviations from the paper: the class is finite, so that least squares and the maximum are exact and there is
no covering number. The paper's set is a ball around the least-squares function in the distance on the data,
with a constant that was not confirmed; here it is a set of small loss, with the constants of the proof above.
The joint choice is the maximum up to `tol` of its own bonus.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import dot, kernel
from eluder.core.multitask_bandits import (
    MultitaskBandit,
    MultitaskLedger,
    MultitaskResult,
    multitask_ledger,
    multitask_result,
    next_contexts,
    play_tasks,
    refuse_other_problems,
)
from eluder.core.types import Array, IntArray
from eluder.linear.bandits._ellipsoid import refuse_overflow
from eluder.linear.bandits._joint_choice import Search, choose_jointly, search

__all__ = ["gfucb"]


def gfucb(
    bandit: MultitaskBandit,
    T: int,
    *,
    lam: float = 1.0,
    S: float = 1.0,
    sigma: float | None = None,
    tol: float = 0.01,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> MultitaskResult:
    """Play T rounds of GFUCB, each of one play in every task.

    Parameters
    ----------
    bandit : MultitaskBandit
        The problem; the learner sees all candidates `phi` and rewards, never `heads` or `truth`.
    T : int
        Number of rounds.
    lam : float, default=1.0
        Weight > 0 of the ridge penalty.
    S : float, default=1.0
        Bound >= 0 on the norm of each head.
    sigma : float, optional
        Sub-Gaussian constant >= 0 of the noise; by default that of the bandit.
    tol : float, default=0.01
        In [0, 1]: how far below the maximum the joint choice may be, as a share of its own bonus.
    delta : float, default=0.05
        Probability that the confidence set ever misses the truth.
    c : float, default=1.0
        Multiplies the radius, as if `sigma` and `S` were c times as large; 1 is that of the proof.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    MultitaskResult
        Regret of all tasks together at log-spaced checkpoints, pulls, and what became of each candidate.

    Raises
    ------
    ValueError
        If `bandit` is not a MultitaskBandit or an argument is outside its range.

    Notes
    -----
    O(N M (A k^2 + A^2)) time per round and a search that is short unless `tol` is 0 and tasks are many: the
    exact joint choice is a hard problem in general. Memory O(N M k^2).

    References
    ----------
    .. [1] Lu, Zhao, Du and Huang. Provable general function class representation learning in multitask
       bandits and MDPs. NeurIPS 2022. arXiv:2205.15701

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import multitask_linear_bandits
    >>> bandit = multitask_linear_bandits(5, 4, sigma=0.1, rng=np.random.default_rng(0))
    >>> result = gfucb(bandit, 500, rng=np.random.default_rng(1))
    >>> int(result.loss.argmin()) == bandit.truth
    True
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    lam = checks.number("lam", lam, 0.0, 1e100, open_low=True)
    S = checks.number("S", S, 0.0, 1e100)
    sigma = checks.number("sigma", bandit.sigma if sigma is None else sigma, 0.0, 1e100)
    tol = checks.number("tol", tol, 0.0, 1.0)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    N, (M, k) = bandit.phi.shape[0], bandit.heads.shape
    L = float(np.sqrt((bandit.phi**2).sum(axis=-1).max()))
    widest = math.sqrt(2 * math.log(N / delta) + M * largest_log_det(k, T, L, lam))
    rad = c * (sigma * widest + math.sqrt(lam * M) * S)
    refuse_overflow(bandit.phi.reshape(-1, k), lam, rad, c=c, sigma=sigma, S=S)
    fits, books = multitask_ridge(N, M, k, lam), multitask_ledger(bandit, T)
    base, scale = c**2 * slack_base(N, M, sigma, lam, S, delta), (c * sigma) ** 2
    W, chosen = search(M, bandit.phi.shape[2]), np.zeros(N, np.int64)
    _gfucb(bandit, T, base, scale, tol, *fits, chosen, W, books, checks.generator(rng))
    return multitask_result(books, chosen, fits[3])


def slack_base(N: int, M: int, sigma: float, lam: float, S: float, delta: float) -> float:
    """Return ``2 sigma^2 ln(N / delta) + lam M S^2``."""
    return 2 * sigma**2 * math.log(N / delta) + lam * M * S**2


def largest_log_det(k: int, T: int, L: float, lam: float) -> float:
    """Return ``k ln(1 + T L^2 / (k lam))``, which bounds ``ln det V / det(lam I)`` of one task."""
    return k * math.log1p(T * L**2 / (k * lam))


def bound(
    M: int,
    k: int,
    N: int,
    T: int,
    delta: float,
    S: float = 1.0,
    sigma: float = 1.0,
    L: float = 1.0,
    lam: float = 1.0,
    tol: float = 0.01,
) -> float:
    """Return a bound on the regret of all tasks that holds with probability at least ``1 - 2 delta``.

    Let f be the function chosen, of candidate n, and f* the truth. Their difference is linear in the 2 k
    features psi = (phi_n, phi*), with heads v = (w, -w*); let ``D^2 = sum_i |v_i|^2`` in ``lam I + sum psi
    psi'``. The losses differ by ``D^2 - 2 lam |w*|^2 - 2 sum noise (f - f*)``, at most ``slack <= B``, and
    the noise term is at most ``2 G D`` (Abbasi-Yadkori et al. 2011, Theorem 1, for all n at once), so that
    ``D <= G + sqrt(G^2 + B + 2 lam M S^2)``. A round loses at most ``(D + tol sqrt(B)) sqrt(sum_i
    |psi_i|^2)``, with norms in the inverse, whose squares sum to at most ``b / ln(1 + b) 2 M k ln(1 + T L^2 /
    (k lam))``, b = 2 L^2 / lam, over the rounds of one candidate; there are N.
    """
    log_det = M * largest_log_det(k, T, L, lam)
    B = slack_base(N, M, sigma, lam, S, delta) + sigma**2 * log_det
    G = sigma * math.sqrt(2 * math.log(N / delta) + 2 * log_det)
    D = G + math.sqrt(G**2 + B + 2 * lam * M * S**2)
    b = 2 * L**2 / lam
    return (D + tol * math.sqrt(B)) * math.sqrt(T * N * b / math.log1p(b) * 2 * log_det)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Provable general function class representation learning in multitask bandits and MDPs",
            authors="Lu, Zhao, Du, Huang",
            venue="NeurIPS",
            year=2022,
            arxiv="2205.15701",
        ),
        setting="linear regret",
        statement="regret of M tasks O(sqrt(T M dim (M k + ln N))) up to logarithms (from memory); the bound "
        "for N candidates is proved here, with probability at least 1 - 2 delta",
        assumptions="one of N representations is right for all tasks, heads |w| <= S, sub-Gaussian noise",
        exponent=0.5,
        bound=bound,
    ),
)


def multitask_ridge(N: int, M: int, k: int, lam: float) -> tuple[Array, Array, Array, Array]:
    """Return ``V^-1``, the heads, ln det and the loss of each candidate before the first round."""
    inverse = np.empty((N, M, k, k))
    inverse[:] = np.eye(k) / lam
    return inverse, np.zeros((N, M, k)), np.zeros(N), np.zeros(N)


@kernel
def slack(loss: Array, log_det: Array, base: float, scale: float, n: int) -> float:
    """Return the square of the radius of candidate n; below 0 where the set has none of its functions."""
    least = math.inf
    for m in range(loss.size):
        least = min(least, loss[m] - loss[n] + scale * max(log_det[m], 0.0))
    return base + least


@kernel
def predict(phi: Array, x: IntArray, inverse: Array, w: Array, y: Array, q: Array) -> None:
    """Write estimates and widths of all arms in contexts x into `y` and `q`, for one candidate."""
    for i in range(x.size):
        for a in range(y.shape[1]):
            f = phi[x[i], a]
            y[i, a], q[i, a] = dot(f, w[i]), 0.0
            for j in range(f.size):
                q[i, a] += f[j] * dot(inverse[i, j], f)
            q[i, a] = max(q[i, a], 0.0)


@kernel
def learn(inverse: Array, w: Array, f: Array, reward: float, u: Array) -> tuple[float, float]:
    """Add an observation to one ridge in place; return by how much its ln det and its loss grow.

    With ``q = f' V^-1 f`` and the error e of the prediction: ``ln(1 + q)`` and ``e^2 / (1 + q)``.
    """
    k = f.size
    for j in range(k):
        u[j] = dot(inverse[j], f)
    scale = 1.0 + max(dot(f, u), 0.0)
    error = reward - dot(f, w)
    for j in range(k):
        w[j] += error / scale * u[j]
        for o in range(k):
            inverse[j, o] -= u[j] * u[o] / scale
    return math.log(scale), error * error / scale


@kernel
def _gfucb(
    bandit: MultitaskBandit,
    T: int,
    base: float,
    scale: float,
    tol: float,
    inverse: Array,
    w: Array,
    log_det: Array,
    loss: Array,
    chosen: IntArray,
    W: Search,
    books: MultitaskLedger,
    rng: np.random.Generator,
) -> None:
    """Run T rounds; the regressions, `chosen`, `W` and `books` in place."""
    (N, _, A, k), M = bandit.phi.shape, bandit.heads.shape[0]
    x, arms, rewards, u = np.zeros(M, np.int64), np.zeros(M, np.int64), np.zeros(M), np.zeros(k)
    y, q = np.zeros((M, A)), np.zeros((M, A))
    for t in range(T):
        next_contexts(bandit, x, rng)

        # plan
        best, n = -math.inf, 0
        for m in range(N):
            square = slack(loss, log_det, base, scale, m)
            if square >= 0.0:
                predict(bandit.phi[m], x, inverse[m], w[m], y, q)
                top = choose_jointly(y, q, math.sqrt(square), tol, best, arms, W)
                if top > best:
                    best, n = top, m
        chosen[n] += 1

        # act
        play_tasks(bandit, books, t, x, arms, rewards, rng)

        # update
        for m in range(N):
            for i in range(M):
                f = bandit.phi[m, x[i], arms[i]]
                more, lost = learn(inverse[m, i], w[m, i], f, rewards[i], u)
                log_det[m] += more
                loss[m] += lost
