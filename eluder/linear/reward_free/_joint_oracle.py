"""Which model, reward and policy are the least certain together: the oracle on finite sets."""

import math

import numpy as np

from eluder.core.kernels import dot, kernel
from eluder.core.targeted_regression import TIE, TargetedRegression, confidence_norm, pair_features
from eluder.core.types import Array, BoolArray, IntArray


def goal_rewards(H: int, S: int, A: int) -> Array:
    """Return the rewards (R, H, S, A) that pay 1 for one state at one stage, the first stage left out."""
    stages = range(1, H) if H > 1 else range(1)
    rewards = np.zeros((len(stages) * S, H, S, A))
    for i, (h, s) in enumerate((h, s) for h in stages for s in range(S)):
        rewards[i, h, s] = 1.0
    return rewards


@kernel
def joint_values(
    V_hat: Array,
    V_tilde: Array,
    pi: IntArray,
    phi: Array,
    r: Array,
    theta: Array,
    mask: BoolArray,
    beta: float,
    inverse_hat: Array,
    inverse_tilde: Array,
    greedy: bool,
    x: Array,
    z: Array,
) -> None:
    """Write a policy, its value in a model (`V_tilde`) and its uncertainty (`V_hat`), in place.

    Backward, the action is that of the largest uncertainty, of equals that of the largest value; if `greedy`
    the other way round. `x`, `z` (d,) are room to work.
    """
    H, S = pi.shape
    for h in range(H - 1, -1, -1):
        for s in range(S):
            best, first, second = -1, 0.0, 0.0
            for a in range(mask.shape[1]):
                if not mask[s, a]:
                    continue
                pair_features(phi, h, s, a, V_hat[h + 1], x)
                pair_features(phi, h, s, a, V_tilde[h + 1], z)
                u = min(1.0, beta * confidence_norm(inverse_tilde, z))
                q = min(max(u + 2 * beta * confidence_norm(inverse_hat, x) + dot(theta, x), 0.0), 1.0)
                value = min(max(r[h, s, a] + dot(theta, z), 0.0), 1.0)
                one, two = (value, q) if greedy else (q, value)
                if best < 0 or one > first + TIE or (one > first - TIE and two > second + TIE):
                    best, first, second = a, one, two
            pi[h, s] = best
            V_hat[h, s] = second if greedy else first
            V_tilde[h, s] = first if greedy else second


@kernel
def joint_oracle(
    V_hat: Array,
    V_tilde: Array,
    pi: IntArray,
    phi: Array,
    rewards: Array,
    models: Array,
    kept: BoolArray,
    mask: BoolArray,
    mu: Array,
    beta: float,
    inverse_hat: Array,
    inverse_tilde: Array,
) -> float:
    """Write the values and the policy of the most uncertain model, reward and order of choice, in place."""
    d = models.shape[1]
    x, z = np.zeros(d), np.zeros(d)
    best, model, reward, order = -1.0, 0, 0, 0
    for again in range(2):
        for i in range(len(models)):
            for j in range(len(rewards)):
                for greedy in range(2):
                    chosen = i == model and j == reward and greedy == order
                    if not kept[i] or (again == 1 and not chosen):
                        continue
                    joint_values(
                        V_hat, V_tilde, pi, phi, rewards[j], models[i], mask, beta,
                        inverse_hat, inverse_tilde, greedy == 1, x, z,
                    )  # fmt: skip
                    total = (mu * V_hat[0]).sum()
                    if again == 0 and total > best + TIE:
                        best, model, reward, order = total, i, j, greedy
    return best


@kernel
def violation(theta: Array, hat: TargetedRegression, tilde: TargetedRegression) -> float:
    """Return the largest ``|theta - theta_m|_{Lambda_m}`` over the levels of both series."""
    worst = 0.0
    for m in range(hat.theta.shape[0]):
        worst = max(worst, confidence_norm(hat.Lambda[m], theta - hat.theta[m]))
        worst = max(worst, confidence_norm(tilde.Lambda[m], theta - tilde.theta[m]))
    return worst


@kernel
def local_models(
    models: Array,
    kept: BoolArray,
    hat: TargetedRegression,
    tilde: TargetedRegression,
    beta: float,
    prior: float,
) -> None:
    """Write the center and the ends of the axes of the ellipsoid of level 0 to `models` (2 d + 1, d).

    Kept are those in the ellipsoids of all levels, of radius ``beta + prior``; the one nearest to them if
    there is none. Both arrays change in place.
    """
    d = models.shape[1]
    root = np.linalg.cholesky(tilde.inverse[0])
    nearest, least = 0, math.inf
    for i in range(2 * d + 1):
        models[i] = tilde.theta[0]
        if i > 0:
            models[i] += (beta if i % 2 == 1 else -beta) * root[:, (i - 1) // 2]
        far = violation(models[i], hat, tilde)
        kept[i] = far <= beta + prior
        if far < least:
            nearest, least = i, far
    kept[nearest] = True
