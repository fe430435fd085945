"""The simulator of linear MDPs that kernels run on, with exact evaluation by the factors.

Where the factors of a linear MDP are not negative, ``P_h = phi psi_h`` is never written out: a step mixes the
d measures that its pair weighs, and the value of a policy needs ``psi_h V[h+1]`` and one product with the
features of each state, O(H d S) in all where tables take O(H S^2). Otherwise, where rounding might leave
probabilities slightly negative, and for problems that are only nearly linear, there is a table of kernels.

A learner touches the dynamics through `reset` and `step` only; the values of policies are measurement.
"""

from typing import NamedTuple

import numpy as np

from eluder.core.kernels import dot, kernel, sample
from eluder.core.linear import LinearMDP, MisspecifiedLinearMDP, episodic, refuse_not_linear
from eluder.core.types import Array, BoolArray, IntArray

__all__ = ["LinearSimulator", "linear_simulator", "measure", "policy_value", "reset", "step"]

EXACT = 1e-13  # by how much the sums of factored probabilities may miss 1


class LinearSimulator(NamedTuple):
    """A linear MDP as kernels read it; one of `psi` and `P` is empty.

    Attributes
    ----------
    phi : ndarray, shape (S, A, d)
        Features.
    psi : ndarray, shape (H, d, S) or (0, d, S)
        Factor measures.
    P : ndarray, shape (0, S, A, S) or (H, S, A, S)
        Kernels of the stages.
    r : ndarray, shape (H, S, A)
        Mean rewards.
    mu : ndarray, shape (S,)
        Distribution of the initial state.
    mask : ndarray of bool, shape (S, A)
        Available actions.
    bernoulli : bool
        Whether rewards are drawn as 0 or 1.
    row, w : ndarray, shape (S,), (d,)
        Room to work.
    """

    phi: Array
    psi: Array
    P: Array
    r: Array
    mu: Array
    mask: BoolArray
    bernoulli: bool
    row: Array
    w: Array


def linear_simulator(mdp: LinearMDP | MisspecifiedLinearMDP) -> LinearSimulator:
    """Lay out a linear MDP by its factors, or by a table of kernels where these are needed.

    Parameters
    ----------
    mdp : LinearMDP or MisspecifiedLinearMDP
        The problem.

    Returns
    -------
    LinearSimulator
        The dynamics of ``episodic(mdp)``, up to the rounding of one sum.

    Raises
    ------
    ValueError
        If `mdp` is not linear.

    Notes
    -----
    O(H S A d) time, or O(H S^2 A d) where tables are needed.

    Examples
    --------
    >>> from eluder.envs import random_linear_mdp
    >>> sim = linear_simulator(random_linear_mdp(5, 2, 3, 4, rng=np.random.default_rng(0)))
    >>> sim.psi.shape, sim.P.shape
    ((4, 3, 5), (0, 5, 2, 5))
    """
    refuse_not_linear(mdp)
    S, A, d = mdp.phi.shape
    psi, P = np.zeros((0, d, S)), np.zeros((0, S, A, S))
    if isinstance(mdp, LinearMDP) and _is_product(mdp):
        psi = np.array(mdp.psi)
        r = np.clip(np.einsum("sad,hd->hsa", mdp.phi, mdp.theta), 0.0, 1.0)
    else:
        tables = episodic(mdp)
        P, r = np.ascontiguousarray(tables.P), np.array(tables.r)
    mu, mask = np.array(mdp.mu), np.array(mdp.mask)
    return LinearSimulator(np.array(mdp.phi), psi, P, r, mu, mask, mdp.bernoulli, np.zeros(S), np.zeros(d))


def _is_product(mdp: LinearMDP) -> bool:
    """Return whether ``phi psi_h`` needs no correction: no term is negative, and rows sum to 1."""
    if (mdp.phi < 0).any() or (mdp.psi < 0).any():
        return False
    sums = mdp.phi @ mdp.psi.sum(axis=2).T
    return bool((np.abs(sums - 1) <= EXACT).all())


@kernel
def reset(sim: LinearSimulator, rng: np.random.Generator) -> int:
    """Draw an initial state."""
    return sample(sim.mu, rng)


@kernel
def step(sim: LinearSimulator, h: int, s: int, a: int, rng: np.random.Generator) -> tuple[int, float]:
    """Play `a` in `s` at stage `h`; return the next state and the observed reward."""
    reward = sim.r[h, s, a]
    if sim.bernoulli:
        reward = 1.0 if rng.random() < reward else 0.0
    if sim.P.shape[0] > 0:
        return sample(sim.P[h, s, a], rng), reward
    row = sim.row
    row[:] = 0.0
    for i in range(sim.w.size):
        weight = sim.phi[s, a, i]
        if weight > 0.0:
            factor = sim.psi[h, i]
            for t in range(row.size):
                row[t] += weight * factor[t]
    return sample(row, rng), reward


@kernel
def policy_value(sim: LinearSimulator, pi: IntArray, V: Array, top: int) -> float:
    """Return the exact value of a deterministic policy from `mu`.

    `V` (H + 1, S) holds the values of the policy evaluated before; only the stages up to `top`, the last
    one at which the policy changed, are computed again, in place.
    """
    w = sim.w
    for h in range(top, -1, -1):
        if sim.P.shape[0] > 0:
            for s in range(sim.mu.size):
                a = pi[h, s]
                V[h, s] = sim.r[h, s, a] + dot(sim.P[h, s, a], V[h + 1])
        else:
            for i in range(w.size):
                w[i] = dot(sim.psi[h, i], V[h + 1])
            for s in range(sim.mu.size):
                a = pi[h, s]
                V[h, s] = sim.r[h, s, a] + dot(sim.phi[s, a], w)
    return dot(sim.mu, V[0])


@kernel
def measure(value: Array, k: int, sim: LinearSimulator, pi: IntArray, V: Array, top: int) -> None:
    """Write the exact value of the policy of episode `k` to ``value[k]``, and its values to `V`, in place.

    `top` is the last stage at which the policy is another than in the episode before, or -1.
    """
    if k == 0:
        value[k] = policy_value(sim, pi, V, pi.shape[0] - 1)
    elif top >= 0:
        value[k] = policy_value(sim, pi, V, top)
    else:
        value[k] = value[k - 1]
