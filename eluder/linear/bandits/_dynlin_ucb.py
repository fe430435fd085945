r"""DynLin-UCB: optimism where the action moves a hidden state (Mussi, Metelli & Restelli, ICML 2023).

Pseudo-code, in our names; |u| = sqrt(u' V^-1 u)::

    V = lam I,  h = 0,  t = 0
    for m = 1, 2, ...:
        u <- argmax <h, u> + beta_t |u|                                             # choose
        play u for 1 + floor(ln m / ln(1 / rho)) rounds, observe rewards            # act
        V <- V + u u',  h <- V^-1 sum of u y with the last reward y of each epoch   # update

with lam = ln T, delta = 1 / T and, for bounds |u| <= U, |omega| <= Omega, |theta| <= Theta, |B| <= B,
|F^t| <= Phi rho^t and |x_0| <= X,

    beta_t = c (c1 / sqrt(lam) ln(e (t + 1)) + c2 sqrt(lam)
                + sqrt(2 s2 (ln(1 / delta) + d / 2 ln(1 + t U^2 / (d lam)))))
    c1 = U Omega Phi (U B / (1 - rho) + X),  c2 = Theta + Omega B Phi / (1 - rho)
    s2 = sigma^2 (1 + Omega^2 Phi^2 / (1 - rho^2))

The state needs a few rounds to forget what was played before: the last reward of an epoch has a bias of at
most ``Omega Phi rho^(rounds held)`` times the distance to the steady state, and so epochs get longer, slowly.

Guarantee: the expected regret against the best constant action in the long run is
O~(d sqrt(T) / (1 - rho)^(3/2)).

Deviations from the paper: a finite set of actions; constants of beta from memory. Bounds that are not given
are those of the problem itself.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.dynamical import (
    DynamicalBounds,
    DynamicalLedger,
    DynamicalLinearBandit,
    dynamical_bounds,
    dynamical_ledger,
    dynamical_result,
    play_dynamical,
    refuse_other_problems,
)
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.ridge import Ridge, absorb, ridge
from eluder.linear.bandits._ellipsoid import choose, refuse_overflow

__all__ = ["dynlin_ucb"]


def dynlin_ucb(
    bandit: DynamicalLinearBandit,
    T: int,
    *,
    bounds: DynamicalBounds | None = None,
    lam: float | None = None,
    delta: float | None = None,
    c: float = 1.0,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of DynLin-UCB.

    Parameters
    ----------
    bandit : DynamicalLinearBandit
        The problem. The learner reads `phi` and sees rewards, never the state.
    T : int
        Number of rounds.
    bounds : DynamicalBounds, optional
        What the learner is told of the problem; by default `dynamical_bounds`, the least that is true.
    lam : float, optional
        Weight > 0 of the ridge; by default ln T, 1 at least.
    delta : float, optional
        Failure probability, in (0, 1); by default ``1 / T``, for one round 1/2.
    c : float, default=1.0
        Multiplies the radius; smaller is common in practice.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Exact regret against the best constant action, at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a DynamicalLinearBandit, `T` < 1, `bounds` is not a DynamicalBounds with rho in
        (0, 1) and numbers >= 0, `lam` is not positive, `delta` is outside (0, 1), `c` is negative, or `rng`
        is not a Generator.

    Notes
    -----
    O(n^2 + n d) time per round of nature and O(A d + d^2) per epoch.

    References
    ----------
    .. [1] Mussi, Metelli and Restelli. Dynamical linear bandits. ICML 2023. arXiv:2211.08997

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import dynamical_linear_bandit
    >>> bandit = dynamical_linear_bandit(np.eye(2), [0.0, 0.6], [[0.9]], [[0.1, 0.0]], [1.0], sigma=0.05)
    >>> int(dynlin_ucb(bandit, 5000, c=0.5, rng=np.random.default_rng(0)).pulls.argmax())
    0
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    if bounds is None:
        bounds = dynamical_bounds(bandit)
    if not isinstance(bounds, DynamicalBounds):
        raise ValueError(f"bounds must be a DynamicalBounds, got {type(bounds).__name__}")
    known = DynamicalBounds(
        checks.number("bounds.rho", bounds.rho, 0.0, 1.0, open_low=True, open_high=True),
        *(checks.number(f"bounds.{f}", x, 0.0) for f, x in zip(bounds._fields[1:], bounds[1:], strict=True)),
    )
    lam = max(math.log(T), 1.0) if lam is None else checks.number("lam", lam, 0.0, open_low=True)
    delta = min(1 / T, 0.5) if delta is None else checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    U = float(np.linalg.norm(bandit.phi, axis=1).max())
    books = dynamical_ledger(bandit, T)
    largest = c * radius(known, U, bandit.phi.shape[1], T, lam, delta)
    refuse_overflow(bandit.phi, lam, largest, c=c, **{f"bounds.{f}": x for f, x in known._asdict().items()})
    _dynlin_ucb(bandit, T, known, U, delta, c, ridge(bandit.phi, lam), books, checks.generator(rng))
    return dynamical_result(books)


@kernel
def transient_scale(known: DynamicalBounds, U: float) -> float:
    """Return ``c1 = U Omega Phi (U B / (1 - rho) + X)`` (from memory)."""
    return U * known.omega * known.Phi * (U * known.B / (1 - known.rho) + known.x)


@kernel
def effect_bound(known: DynamicalBounds) -> float:
    """Return ``c2 = Theta + Omega B Phi / (1 - rho)``, a bound on the norm of h."""
    return known.theta + known.omega * known.B * known.Phi / (1 - known.rho)


@kernel
def noise_scale(known: DynamicalBounds) -> float:
    """Return ``sigma sqrt(1 + Omega^2 Phi^2 / (1 - rho^2))``, of a reward with the noise of its state."""
    return known.sigma * math.sqrt(1 + (known.omega * known.Phi) ** 2 / (1 - known.rho**2))


@kernel
def radius(known: DynamicalBounds, U: float, d: int, t: int, lam: float, delta: float) -> float:
    """Return ``beta_t`` of the module's docstring for c = 1."""
    growth = math.log(1 / delta) + d / 2 * math.log(1 + t * U * U / (d * lam))
    transient = transient_scale(known, U) / math.sqrt(lam) * (1 + math.log(t + 1))
    noise = noise_scale(known) * math.sqrt(2 * growth)
    return transient + effect_bound(known) * math.sqrt(lam) + noise


@kernel
def epoch_rounds(m: int, rho: float) -> int:
    """Return ``floor(ln m / ln(1 / rho))``, the rounds for which epoch m = 1, 2, ... holds its action on."""
    return math.floor(math.log(m) / math.log(1 / rho))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Dynamical linear bandits",
            authors="Mussi, Metelli, Restelli",
            venue="ICML",
            year=2023,
            arxiv="2211.08997",
        ),
        setting="linear regret",
        statement="expected regret O~(d sqrt(T) / (1 - rho)^(3/2)) against the best constant action",
        assumptions="hidden linear state with spectral radius at most rho < 1, linear rewards, sub-Gaussian "
        "noise; the constants of the radius are from memory",
        exponent=0.5,
    ),
)


@kernel
def _dynlin_ucb(
    bandit: DynamicalLinearBandit,
    T: int,
    known: DynamicalBounds,
    U: float,
    delta: float,
    c: float,
    R: Ridge,
    books: DynamicalLedger,
    rng: np.random.Generator,
) -> int:
    """Run T rounds and return the number of epochs; `R` and `books` in place."""
    t, m, d = 0, 0, R.phi.shape[1]
    while t < T:
        m += 1
        a = choose(R, c * radius(known, U, d, t, R.lam, delta), 0, R.y.size)

        # act
        rounds, reward = 1 + epoch_rounds(m, known.rho), 0.0
        for _ in range(min(rounds, T - t)):
            reward = play_dynamical(bandit, books, t, a, rng)
            t += 1

        # update
        absorb(R, a, 1.0, reward)
    return m
