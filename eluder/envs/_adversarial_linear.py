"""Adversarial linear MDPs: linear kernels, and losses that are linear in the features in every episode."""

import numpy as np

from eluder.core import checks
from eluder.core.adversarial import AdversarialMDP
from eluder.core.linear import LinearMDP, episodic
from eluder.core.types import Array
from eluder.envs._linear_mdp import random_linear_mdp

__all__ = ["adversarial_linear_mdp", "adversarial_mdp"]

LAWS = ("fixed", "switching", "stochastic", "adaptive")
SHARES = {"adaptive": 0.5}  # of the loss that reacts


def adversarial_linear_mdp(
    S: int,
    A: int,
    d: int,
    H: int,
    *,
    law: str = "switching",
    block: int = 32,
    tables: int = 4,
    concentration: float = 0.3,
    rng: np.random.Generator,
) -> AdversarialMDP:
    """Return a random linear MDP with adversarial linear losses: all policies have linear action values.

    Parameters
    ----------
    S, A, d, H : int
        Numbers of states, actions, features and stages.
    law : str, default="switching"
        "fixed": the same losses always. "switching": `tables` of them, each for `block` episodes, and again.
        "stochastic": 64 `tables` of 0 and 1 for the features around a mean, one after the other. "adaptive":
        as "switching", and half of the loss is put on the feature that the last policy saw most.
    block : int, default=32
        Episodes for which losses stay, for "switching" and "adaptive".
    tables : int, default=4
        How many losses take turns, for the same.
    concentration : float, default=0.3
        Parameter > 0 of the Dirichlet laws: the smaller, the nearer features and factors are to corners.
    rng : numpy.random.Generator
        Draws features (in the simplex), factor measures and the losses of the features.

    Returns
    -------
    AdversarialMDP
        Starts in state 0; ``|phi| <= 1`` and ``Q[h] = phi theta[h]`` with ``|theta[h]| <= (H - h) sqrt(d)``.

    Raises
    ------
    ValueError
        If a number is out of range, `law` is unknown, or `rng` is not a Generator.

    Examples
    --------
    >>> adversarial_linear_mdp(4, 2, 3, 2, rng=np.random.default_rng(0)).losses.shape
    (4, 2, 4, 2)
    """
    refuse_unknown_law(law, block, tables)
    linear = random_linear_mdp(S, A, d, H, concentration=concentration, rng=rng)
    losses, block = linear_losses(linear, law, block, tables, rng)
    return AdversarialMDP(episodic(linear).P, losses, linear.mu, linear.phi, block, SHARES.get(law, 0.0))


def refuse_unknown_law(law: str, block: int, tables: int) -> None:
    """Check how losses change, before anything is drawn."""
    if law not in LAWS:
        raise ValueError(f"law must be one of {', '.join(map(repr, LAWS))}, got {law!r}")
    checks.integer("block", block)
    checks.integer("tables", tables)


def linear_losses(
    linear: LinearMDP, law: str, block: int, tables: int, rng: np.random.Generator
) -> tuple[Array, int]:
    """Return tables of losses (N, H, S, A) that are linear in the features, and for how long each stays."""
    if law == "fixed":
        theta, block = linear.theta[None], 1
    elif law == "stochastic":
        theta, block = (rng.random((64, *linear.theta.shape)) < linear.theta).astype(float), 1
    else:
        theta = rng.random((int(tables), *linear.theta.shape))
    return np.clip(np.einsum("sai,nhi->nhsa", linear.phi, theta), 0.0, 1.0), int(block)


def adversarial_mdp(
    S: int, A: int, H: int, *, tables: int = 4, block: int = 32, rng: np.random.Generator
) -> AdversarialMDP:
    """Return a random problem with arbitrary losses that take turns, and one-hot features.

    Parameters
    ----------
    S, A, H : int
        Numbers of states, actions and stages.
    tables : int, default=4
        How many tables of losses take turns.
    block : int, default=32
        Episodes for which a table stays.
    rng : numpy.random.Generator
        Draws kernels (uniform on the simplex) and losses (uniform in [0, 1]).

    Returns
    -------
    AdversarialMDP
        Starts in state 0; every function of pairs is linear in its ``S A`` features.

    Raises
    ------
    ValueError
        If a number is out of range or `rng` is not a Generator.

    Examples
    --------
    >>> adversarial_mdp(3, 2, 2, rng=np.random.default_rng(0)).phi.shape
    (3, 2, 6)
    """
    S, A, H = checks.integer("S", S), checks.integer("A", A), checks.integer("H", H)
    tables, block = checks.integer("tables", tables), checks.integer("block", block)
    rng = checks.generator(rng)
    P = rng.dirichlet(np.ones(S), (H, S, A))
    return AdversarialMDP(P, rng.random((tables, H, S, A)), np.arange(S) == 0, block=block)
