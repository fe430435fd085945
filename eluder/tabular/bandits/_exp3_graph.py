r"""EXP3 with graph feedback: EXP3-SET and EXP3.G (Alon et al., SIAM J. Computing 2017; COLT 2015).

Pseudo-code (EXP3.G, algorithm 1 of the paper of 2015), in our names::

    L(a) = 0;  graph(a, b) = 1 if playing a shows the loss of b;  u: uniform on a set of arms U
    for t = 0, ..., T-1:
        q(a) = exp(-eta L(a)) / sum_b exp(-eta L(b));  p = (1 - gamma) q + gamma u
        draw a from p                                                               # act
        observe loss(b) = 1 - reward(b) of each b with graph(a, b) = 1
        L(b) += loss(b) / P(b) for these,  P(b) = sum_j p(j) graph(j, b)            # update

`form` "set" (EXP3-SET) has gamma = 0 and needs graph(a, a) = 1 for every arm. `form` "g" (EXP3.G) takes any
graph in which each arm is shown by some arm. It is strongly observable if each arm shows itself or is shown
by all others; then U holds all arms. Else (weakly observable) U is a set of arms that shows all arms that
do neither.

Guarantee: with alpha the independence number of the graph (largest set of arms of which none shows another),

    set:  sqrt(2 alpha T ln A); for a directed graph its largest acyclic set takes the place of alpha
    g, strongly observable:  O(sqrt(alpha T) ln(A T)),  gamma = min(1/2, 1 / sqrt(alpha T)), eta = 2 gamma
    g, weakly observable:    O((|U| ln A)^(1/3) T^(2/3)),  gamma = min(1/2, (|U| ln(A) / T)^(1/3)),
                             eta = gamma^2 / |U|

bound the expected regret against the best fixed arm (2017, Theorem 4 and its corollary; 2015, Theorem 2).

Deviations from the paper: the graph is the same in all rounds. U is found greedily, so that it can be larger
than the smallest by a factor ln A. Above 20 arms alpha is the number of cliques in a greedy cover (at least
alpha, so that the bound holds with it). Rates of EXP3.G from memory, its constants are not explicit.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, advance, bandit_result, draw, ledger, record, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel, sample
from eluder.core.results import BanditResult
from eluder.core.simplex import exponential_weights
from eluder.core.types import Array, BoolArray
from eluder.tabular.bandits._feedback_graph import (
    acyclic_number,
    dominating_set,
    feedback_graph,
    independence_number,
    weakly_observable,
)

__all__ = ["exp3_graph"]


class State(NamedTuple):
    """Loss estimates and the distribution of the current round, each of shape (A,)."""

    loss: Array
    p: Array


def init(A: int) -> State:
    """Return the state before the first round."""
    return State(np.zeros(A), np.full(A, 1 / A))


def exp3_graph(
    bandit: Bandit,
    T: int,
    *,
    graph: ArrayLike,
    form: str = "set",
    alpha: int | None = None,
    eta: float | None = None,
    gamma: float | None = None,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of EXP3 with a feedback graph.

    Parameters
    ----------
    bandit : Bandit
        The problem, with rewards in [0, 1]; the learner sees the rewards that the graph shows.
    T : int
        Number of rounds.
    graph : array_like of bool, shape (A, A)
        ``graph[a, b]``: playing arm a shows the reward of arm b.
    form : str, default="set"
        "set" (EXP3-SET; every arm shows itself) or "g" (EXP3.G).
    alpha : int, optional
        Size of the largest acyclic ("set") or independent ("g") set of arms; by default computed.
    eta : float, optional
        Learning rate > 0; by default that of the theorem.
    gamma : float, optional
        Share in [0, 1] of the exploring distribution; by default that of the theorem.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit or its rewards can leave [0, 1], the graph shows some arm never (or, in
        form "set", not by itself), or another argument is outside its range.

    Notes
    -----
    O(A) time per round for each loss that is seen, O(A^2) memory for the graph. The module has `init`, `act`
    and `update` for loops of its own.

    References
    ----------
    .. [1] Alon, Cesa-Bianchi, Gentile, Mannor, Mansour and Shamir. Nonstochastic multi-armed bandits with
       graph-structured feedback. SIAM Journal on Computing 46, 2017. arXiv:1409.8428
    .. [2] Alon, Cesa-Bianchi, Dekel and Koren. Online learning with feedback graphs: beyond bandits. COLT
       2015, Theorem 2. arXiv:1502.07617

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> ring = np.eye(3, dtype=bool) | np.roll(np.eye(3, dtype=bool), 1, axis=1)
    >>> result = exp3_graph(bernoulli_bandit([0.2, 0.8, 0.4]), 1000, graph=ring, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    1
    """
    refuse_unbounded("exp3_graph", bandit)
    T = checks.integer("T", T)
    A = bandit.means.shape[1]
    edges = feedback_graph(graph, A)
    if form not in ("set", "g"):
        raise ValueError(f"form must be 'set' or 'g', got {form!r}")
    if form == "set" and not np.diagonal(edges).all():
        i = checks.first(~np.diagonal(edges))[0]
        raise ValueError(f"graph[{i}, {i}] is 0, form 'set' needs arms that show themselves")
    size = _alpha(edges, form) if alpha is None else checks.integer("alpha", alpha, 1, A)
    weak = weakly_observable(edges)
    explore = dominating_set(edges, weak) if weak.any() else np.ones(A, bool)
    mixing, rate = 0.0, set_rate(A, T, size)
    if form == "g":
        n = int(explore.sum()) if weak.any() else 0
        mixing, rate = g_rates(A, T, size, n)
    if gamma is not None:
        mixing = checks.number("gamma", gamma, 0.0, 1.0)
    if eta is not None:
        rate = checks.number("eta", eta, 0.0, open_low=True)
    books = ledger(A, T)
    _exp3_graph(
        bandit, T, edges, explore / explore.sum(), rate, mixing, init(A), books, checks.generator(rng)
    )
    return bandit_result(bandit, books)


def _alpha(edges: BoolArray, form: str) -> int:
    return acyclic_number(edges) if form == "set" else independence_number(edges)


def set_rate(A: int, T: int, alpha: int) -> float:
    """Return ``sqrt(2 ln A / (alpha T))``."""
    return math.sqrt(2 * math.log(A) / (alpha * T))


def g_rates(A: int, T: int, alpha: int, n: int) -> tuple[float, float]:
    """Return gamma and eta of EXP3.G: n arms explore, or n = 0 if the graph is strongly observable."""
    if n == 0:
        gamma = min(0.5, 1 / math.sqrt(alpha * T))
        return gamma, 2 * gamma
    gamma = min(0.5, (n * math.log(A) / T) ** (1 / 3))
    return gamma, gamma**2 / n


def bound(A: int, T: int, graph: ArrayLike, alpha: int | None = None) -> float:
    """Return ``sqrt(2 alpha T ln A)``."""
    size = acyclic_number(feedback_graph(graph, A)) if alpha is None else alpha
    return math.sqrt(2 * size * T * math.log(A))


G = Paper(
    title="Online learning with feedback graphs: beyond bandits",
    authors="Alon, Cesa-Bianchi, Dekel, Koren",
    venue="COLT",
    year=2015,
    arxiv="1502.07617",
)
GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Nonstochastic multi-armed bandits with graph-structured feedback",
            authors="Alon, Cesa-Bianchi, Gentile, Mannor, Mansour, Shamir",
            venue="SIAM Journal on Computing",
            year=2017,
            arxiv="1409.8428",
        ),
        setting="adversarial regret",
        statement="expected regret at most sqrt(2 alpha T ln A), alpha the largest acyclic set of arms",
        assumptions="rewards in [0, 1]; every arm shows itself",
        exponent=0.5,
        bound=bound,
        when={"form": "set"},
    ),
    Guarantee(
        paper=G,
        setting="adversarial regret",
        statement="expected regret O(sqrt(alpha T) ln(A T)), alpha the independence number (Theorem 2)",
        assumptions="rewards in [0, 1]; a strongly observable graph",
        exponent=0.5,
        when={"form": "g"},
    ),
    Guarantee(
        paper=G,
        setting="adversarial regret",
        statement="expected regret O((n ln A)^(1/3) T^(2/3)) if n arms show all others (Theorem 2)",
        assumptions="rewards in [0, 1]; a weakly observable graph",
        exponent=2 / 3,
        when={"form": "g"},
    ),
)


@kernel
def act(state: State, explore: Array, eta: float, gamma: float, rng: np.random.Generator) -> int:
    """Compute the distribution of this round, in place, and draw an arm."""
    exponential_weights(state.loss, eta, state.p)
    if gamma > 0.0:
        for a in range(state.p.size):
            state.p[a] = (1.0 - gamma) * state.p[a] + gamma * explore[a]
    return sample(state.p, rng)


@kernel
def update(state: State, graph: BoolArray, a: int, losses: Array) -> None:
    """Add the estimates of the losses that `a` shows; p is that of the round in which `a` was drawn."""
    for b in range(state.p.size):
        if graph[a, b]:
            seen = 0.0
            for j in range(state.p.size):
                if graph[j, b]:
                    seen += state.p[j]
            state.loss[b] += losses[b] / seen


@kernel
def _exp3_graph(
    bandit: Bandit,
    T: int,
    graph: BoolArray,
    explore: Array,
    eta: float,
    gamma: float,
    state: State,
    books: Ledger,
    rng: np.random.Generator,
) -> None:
    """Run T rounds; `state` and `books` in place."""
    losses = np.zeros(books.pulls.size)
    for t in range(T):
        # act
        a = act(state, explore, eta, gamma, rng)
        m = advance(bandit, books, t)
        record(books, t, a, bandit.means[m, a])  # measurement
        for b in range(losses.size):
            if graph[a, b]:
                losses[b] = 1.0 - draw(bandit.law, bandit.means[m, b], bandit.scale[b], rng)

        # update
        update(state, graph, a, losses)
