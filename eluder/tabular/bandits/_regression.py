"""Regression of rewards on (context, action) for contextual bandits: three classes, online and offline.

"table": every pair has a parameter of its own; "finite": one of the tables ``bandit.models``; "linear":
``phi(x, a) theta``. Predictions lie in [0, 1].
"""

import math
from typing import NamedTuple

import numpy as np

from eluder.core.contextual import ContextualBandit
from eluder.core.kernels import dot, kernel
from eluder.core.types import Array

ORACLES = ("table", "finite", "linear")
TABLE, FINITE, LINEAR = range(3)
ETA = 0.5  # the square loss on [0, 1] is 1/2-exp-concave


class Oracle(NamedTuple):
    """State of an online regression; arrays of the other classes are empty.

    `n`, `s` (X, A): rounds and rewards of each pair. `loss`, `w` (N,): square loss so far and weight of each
    model. `inverse` (d, d), `b`, `theta`, `u` (d,): inverse of ``I + sum phi phi'``, ``sum r phi``,
    ``inverse b``, and room to work.
    """

    kind: int
    n: Array
    s: Array
    loss: Array
    w: Array
    inverse: Array
    b: Array
    theta: Array
    u: Array


def kind_of(oracle: str, bandit: ContextualBandit) -> int:
    """Return the code of a class of regressions; refuse one for which the problem has no data."""
    if oracle not in ORACLES:
        raise ValueError(f"oracle must be 'table', 'finite' or 'linear', got {oracle!r}")
    if oracle == "finite" and bandit.models.shape[0] == 0:
        raise ValueError("oracle 'finite' needs a class: the bandit has no models")
    if oracle == "linear" and bandit.phi.shape[2] == 0:
        raise ValueError("oracle 'linear' needs features: the bandit has no phi")
    return ORACLES.index(oracle)


def online_oracle(kind: int, bandit: ContextualBandit) -> Oracle:
    """Return an oracle that has seen nothing."""
    X, A = bandit.means.shape if kind == TABLE else (0, 0)
    N = bandit.models.shape[0] if kind == FINITE else 0
    d = bandit.phi.shape[2] if kind == LINEAR else 0
    n, s = np.zeros((X, A)), np.zeros((X, A))
    w = np.full(N, 1.0 / N) if N else np.zeros(0)
    return Oracle(kind, n, s, np.zeros(N), w, np.eye(d), np.zeros(d), np.zeros(d), np.zeros(d))


def dimension(kind: int, bandit: ContextualBandit) -> int:
    """Return the number of parameters of a class: available pairs, or features; 0 for a finite class."""
    return (int(bandit.mask.sum()), 0, bandit.phi.shape[2])[kind]


def square_regret(kind: int, bandit: ContextualBandit, T: int) -> float:
    """Return a bound on the regret in square loss of the online oracle after T rounds with rewards in [0, 1].

    table: ``M (2 ln(1 + T / M) + 1/4)`` for M pairs: follow the leader from one fictitious reward 1/2.
    finite: ``2 ln N``, exponential weights at rate 1/2.
    linear: ``|theta|^2 + d ln(1 + T L^2 / d)`` with ``L = max |phi|``, Vovk-Azoury-Warmuth; it is evaluated
    at ``|theta|^2 = d``, which the learner does not know.
    """
    if kind == TABLE:
        M = dimension(kind, bandit)
        return M * (2 * math.log(1 + T / M) + 0.25)
    if kind == FINITE:
        return 2 * math.log(bandit.models.shape[0])
    d = dimension(kind, bandit)
    L2 = float((bandit.phi**2).sum(axis=2)[bandit.mask].max())
    return d + d * math.log(1 + T * L2 / d)


@kernel
def clip01(y: float) -> float:
    """Return the nearest number in [0, 1]."""
    return min(max(y, 0.0), 1.0)


@kernel
def predict(oracle: Oracle, bandit: ContextualBandit, x: int, y: Array) -> None:
    """Fill `y` (A,) in place with the predictions for the available actions of context x."""
    for a in range(y.size):
        if not bandit.mask[x, a]:
            continue
        if oracle.kind == TABLE:
            y[a] = (oracle.s[x, a] + 0.5) / (oracle.n[x, a] + 1.0)
        elif oracle.kind == FINITE:
            total = 0.0
            for i in range(oracle.w.size):
                total += oracle.w[i] * bandit.models[i, x, a]
            y[a] = total
        else:
            f = bandit.phi[x, a]
            y[a] = clip01(dot(f, oracle.theta) / (1.0 + _quadratic(oracle.inverse, f)))


@kernel
def _quadratic(M: Array, f: Array) -> float:
    """Return ``f' M f`` of a symmetric matrix."""
    total = 0.0
    for i in range(f.size):
        row = 0.5 * M[i, i] * f[i]
        for j in range(i):
            row += M[i, j] * f[j]
        total += 2.0 * row * f[i]
    return total


@kernel
def learn(oracle: Oracle, bandit: ContextualBandit, x: int, a: int, reward: float) -> None:
    """Feed one round to an online oracle, in place."""
    if oracle.kind == TABLE:
        oracle.n[x, a] += 1.0
        oracle.s[x, a] += reward
    elif oracle.kind == FINITE:
        _learn_weights(oracle.loss, oracle.w, bandit.models[:, x, a], reward)
    else:
        _learn_linear(oracle.inverse, oracle.theta, oracle.u, bandit.phi[x, a], reward)


@kernel
def _learn_weights(loss: Array, w: Array, f: Array, reward: float) -> None:
    """Exponential weights ``w_i = exp(-loss_i / 2)``, normalised; `loss` and `w` in place."""
    least = math.inf
    for i in range(w.size):
        loss[i] += (f[i] - reward) ** 2
        least = min(least, loss[i])
    total = 0.0
    for i in range(w.size):
        w[i] = math.exp(-ETA * (loss[i] - least))
        total += w[i]
    for i in range(w.size):
        w[i] /= total


@kernel
def _learn_linear(inverse: Array, theta: Array, u: Array, f: Array, reward: float) -> None:
    """One rank-one update of ``(I + sum f f')^-1`` and of ``theta = inverse sum r f``; all in place."""
    d = f.size
    quadratic = predicted = 0.0
    for i in range(d):
        u[i] = dot(inverse[i], f)
        quadratic += u[i] * f[i]
        predicted += theta[i] * f[i]
    for i in range(d):
        step = u[i] / (1.0 + quadratic)
        theta[i] += step * (reward - predicted)
        for j in range(d):
            inverse[i, j] -= step * u[j]


@kernel
def fit(kind: int, bandit: ContextualBandit, n: Array, s: Array, f: Array) -> None:
    """Least squares on rounds `n` (X, A) with sums of rewards `s`; fills the table `f` (X, A) in place.

    table: means shrunk by one fictitious reward 1/2; finite: the model of least square loss, the first of
    equals; linear: ridge with weight 1, clipped to [0, 1].
    """
    X, A = f.shape
    if kind == TABLE:
        for x in range(X):
            for a in range(A):
                f[x, a] = (s[x, a] + 0.5) / (n[x, a] + 1.0)
    elif kind == FINITE:
        best, least = 0, math.inf
        for i in range(bandit.models.shape[0]):
            loss = 0.0
            for x in range(X):
                for a in range(A):
                    m = bandit.models[i, x, a]
                    loss += m * (n[x, a] * m - 2.0 * s[x, a])
            if loss < least:
                best, least = i, loss
        f[:] = bandit.models[best]
    else:
        _fit_linear(bandit.phi, n, s, f)


@kernel
def _fit_linear(phi: Array, n: Array, s: Array, f: Array) -> None:
    """Ridge with weight 1 from sums over pairs; fills `f` in place."""
    X, A, d = phi.shape
    V, b = np.eye(d), np.zeros(d)
    for x in range(X):
        for a in range(A):
            if n[x, a] > 0.0:
                for i in range(d):
                    b[i] += s[x, a] * phi[x, a, i]
                    for j in range(d):
                        V[i, j] += n[x, a] * phi[x, a, i] * phi[x, a, j]
    theta = np.linalg.solve(V, b).astype(np.float64)
    for x in range(X):
        for a in range(A):
            f[x, a] = clip01(dot(phi[x, a], theta))
