r"""MDPs whose policies all have linear action values, although their kernels are not linear.

A linear MDP asks that every kernel is linear in the features, so that each ``P_h`` has rank d at most.
Linear action values of every policy ask for less. Let some states be for transit: their actions share one
feature vector f(x) and one kernel, so that ``V_h(x) = f(x)' theta_h`` whatever the policy. Take a linear MDP
and move, from each pair, mass among transit states in a way n with ``sum_x n(x) f(x) = 0``. (Features in the
simplex sum to 1, so ``sum_x n(x) = 0`` follows.) No policy's expected value notices:

    P_h(. | s, a) = phi(s, a)' psi_h + n_h(s, a),   sum_x n_h(s, a)(x) V_{h+1}(x) = 0  for every policy

so ``Q_h(s, a) = phi(s, a)' (l_h + psi_h V_{h+1})`` as before, while the rank of ``P_h`` exceeds d in general.
To states with a choice the kernel stays linear: values there are not linear in anything fixed. Learners that
assume linear kernels have no guarantee here; those that need linear action values only keep theirs.
"""

import numpy as np

from eluder.core import checks
from eluder.core.adversarial import AdversarialMDP
from eluder.core.linear import LinearMDP, episodic
from eluder.core.types import Array
from eluder.envs._adversarial_linear import SHARES, linear_losses, refuse_unknown_law

__all__ = ["linear_q_mdp"]


def linear_q_mdp(
    S: int,
    A: int,
    d: int,
    H: int,
    *,
    transit: int | None = None,
    law: str = "switching",
    block: int = 32,
    tables: int = 4,
    concentration: float = 0.3,
    rng: np.random.Generator,
) -> AdversarialMDP:
    """Return a random problem in which every policy has linear action values, but which is no linear MDP.

    Parameters
    ----------
    S, A, d, H : int
        Numbers of states, at least ``d + 2``, of actions, features and stages.
    transit : int, optional
        Number of transit states, the last ones, from ``d + 1`` to ``S - 1``; by default half of the states
        or ``d + 1`` if that is more. Their actions do the same and have the same features.
    law : str, default="switching"
        As in `adversarial_linear_mdp`: "fixed", "switching", "stochastic" or "adaptive".
    block : int, default=32
        Episodes for which losses stay, for "switching" and "adaptive".
    tables : int, default=4
        How many losses take turns, for the same.
    concentration : float, default=0.3
        Parameter > 0 of the Dirichlet laws of features and factors.
    rng : numpy.random.Generator
        Draws features (in the simplex), factor measures, what is moved and the losses of the features.

    Returns
    -------
    AdversarialMDP
        Starts in state 0, where there is a choice; ``|phi| <= 1`` and ``Q[h] = phi theta[h]`` for every
        policy, with ``|theta[h]| <= (H - h) sqrt(d)``. From each pair the mass on transit states is gathered,
        at random, on at most d of them.

    Raises
    ------
    ValueError
        If a number is out of range, `law` is unknown, or `rng` is not a Generator.

    Examples
    --------
    >>> mdp = linear_q_mdp(8, 2, 3, 2, rng=np.random.default_rng(0))
    >>> np.linalg.matrix_rank(mdp.P[0].reshape(-1, 8))
    np.int64(4)
    """
    d, A, H = checks.integer("d", d), checks.integer("A", A), checks.integer("H", H)
    S = checks.integer("S", S, d + 2)
    n = max(d + 1, S // 2) if transit is None else checks.integer("transit", transit, d + 1, S - 1)
    alpha = checks.number("concentration", concentration, 0.0, open_low=True)
    refuse_unknown_law(law, block, tables)
    rng = checks.generator(rng)
    phi = rng.dirichlet(np.full(d, alpha), (S, A))
    phi[S - n :] = phi[S - n :, :1]
    psi = rng.dirichlet(np.full(S, alpha), (H, d))
    linear = LinearMDP(phi, psi, rng.random((H, d)), np.arange(S) == 0)
    P = episodic(linear).P.copy()
    for h, s, a in np.ndindex(H, S, A):
        _gather(P[h, s, a, S - n :], phi[S - n :, 0], rng)
    P[:, S - n :] = P[:, S - n :, :1]
    losses, block = linear_losses(linear, law, block, tables, rng)
    return AdversarialMDP(P, losses, linear.mu, phi, block, SHARES.get(law, 0.0))


def _gather(p: Array, f: Array, rng: np.random.Generator) -> None:
    """Gather the mass p (n,) on at most rank(f) states with the same ``p f``, at random, in place."""
    while True:
        support = np.flatnonzero(p)
        unseen = np.linalg.svd(f[support])[0][:, np.linalg.matrix_rank(f[support]) :]
        if unseen.shape[1] == 0:
            return
        n = unseen @ rng.normal(size=unseen.shape[1])  # sums to 0: some entries are positive
        times = np.where(n > 0, p[support] / np.where(n > 0, n, 1.0), np.inf)
        p[support] = np.maximum(p[support] - times.min() * n, 0.0)
        p[support[np.argmin(times)]] = 0.0
