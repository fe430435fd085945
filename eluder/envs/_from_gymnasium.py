"""Read a problem from the transition table of a gymnasium environment."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.types import Array, BoolArray, IntArray
from eluder.envs._build import Problem, problem

__all__ = ["from_gymnasium"]

_ROW = "(probability, next state, reward, done)"


def from_gymnasium(
    env: Any,
    *,
    gamma: float | None = None,
    H: int | None = None,
    rescale: bool = False,
    bernoulli: bool = False,
    sparse: bool = False,
    mu: ArrayLike | None = None,
) -> Problem:
    """Return the problem that a gymnasium environment's transition table describes.

    Parameters
    ----------
    env : gymnasium.Env or str
        An environment, or the id of one, whose ``env.unwrapped.P`` is a dictionary
        ``P[s][a] = [(probability, next state, reward, done), ...]``, such as FrozenLake-v1, Taxi-v4,
        CliffWalking-v1. States are 0, ..., S - 1; an action that a state lacks is unavailable there, as is
        one with ``env.unwrapped.action_mask(s)[a] == 0``.
    gamma : float, optional
        Discount, for a DiscountedMDP.
    H : int, optional
        Horizon, for an EpisodicMDP. Exactly one of `gamma` and `H` is given; a time limit that the
        environment is wrapped in is not read.
    rescale : bool, default=False
        Map all rewards, the absorbing states' zero among them, to [0, 1].
    bernoulli : bool, default=False
        What learners will see: False, the mean reward of the pair; True, 0 or 1 with that mean (FrozenLake).
    sparse : bool, default=False
        Keep the kernel as CSR, shape (S * A, S); needs `gamma`.
    mu : array_like, shape (S,), optional
        Distribution of the initial state; the environment's ``initial_state_distrib`` by default.

    Returns
    -------
    EpisodicMDP or DiscountedMDP
        ``r[s, a]`` is the mean reward. A state that is entered only by transitions with ``done`` is made
        absorbing with reward 0 (the holes and the goal of FrozenLake, the goal of CliffWalking). If a
        transition with ``done`` enters any other state, it leads instead to one added absorbing state with
        reward 0, the last one (Taxi, which has 501 states then). The other states keep their numbers.

    Raises
    ------
    ValueError
        If `env` has no table, or the table is wrong (the message names the place); if not exactly one of
        `gamma` and `H` is given, an episodic problem has a reward outside [0, 1], or `sparse` comes with `H`.

    Notes
    -----
    Reading a state after ``done`` as an ordinary one gives wrong values: 835.04 instead of 6.3275 on Taxi
    with gamma = .99. With ``rescale=True`` rewards are ``(r - low) / (high - low)``, where low and high are
    the smallest and the largest entry of r without it. All returns have equally many rewards, so policies
    keep their order, and values map back by ``V = (high - low) V' + low (H - h)``, or
    ``+ low / (1 - gamma)``.

    An episodic or discounted problem that `to_gymnasium` made an environment of is returned as it was when
    neither `gamma` nor `H` is given.

    Examples
    --------
    >>> import gymnasium
    >>> lake = from_gymnasium("FrozenLake-v1", gamma=0.99)
    >>> lake.P.shape, lake.P[5, 0, 5], lake.r[14]
    ((16, 4, 16), np.float64(1.0), array([0.        , 0.33333333, 0.33333333, 0.33333333]))
    """
    if isinstance(env, str):
        import gymnasium

        made = gymnasium.make(env)
        try:
            return from_gymnasium(
                made, gamma=gamma, H=H, rescale=rescale, bernoulli=bernoulli, sparse=sparse, mu=mu
            )
        finally:
            made.close()
    source = getattr(env, "unwrapped", env)
    if gamma is None and H is None and hasattr(source, "problem"):
        return source.problem
    if getattr(source, "fickle_passenger", False):
        raise ValueError("env has fickle_passenger=True: its moves are not those of its table P")
    table, own = _read(getattr(source, "P", None))
    S, A = own.shape
    start = _initial(source, S, mu)
    absorbing = _absorbing(table, start)
    n = absorbing.size

    pair = table.s * A + table.a
    target = np.where(table.done & ~absorbing[table.next], S, table.next)
    keep = ~absorbing[table.s]
    stay = np.flatnonzero(np.bincount(pair[keep], minlength=n * A) == 0)  # absorbing, or not in the table
    P: Any = scipy.sparse.csr_array(
        (
            np.append(table.p[keep], np.ones(stay.size)),
            (np.append(pair[keep], stay), np.append(target[keep], stay // A)),
        ),
        (n * A, n),
    )
    r = _mean(pair[keep], table.p[keep], table.reward[keep], n * A).reshape(n, A)
    mask = np.ones((n, A), dtype=np.bool_)
    mask[:S] = own & _action_mask(source, S, A)
    mask[absorbing] = True
    return problem(
        P,
        r,
        np.append(start, np.zeros(n - S)),
        H=H,
        gamma=gamma,
        mask=mask,
        bernoulli=bernoulli,
        rescale=rescale,
        sparse=sparse,
    )


def _mean(pair: IntArray, p: Array, reward: Array, size: int) -> Array:
    """Return the mean reward of each pair; exactly the reward where there is only one."""
    base = np.zeros(size)
    base[pair] = reward
    return base + np.bincount(pair, p * (reward - base[pair]), size)


class _Table(NamedTuple):
    """One entry per transition of positive probability."""

    s: IntArray
    a: IntArray
    p: Array
    next: IntArray
    reward: Array
    done: BoolArray


def _absorbing(table: _Table, start: Array) -> BoolArray:
    """Return which states are absorbing: those entered only when done, and an added one if it is needed."""
    S = start.size
    ends = np.zeros(S, dtype=np.bool_)
    ends[table.next[table.done]] = True
    ends[table.next[~table.done & (table.s != table.next)]] = False
    ends &= start == 0
    needed = bool((table.done & ~ends[table.next]).any())
    return np.append(ends, np.ones(int(needed), dtype=np.bool_))


def _read(P: Any) -> tuple[_Table, BoolArray]:
    """Return the checked table, and which of the (S, A) pairs it has."""
    if not isinstance(P, Mapping) or not P:
        raise ValueError(f"env has no transition table: env.unwrapped.P must be a dictionary, got {P!r:.60}")
    S = len(P)
    for s in range(S):
        if s not in P:
            raise ValueError(f"P has no state {s}: its {S} states must be 0, ..., {S - 1}")
        if not isinstance(P[s], Mapping) or not P[s]:
            raise ValueError(f"P[{s}] must be a dictionary of actions, got {P[s]!r:.60}")
    actions = {checks.integer(f"action of P[{s}]", a, low=0) for s in range(S) for a in P[s]}
    A = len(actions)
    if max(actions) >= A:
        raise ValueError(f"P has an action {max(actions)}: its {A} actions must be 0, ..., {A - 1}")
    columns: list[tuple[int, int, float, int, float, bool]] = []
    mask = np.zeros((S, A), np.bool_)
    for s in range(S):
        for a, transitions in P[s].items():
            at = f"P[{s}][{a}]"
            mask[s, int(a)] = True
            total = 0.0
            if not isinstance(transitions, Iterable):
                raise ValueError(f"{at} must be a list of {_ROW}, got {transitions!r:.60}")
            for i, transition in enumerate(transitions):
                try:
                    p, t, reward, done = transition
                except (TypeError, ValueError):
                    raise ValueError(f"{at}[{i}] must be {_ROW}, got {transition!r:.60}") from None
                p = checks.number(f"probability {at}[{i}][0]", p, 0.0)
                t = checks.integer(f"next state {at}[{i}][1]", t, 0, S - 1)
                reward = checks.number(f"reward {at}[{i}][2]", reward)
                total += p
                if p > 0:
                    columns.append((s, int(a), p, t, reward, bool(done)))
            if abs(total - 1) > checks.SUM_TOLERANCE:
                raise ValueError(f"{at} sums to {total:.12g}, not 1")
    return _Table(*map(np.array, zip(*columns, strict=True))), mask


def _action_mask(source: Any, S: int, A: int) -> BoolArray:
    """Return the environment's own mask; a state whose actions it all denies keeps them."""
    action_mask = getattr(source, "action_mask", None)
    if not callable(action_mask):
        return np.ones((S, A), np.bool_)
    rows = [np.asarray(action_mask(s)) for s in range(S)]
    for s, row in enumerate(rows):
        if row.shape != (A,):
            raise ValueError(f"env.action_mask({s}) must have shape ({A},), got {row.shape}")
    mask: BoolArray = np.array(rows) != 0
    mask[~mask.any(axis=1)] = True
    return mask


def _initial(source: Any, S: int, mu: ArrayLike | None) -> Array:
    if mu is None:
        mu = getattr(source, "initial_state_distrib", None)
    if mu is None:
        raise ValueError("env has no initial_state_distrib: give mu")
    return checks.distribution("mu", mu, (S,))
