"""Maximum likelihood of a generalised linear model on a ball, from the sums of each arm's rewards."""

import math
from typing import NamedTuple

import numpy as np

from eluder.core.kernels import dot, kernel
from eluder.core.linear_bandits import LOGISTIC, mean_of
from eluder.core.ridge import Ridge
from eluder.core.types import Array

EXACT = 1e-22  # square of the Newton decrement at which a solution counts as exact


class Likelihood(NamedTuple):
    """The problem ``min_theta sum_a n_a B(z_a) - s_a z_a + weight / 2 |theta|^2``, ``|theta| <= S``."""

    link: int
    weight: float
    S: float
    theta: Array
    gradient: Array
    step: Array
    trial: Array
    H: Array


def likelihood(d: int, link: int, weight: float, S: float) -> Likelihood:
    """Return the problem with its work space and theta = 0."""
    return Likelihood(link, weight, S, np.zeros(d), np.zeros(d), np.zeros(d), np.zeros(d), np.zeros((d, d)))


@kernel
def cumulant(link: int, z: float) -> float:
    """Return B(z), whose derivative is the link."""
    if link == LOGISTIC:
        return max(z, 0.0) + math.log1p(math.exp(-abs(z)))
    return 0.5 * z * z


@kernel
def objective(M: Likelihood, R: Ridge, theta: Array, weight: float) -> float:
    """Return what is minimised."""
    value = 0.5 * weight * dot(theta, theta)
    for a in range(R.n.size):
        if R.n[a] > 0.0:
            z = dot(R.phi[a], theta)
            value += R.n[a] * cumulant(M.link, z) - R.s[a] * z
    return value


@kernel
def cholesky(H: Array) -> None:
    """Replace the lower triangle of H by its Cholesky factor."""
    for j in range(H.shape[0]):
        for k in range(j):
            H[j, j] -= H[j, k] * H[j, k]
        H[j, j] = math.sqrt(H[j, j])
        for i in range(j + 1, H.shape[0]):
            for k in range(j):
                H[i, j] -= H[i, k] * H[j, k]
            H[i, j] /= H[j, j]


@kernel
def solve(H: Array, x: Array) -> None:
    """Replace x by the solution for the Cholesky factor in H."""
    d = x.size
    for i in range(d):
        for k in range(i):
            x[i] -= H[i, k] * x[k]
        x[i] /= H[i, i]
    for i in range(d - 1, -1, -1):
        for k in range(i + 1, d):
            x[i] -= H[k, i] * x[k]
        x[i] /= H[i, i]


@kernel
def expand(M: Likelihood, R: Ridge, weight: float) -> None:
    """Write the gradient at theta and the Cholesky factor of the Hessian into M."""
    d = M.theta.size
    for i in range(d):
        M.gradient[i] = weight * M.theta[i]
        for j in range(d):
            M.H[i, j] = weight if i == j else 0.0
    for a in range(R.n.size):
        if R.n[a] > 0.0:
            m = mean_of(M.link, dot(R.phi[a], M.theta))
            slope = m * (1.0 - m) if M.link == LOGISTIC else 1.0
            off = R.n[a] * m - R.s[a]
            for i in range(d):
                M.gradient[i] += off * R.phi[a, i]
                f = R.n[a] * slope * R.phi[a, i]
                for j in range(i + 1):
                    M.H[i, j] += f * R.phi[a, j]
    cholesky(M.H)


@kernel
def newton(M: Likelihood, R: Ridge, weight: float) -> None:
    """Minimise without the ball, from theta, in place; leave the factor of the Hessian."""
    d = M.theta.size
    for _ in range(100):
        expand(M, R, weight)
        M.step[:] = M.gradient
        solve(M.H, M.step)
        decrement = dot(M.step, M.gradient)
        length = 1.0
        if decrement > 1e-4:  # below, full steps converge, and rounding would hide the progress
            before = objective(M, R, M.theta, weight)
            while length > 1e-10:
                for i in range(d):
                    M.trial[i] = M.theta[i] - length * M.step[i]
                if objective(M, R, M.trial, weight) <= before - 0.1 * length * decrement:
                    break
                length *= 0.5
        for i in range(d):
            M.theta[i] -= length * M.step[i]
        if decrement < EXACT:
            return


@kernel
def fit(M: Likelihood, R: Ridge) -> None:
    """Minimise over the ball, from theta, in place: where it binds, by the penalty that meets |theta| = S."""
    newton(M, R, M.weight)
    norm = math.sqrt(dot(M.theta, M.theta))
    if norm <= M.S:
        return
    low, high, rho = M.weight, math.inf, M.weight
    for _ in range(200):
        if abs(norm - M.S) <= 1e-12 * M.S:
            return
        if norm > M.S:
            low = rho
        else:
            high = rho
        M.step[:] = M.theta
        solve(M.H, M.step)
        rho += norm**2 / dot(M.step, M.theta) * (norm - M.S) / M.S
        if not low < rho < high:
            rho = 2.0 * low if high == math.inf else math.sqrt(low * high)
        newton(M, R, rho)
        norm = math.sqrt(dot(M.theta, M.theta))
