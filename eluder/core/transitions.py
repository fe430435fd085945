"""Transitions of episodes that some policy played: what offline learners get."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.kernels import kernel, sample
from eluder.core.problems import EpisodicMDP
from eluder.core.simulator import Simulator, reset, simulator, step
from eluder.core.types import Array, BoolArray, IntArray

__all__ = ["Transitions", "collect_episodes"]


class _Transitions(NamedTuple):
    s: IntArray
    a: IntArray
    r: Array
    s_next: IntArray


class Transitions(_Transitions):
    """K transitions of each of H stages; entry ``[k, h]`` is a transition of stage h.

    Parameters
    ----------
    s, a : array_like of int, shape (K, H)
        States and actions, from 0.
    r : array_like, shape (K, H)
        Rewards in [0, 1].
    s_next : array_like of int, shape (K, H)
        Next states.

    Raises
    ------
    ValueError
        If a shape is wrong, an index is negative or no integer, or a reward leaves [0, 1]; the message names
        the first bad entry.

    Examples
    --------
    >>> Transitions(s=[[0, 1]], a=[[0, 0]], r=[[0.5, 1.0]], s_next=[[1, 0]]).r.shape
    (1, 2)
    """

    __slots__ = ()

    def __new__(cls, s: ArrayLike, a: ArrayLike, r: ArrayLike, s_next: ArrayLike) -> Self:
        rewards = checks.finite("r", r, (None, None), 0.0, 1.0)
        shape = rewards.shape
        indices = (_indices(name, x, shape) for name, x in (("s", s), ("a", a), ("s_next", s_next)))
        states, actions, following = indices
        return super().__new__(cls, states, actions, rewards, following)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def _indices(name: str, raw: ArrayLike, shape: tuple[int, ...]) -> IntArray:
    x = checks.finite(name, raw, shape, 0.0, 2.0**53)
    if (bad := x != np.floor(x)).any():
        i = checks.first(bad)
        raise ValueError(f"{checks.entry(name, i)} is {x[i]:g}, it must be an integer")
    return x.astype(np.int64)


def refuse_outside(data: Any, S: int, A: int, H: int, mask: BoolArray | None = None) -> None:
    """Refuse what is not `Transitions` of H stages with states below S and available actions below A."""
    if not isinstance(data, Transitions):
        raise ValueError(f"data must be a Transitions, got {type(data).__name__}")
    if data.s.shape[1] != H:
        raise ValueError(f"data has {data.s.shape[1]} stages, the problem has {H}")
    for name, x, high in (("s", data.s, S), ("a", data.a, A), ("s_next", data.s_next, S)):
        if (bad := x >= high).any():
            i = checks.first(bad)
            raise ValueError(f"{checks.entry(name, i)} is {x[i]}, it must be less than {high}")
    if mask is not None and (bad := ~mask[data.s, data.a]).any():
        i = checks.first(bad)
        raise ValueError(f"{checks.entry('a', i)} is {data.a[i]}, not available in state {data.s[i]}")


def collect_episodes(mdp: EpisodicMDP, pi: ArrayLike, K: int, rng: np.random.Generator) -> Transitions:
    """Play K episodes of a stochastic policy and return their transitions.

    Parameters
    ----------
    mdp : EpisodicMDP
        The problem.
    pi : array_like, shape (H, S, A) or (S, A)
        Probability of each action.
    K : int
        Number of episodes.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    Transitions
        K episodes.

    Raises
    ------
    ValueError
        If `mdp` is not episodic, `pi` is not a policy, `K` < 1, or `rng` is not a Generator.

    Examples
    --------
    >>> from eluder.core.problems import EpisodicMDP
    >>> mdp = EpisodicMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], H=3)
    >>> collect_episodes(mdp, [[0.0, 1.0]], 2, np.random.default_rng(0)).r.sum()
    np.float64(6.0)
    """
    if not isinstance(mdp, EpisodicMDP):
        raise ValueError(f"mdp must be an EpisodicMDP, got {type(mdp).__name__}")
    S, A = mdp.mask.shape
    lead = (mdp.H,) if np.ndim(pi) == 3 else ()
    table = np.broadcast_to(checks.distribution("pi", pi, (*lead, S, A)), (mdp.H, S, A))
    if (bad := (table > 0) & ~mdp.mask).any():
        stage, state, action = checks.first(bad)
        raise ValueError(
            f"pi plays action {action} in state {state} at stage {stage}, which is not available"
        )
    K = checks.integer("K", K)
    s, a, t = (np.zeros((K, mdp.H), np.int64) for _ in range(3))
    r = np.zeros((K, mdp.H))
    _collect(simulator(mdp), np.ascontiguousarray(table), s, a, r, t, checks.generator(rng))
    return Transitions(s, a, r, t)


@kernel
def _collect(
    sim: Simulator,
    pi: Array,
    s: IntArray,
    a: IntArray,
    r: Array,
    s_next: IntArray,
    rng: np.random.Generator,
) -> None:
    """Fill the columns in place."""
    K, H = r.shape
    for k in range(K):
        state = reset(sim, rng)
        for h in range(H):
            s[k, h] = state
            a[k, h] = sample(pi[h, state], rng)
            state, r[k, h], _ = step(sim, h, state, a[k, h], rng)
            s_next[k, h] = state
