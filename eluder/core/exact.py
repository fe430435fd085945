"""Exact answers about a known problem: values, visits, gains, diameters, gaps, variances.

Nothing here samples or iterates to a tolerance: each answer is a backward recursion or a linear system. A
policy is an array of actions, ``pi[s]`` or ``pi[h, s]`` (integers), or of probabilities, ``pi[s, a]`` or
``pi[h, s, a]`` (floats). In an episodic problem a policy without a stage axis is played at every stage.
"""

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.problems import DiscountedMDP, EpisodicMDP
from eluder.core.types import Array, IntArray

__all__ = [
    "closed_classes",
    "diameter",
    "gain_and_bias",
    "minimum_gap",
    "occupancy",
    "optimal_value",
    "policy_kernel",
    "policy_value",
    "reaching_policy",
    "return_variance",
    "span",
    "stationary_distribution",
]

sparse: Any = scipy.sparse  # its stubs refuse arrays of unknown format


def policy_kernel(mdp: DiscountedMDP | EpisodicMDP, pi: ArrayLike) -> tuple[Any, Array]:
    """Return the Markov chain and the mean rewards of a policy.

    Parameters
    ----------
    mdp : DiscountedMDP or EpisodicMDP
        The problem.
    pi : array_like
        Actions or probabilities, see the module.

    Returns
    -------
    P_pi : ndarray or scipy.sparse.csr_array, shape (S, S); (H, S, S) if episodic
        ``P_pi[s, s'] = sum_a pi[s, a] P[s, a, s']``, sparse where the kernel is.
    r_pi : ndarray, shape (S,); (H, S) if episodic
        ``r_pi[s] = sum_a pi[s, a] r[s, a]``.

    Raises
    ------
    ValueError
        If `pi` has a wrong shape, is not a policy, or plays an unavailable action.

    Notes
    -----
    O(S^2 A) time per stage, or the number of nonzeros.

    Examples
    --------
    >>> from eluder.core.problems import DiscountedMDP
    >>> mdp = DiscountedMDP([[[1, 0], [0, 1]], [[1, 0], [0, 1]]], [[0, 1], [2, 3]], [1, 0], 0.9)
    >>> policy_kernel(mdp, [[0.5, 0.5], [0.0, 1.0]])
    (array([[0.5, 0.5],
           [0. , 1. ]]), array([0.5, 3. ]))
    """
    w = _probabilities(mdp, pi)
    r_pi = (w * mdp.r).sum(axis=-1)
    if sparse.issparse(mdp.P):
        S, A = w.shape
        row = sparse.csr_array((w.ravel(), np.arange(S * A), np.arange(0, S * A + 1, A)), (S, S * A))
        return sparse.csr_array(row @ mdp.P), r_pi
    return (w[..., None, :] @ mdp.P)[..., 0, :], r_pi


def policy_value(mdp: DiscountedMDP | EpisodicMDP, pi: ArrayLike) -> Array:
    """Return the exact value of a policy.

    Parameters
    ----------
    mdp : DiscountedMDP or EpisodicMDP
        The problem; the discount must be below 1.
    pi : array_like
        Actions or probabilities, see the module.

    Returns
    -------
    ndarray, shape (S,); (H + 1, S) if episodic
        The solution of ``V = r_pi + gamma P_pi V``, or of ``V[h] = r_pi[h] + P_pi[h] V[h+1]``, ``V[H] = 0``.

    Raises
    ------
    ValueError
        If `pi` is not a policy of the problem, or gamma is 1.

    Notes
    -----
    One linear system, O(S^3) or a sparse LU (which fills in where successors are random: some thousands of
    states are then the limit); episodic O(H S^2 A) time.

    Examples
    --------
    >>> from eluder.core.problems import DiscountedMDP
    >>> policy_value(DiscountedMDP([[[1.0]]], [[1.0]], [1.0], 0.9), [0]).round(9)
    array([10.])
    """
    if isinstance(mdp, EpisodicMDP):
        w = _probabilities(mdp, pi)
        V = np.zeros((mdp.H + 1, w.shape[1]))
        for h in reversed(range(mdp.H)):
            V[h] = (w[h] * _action_value(mdp, h, V[h + 1])).sum(axis=1)
        return V
    P_pi, r_pi = policy_kernel(mdp, pi)
    return _solve(_eye(P_pi) - _discount(mdp) * P_pi, r_pi)


def optimal_value(mdp: EpisodicMDP) -> Array:
    """Return the optimal value of an episodic problem by backward induction.

    Parameters
    ----------
    mdp : EpisodicMDP
        The problem.

    Returns
    -------
    ndarray, shape (H + 1, S)
        ``V[h, s] = max_a r[h, s, a] + P[h, s, a] V[h+1]`` over the available actions, ``V[H] = 0``.

    Raises
    ------
    ValueError
        If `mdp` is not episodic.

    Notes
    -----
    O(H S^2 A) time.

    Examples
    --------
    >>> from eluder.core.problems import EpisodicMDP
    >>> optimal_value(EpisodicMDP(P=[[[1.0], [1.0]]], r=[[0.2, 0.5]], mu=[1.0], H=2)).ravel()
    array([1. , 0.5, 0. ])
    """
    _episodic(mdp)
    V = np.zeros((mdp.H + 1, mdp.mu.size))
    for h in reversed(range(mdp.H)):
        V[h] = np.where(mdp.mask, _action_value(mdp, h, V[h + 1]), -np.inf).max(axis=1)
    return V


def occupancy(mdp: DiscountedMDP | EpisodicMDP, pi: ArrayLike) -> Array:
    """Return how often a policy, started from `mu`, visits each pair.

    Parameters
    ----------
    mdp : DiscountedMDP or EpisodicMDP
        The problem; the discount must be below 1.
    pi : array_like
        Actions or probabilities, see the module.

    Returns
    -------
    ndarray, shape (S, A); (H, S, A) if episodic
        ``(1 - gamma) sum_t gamma^t Pr(s_t = s, a_t = a)``, which sums to 1; or ``Pr(s_h = s, a_h = a)``,
        which sums to 1 at each stage.

    Raises
    ------
    ValueError
        If `pi` is not a policy of the problem, or gamma is 1.

    Notes
    -----
    As `policy_value`.

    Examples
    --------
    >>> from eluder.core.problems import EpisodicMDP
    >>> mdp = EpisodicMDP(P=[[[0.5, 0.5]], [[0, 1]]], r=[[0], [0]], mu=[1, 0], H=3)
    >>> occupancy(mdp, [0, 0])[..., 0]
    array([[1.  , 0.  ],
           [0.5 , 0.5 ],
           [0.25, 0.75]])
    """
    w = _probabilities(mdp, pi)
    if isinstance(mdp, DiscountedMDP):
        gamma = _discount(mdp)
        P_pi, _ = policy_kernel(mdp, w)
        d = _solve((_eye(P_pi) - gamma * P_pi).T, (1 - gamma) * mdp.mu)
        return np.maximum(d, 0.0)[:, None] * w
    S, A = mdp.mask.shape
    q = np.empty((mdp.H, S, A))
    d = mdp.mu
    for h in range(mdp.H):
        q[h] = d[:, None] * w[h]
        d = q[h].ravel() @ _kernel(mdp, h).reshape(S * A, S)
    return q


def stationary_distribution(mdp: DiscountedMDP, pi: ArrayLike) -> Array:
    """Return the stationary distribution of a policy.

    Parameters
    ----------
    mdp : DiscountedMDP
        The problem; its discount is ignored.
    pi : array_like, shape (S,) of int or (S, A) of float
        A policy whose chain has one closed class (it may have transient states and be periodic).

    Returns
    -------
    ndarray, shape (S,)
        The solution of ``d P_pi = d``; 0 at transient states.

    Raises
    ------
    ValueError
        If `pi` is not a policy of the problem, or its chain has several closed classes, which are named.

    Notes
    -----
    One linear system, O(S^3) or a sparse LU.

    Examples
    --------
    >>> from eluder.core.problems import DiscountedMDP
    >>> mdp = DiscountedMDP([[[0.5, 0.5]], [[1.0, 0.0]]], [[0], [1]], [1, 0], 1.0)
    >>> stationary_distribution(mdp, [0, 0]).round(12)
    array([0.66666667, 0.33333333])
    """
    return _stationary(*_unichain(mdp, pi)[::2])


def gain_and_bias(mdp: DiscountedMDP, pi: ArrayLike) -> tuple[float, Array]:
    """Return the average reward of a policy and its bias.

    Parameters
    ----------
    mdp : DiscountedMDP
        The problem; its discount is ignored.
    pi : array_like, shape (S,) of int or (S, A) of float
        A policy whose chain has one closed class.

    Returns
    -------
    gain : float
        Mean reward per step in the long run, the same from every state.
    bias : ndarray, shape (S,)
        The solution of ``bias = r_pi - gain + P_pi bias`` of mean 0 under the stationary distribution.

    Raises
    ------
    ValueError
        If `pi` is not a policy of the problem, or its chain has several closed classes, which are named.

    Notes
    -----
    Two linear systems, O(S^3) or a sparse LU each.

    References
    ----------
    .. [1] Puterman. Markov Decision Processes. Wiley 1994, section 8.2.

    Examples
    --------
    >>> from eluder.core.problems import DiscountedMDP
    >>> mdp = DiscountedMDP([[[0, 1.0]], [[1.0, 0]]], [[0], [1]], [1, 0], 1.0)
    >>> gain, bias = gain_and_bias(mdp, [0, 0])
    >>> round(gain, 12), bias.round(12)
    (0.5, array([-0.25,  0.25]))
    """
    P_pi, r_pi, closed = _unichain(mdp, pi)
    d = _stationary(P_pi, closed)
    bias = _solve(_bordered(P_pi, closed), np.append(r_pi, 0.0))[:-1]
    return float(d @ r_pi), bias - d @ bias


def diameter(mdp: DiscountedMDP) -> float:
    """Return the diameter: the longest of the shortest expected travel times between two states.

    Parameters
    ----------
    mdp : DiscountedMDP
        The problem; its discount is ignored.

    Returns
    -------
    float
        ``D = max_{s != t} min_pi E[steps from s to t under pi]``; infinite if the problem does not
        communicate, 0 if it has one state.

    Raises
    ------
    ValueError
        If `mdp` is not a DiscountedMDP.

    Notes
    -----
    Policy iteration for each target, started from a policy that reaches it: a few linear systems of S - 1
    unknowns for each of S targets.

    References
    ----------
    .. [1] Jaksch, Ortner and Auer. Near-optimal regret bounds for reinforcement learning. JMLR 11, 2010,
       Definition 1.

    Examples
    --------
    >>> from eluder.core.problems import DiscountedMDP
    >>> diameter(DiscountedMDP([[[0.75, 0.25]], [[1.0, 0.0]]], [[0], [0]], [1, 0], 1.0))
    4.0
    """
    S = _discounted(mdp).mu.size
    travel = [_travel_time(mdp, target).max() for target in range(S)]
    return float(max(travel))


def reaching_policy(mdp: DiscountedMDP, target: int) -> IntArray:
    """Return a policy that steps nearer to a state with positive probability.

    Parameters
    ----------
    mdp : DiscountedMDP
        The problem; its kernel may be dense or sparse.
    target : int
        The state to reach.

    Returns
    -------
    ndarray of int, shape (S,)
        Actions; the first available one at `target`, -1 where no policy leads there.

    Raises
    ------
    ValueError
        If `mdp` is not a DiscountedMDP or `target` is not a state.

    Notes
    -----
    A search backwards, breadth first; each layer costs O(nnz(P)). Where no entry is -1 the policy reaches
    `target` from everywhere with probability 1.

    Examples
    --------
    >>> from eluder.core.problems import DiscountedMDP
    >>> stay_or_go = DiscountedMDP([[[1, 0], [0, 1.0]], [[0, 1], [0, 1.0]]], [[0, 0], [1, 1]], [1, 0], 0.9)
    >>> reaching_policy(stay_or_go, 1), reaching_policy(stay_or_go, 0)
    (array([1, 0]), array([ 0, -1]))
    """
    S, A = _discounted(mdp).mask.shape
    target = checks.integer("target", target, 0, S - 1)
    rows = mdp.P if sparse.issparse(mdp.P) else mdp.P.reshape(S * A, S)
    pi = np.full(S, -1)
    pi[target] = mdp.mask[target].argmax()
    reached = np.zeros(S)
    reached[target] = 1.0
    while True:
        nearer = np.reshape(rows @ reached > 0, (S, A)) & mdp.mask
        new = nearer.any(axis=1) & (pi < 0)
        if not new.any():
            return pi
        pi[new] = nearer.argmax(axis=1)[new]
        reached[new] = 1.0


def span(V: ArrayLike) -> float:
    """Return the span ``max V - min V``.

    Parameters
    ----------
    V : array_like
        Any numbers.

    Returns
    -------
    float
        Zero for a constant.

    Raises
    ------
    ValueError
        If `V` is empty or holds a number that is not finite.

    Examples
    --------
    >>> span([1.0, 3.0, 2.0])
    2.0
    """
    V = checks.finite("V", np.ravel(V), (None,))
    return float(V.max() - V.min())


def minimum_gap(mdp: EpisodicMDP, *, tol: float = 1e-10) -> float:
    """Return the smallest positive gap ``V*[h, s] - Q*[h, s, a]`` of an episodic problem.

    Parameters
    ----------
    mdp : EpisodicMDP
        The problem. All states count, reachable or not; of the actions, the available ones.
    tol : float, default=1e-10
        Gaps up to `tol` are ties.

    Returns
    -------
    float
        The gap; infinite where all available actions are optimal.

    Raises
    ------
    ValueError
        If `mdp` is not episodic, or `tol` is negative.

    Notes
    -----
    O(H S^2 A) time.

    Examples
    --------
    >>> from eluder.core.problems import EpisodicMDP
    >>> minimum_gap(EpisodicMDP(P=[[[1.0], [1.0], [1.0]]], r=[[0.25, 0.5, 0.5]], mu=[1.0], H=2))
    0.25
    """
    tol = checks.number("tol", tol, 0.0)
    V = optimal_value(mdp)
    smallest = np.inf
    for h in range(mdp.H):
        gap = (V[h, :, None] - _action_value(mdp, h, V[h + 1]))[mdp.mask]
        smallest = min(smallest, float(np.min(gap[gap > tol], initial=np.inf)))
    return smallest


def return_variance(mdp: DiscountedMDP | EpisodicMDP, pi: ArrayLike) -> Array:
    """Return the variance of the (discounted) return from each state.

    Parameters
    ----------
    mdp : DiscountedMDP or EpisodicMDP
        The problem; the discount must be below 1. Bernoulli rewards add their own variance.
    pi : array_like
        Actions or probabilities, see the module.

    Returns
    -------
    ndarray, shape (S,); (H + 1, S) if episodic
        ``W[s] = Var(sum_t gamma^t R_t | s_0 = s)``. Started from `mu`, the variance is that of V under `mu`
        more: ``mu @ W + mu @ V**2 - (mu @ V)**2``.

    Raises
    ------
    ValueError
        If `pi` is not a policy of the problem, or gamma is 1.

    Notes
    -----
    The law of total variance gives ``W = E[r (1 - r)] + Var(Q(s, a)) + gamma^2 E[Var_P V] + gamma^2 P_pi W``,
    the first term for Bernoulli rewards only. Cost as `policy_value`.

    References
    ----------
    .. [1] Sobel. The variance of discounted Markov decision processes. J. Applied Probability 19, 1982.

    Examples
    --------
    >>> from eluder.core.problems import EpisodicMDP
    >>> coin = EpisodicMDP(P=[[[1.0]]], r=[[0.5]], mu=[1.0], H=4, bernoulli=True)
    >>> return_variance(coin, [0])[0]
    array([1.])
    """
    w = _probabilities(mdp, pi)
    V = policy_value(mdp, w)
    noise = mdp.r * (1 - mdp.r) if mdp.bernoulli else np.zeros_like(mdp.r)
    if isinstance(mdp, DiscountedMDP):
        gamma = mdp.gamma
        P_pi, _ = policy_kernel(mdp, w)
        Q = mdp.r + gamma * _expectation(mdp.P, V)
        local = noise + gamma**2 * _variance(mdp.P, V) + (Q - V[:, None]) ** 2
        return np.maximum(_solve(_eye(P_pi) - gamma**2 * P_pi, (w * local).sum(axis=1)), 0.0)
    W = np.zeros_like(V)
    for h in reversed(range(mdp.H)):
        P = _kernel(mdp, h)
        Q = _action_value(mdp, h, V[h + 1])
        local = _stage(noise, h, 2) + _variance(P, V[h + 1]) + (Q - V[h, :, None]) ** 2
        W[h] = (w[h] * (local + _expectation(P, W[h + 1]))).sum(axis=1)
    return W


def closed_classes(P_pi: Any) -> list[list[int]]:
    """Return the closed communicating classes of a Markov chain.

    Parameters
    ----------
    P_pi : ndarray or scipy.sparse, shape (S, S)
        Transition probabilities.

    Returns
    -------
    list of list of int
        The states of each class, in increasing order; all other states are transient.

    Notes
    -----
    O(number of nonzeros) time.

    Examples
    --------
    >>> closed_classes([[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]])
    [[1], [2]]
    """
    graph = sparse.csr_array(P_pi, copy=True)
    graph.eliminate_zeros()
    label = _components(graph)
    start, end = label[np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))], label[graph.indices]
    leaky = set(start[start != end].tolist())
    classes: dict[int, list[int]] = {}
    for s, c in enumerate(label.tolist()):
        if c not in leaky:
            classes.setdefault(c, []).append(s)
    return list(classes.values())


def _components(graph: Any) -> Any:
    from scipy.sparse.csgraph import connected_components

    return connected_components(graph, directed=True, connection="strong")[1]


def _episodic(mdp: Any) -> EpisodicMDP:
    if not isinstance(mdp, EpisodicMDP):
        raise ValueError(f"mdp must be an EpisodicMDP, got {type(mdp).__name__}")
    return mdp


def _discounted(mdp: Any) -> DiscountedMDP:
    if not isinstance(mdp, DiscountedMDP):
        raise ValueError(f"mdp must be a DiscountedMDP, got {type(mdp).__name__}")
    return mdp


def _discount(mdp: DiscountedMDP) -> float:
    if mdp.gamma >= 1:
        raise ValueError("gamma is 1: the value is infinite; see gain_and_bias")
    return mdp.gamma


def _probabilities(mdp: Any, pi: ArrayLike) -> Array:
    """Return a checked policy as probabilities (S, A), or (H, S, A) for an episodic problem."""
    if not isinstance(mdp, DiscountedMDP | EpisodicMDP):
        raise ValueError(f"mdp must be a DiscountedMDP or an EpisodicMDP, got {type(mdp).__name__}")
    S, A = mdp.mask.shape
    raw = np.asarray(pi)
    tables = not np.issubdtype(raw.dtype, np.integer)
    staged = isinstance(mdp, EpisodicMDP) and raw.ndim == 2 + tables
    lead = (mdp.H, S) if isinstance(mdp, EpisodicMDP) and staged else (S,)
    if tables:
        w = checks.distribution("pi", raw, (*lead, A))
        bad = (w > 0) & ~mdp.mask
        if bad.any():
            i = checks.first(bad)
            raise ValueError(f"{checks.entry('pi', i)} is {w[i]:g}, but the action is not available")
    else:
        w = np.eye(A)[checks.policy("pi", raw, lead, mdp.mask)]
    return np.broadcast_to(w, (mdp.H, S, A)) if isinstance(mdp, EpisodicMDP) else w


def _stage(x: Array, h: int, ndim: int) -> Array:
    """Return the table of stage h of an array that may lack the stage axis."""
    return x[h] if x.ndim > ndim else x


def _kernel(mdp: EpisodicMDP, h: int) -> Array:
    return _stage(mdp.P, h, 3)


def _action_value(mdp: EpisodicMDP, h: int, V: Array) -> Array:
    """Return ``r[h] + P[h] V`` (S, A)."""
    return _stage(mdp.r, h, 2) + _expectation(_kernel(mdp, h), V)


def _expectation(P: Any, V: Array) -> Array:
    """Return ``sum_s' P[s, a, s'] V[s']`` (S, A) of a dense or sparse kernel."""
    return np.reshape(P @ V, (V.size, -1))


def _variance(P: Any, V: Array) -> Array:
    """Return the variance of V at the next state (S, A)."""
    centred = V - V.mean()  # less cancellation
    return np.maximum(_expectation(P, centred**2) - _expectation(P, centred) ** 2, 0.0)


def _eye(P: Any) -> Any:
    n = P.shape[0]
    return sparse.eye_array(n, format="csr") if sparse.issparse(P) else np.eye(n)


def _solve(M: Any, b: Array) -> Array:
    """Solve ``M x = b``, dense or sparse."""
    if sparse.issparse(M):
        from scipy.sparse.linalg import splu

        return np.asarray(splu(sparse.csc_array(M)).solve(b))
    return np.asarray(scipy.linalg.solve(M, b, check_finite=False))


def _unichain(mdp: DiscountedMDP, pi: ArrayLike) -> tuple[Any, Array, list[int]]:
    """Return the chain of a policy, its rewards and its only closed class."""
    P_pi, r_pi = policy_kernel(_discounted(mdp), pi)
    classes = closed_classes(P_pi)
    if len(classes) > 1:
        named = ", ".join(str(c if len(c) <= 8 else [*c[:7], "..."]).replace("'", "") for c in classes[:4])
        more = ", ..." if len(classes) > 4 else ""
        raise ValueError(f"pi is multichain: {len(classes)} closed classes of states, {named}{more}")
    return P_pi, r_pi, classes[0]


def _bordered(P_pi: Any, closed: list[int]) -> Any:
    """Return the matrix of ``h - P_pi h + g = r`` and ``h[closed[0]] = 0`` in the unknowns (h, g)."""
    S = P_pi.shape[0]
    pin = np.zeros((1, S))
    pin[0, closed[0]] = 1.0
    blocks = [[_eye(P_pi) - P_pi, np.ones((S, 1))], [pin, np.zeros((1, 1))]]
    if sparse.issparse(P_pi):
        return sparse.block_array([[sparse.csr_array(b) for b in row] for row in blocks])
    return np.block(blocks)


def _stationary(P_pi: Any, closed: list[int]) -> Array:
    """Return the stationary distribution of a chain with one closed class."""
    S = P_pi.shape[0]
    x = _solve(_bordered(P_pi, closed).T, np.append(np.zeros(S), 1.0))[:S]
    d = np.zeros(S)
    d[closed] = np.maximum(x[closed], 0.0)
    return np.asarray(d / d.sum())


def _travel_time(mdp: DiscountedMDP, target: int) -> Array:
    """Return the smallest expected number of steps from each state to `target`; 0 there."""
    S, A = mdp.mask.shape
    rows = mdp.P if sparse.issparse(mdp.P) else mdp.P.reshape(S * A, S)
    pi = reaching_policy(mdp, target)
    if (pi < 0).any():
        return np.full(S, np.inf)
    others = np.flatnonzero(np.arange(S) != target)
    states = np.arange(S)
    time = np.zeros(S)
    while others.size:
        P_pi = rows[states * A + pi][others][:, others]
        time[others] = _solve(_eye(P_pi) - P_pi, np.ones(S - 1))
        Q = np.where(mdp.mask, 1.0 + _expectation(rows, time), np.inf)
        better = Q.min(axis=1) < Q[states, pi] - 1e-12 * Q[states, pi]
        better[target] = False
        if not better.any():
            break
        pi[better] = Q.argmin(axis=1)[better]
    return time
