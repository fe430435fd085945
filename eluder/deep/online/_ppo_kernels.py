"""Proximal policy optimisation on the CPU: the epochs of one rollout as one compiled call, and acting.

The same equations as the losses of `_ppo`, differentiated by hand. Seeds pass one after another, each
through all its minibatches while its networks stay in the cache.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from eluder.core.kernels import kernel
from eluder.core.types import BoolArray, IntArray
from eluder.deep.common.compiled import (
    BETA1,
    BETA2,
    Array,
    Net,
    adam_in_place,
    backward,
    forward,
    log_softmax,
    rows_of,
)

__all__ = ["METRICS", "Data", "Rules", "act_rows", "learn_epochs"]

LOG_ROOT = 0.5 * math.log(2.0 * math.pi)
METRICS = ("policy_loss", "value_loss", "entropy", "kl", "clipped", "grad_norm")


class Data(NamedTuple):
    """A rollout of N seeds to learn from, M rows each: arrays, or tensors."""

    obs: Any  # (N, M, obs_dim), normalised
    action: Any  # (N, M, A); (N, M, 1) where it is a number of an action
    log_prob: Any  # (N, M)
    advantage: Any
    target: Any
    value: Any
    weight: Any  # 0 where the row is no transition


class Rules(NamedTuple):
    """The numbers of the objective; those that are switched off are infinite."""

    discrete: bool
    normalise: bool
    clip: float
    value_clip: float
    value_coef: float
    entropy_coef: float
    max_grad_norm: float
    max_kl: float
    eps: float


@kernel
def act_rows(
    flat: Array,
    log_std_at: int,
    net: Net,
    obs: Array,
    mean: Array,
    squares: Array,
    count: Array,
    clip: float,
    noise: Array,
    mode: bool,
    discrete: bool,
    memory: Array,
    out: Array,
) -> None:
    """Fill `out` (N, E, A) with actions, discrete ones (N, E, 1) as numbers: the mode, or from `noise`."""
    N, E, D = obs.shape
    L = net.sizes.size - 1
    A = net.sizes[L]
    for n in range(N):
        x = rows_of(memory, net, 0, E)
        for j in range(D):
            var = squares[n, j] / count[n, 0] if count[n, 0] > 0 else 1.0
            scale = 1.0 / math.sqrt(var + 1e-8)
            for e in range(E):
                x[e, j] = min(max((obs[n, e, j] - mean[n, j]) * scale, -clip), clip)
        forward(flat, net, n, memory, E)
        y = rows_of(memory, net, L, E)
        if discrete:
            log_softmax(y)
            for e in range(E):
                if mode:
                    out[n, e, 0] = np.argmax(y[e])
                    continue
                total, choice = 0.0, 0
                for j in range(A):
                    total += math.exp(y[e, j])
                    if total < noise[n, e, 0] and choice < A - 1:
                        choice = j + 1
                out[n, e, 0] = min(choice, A - 1)
        else:
            for e in range(E):
                for a in range(A):
                    out[n, e, a] = y[e, a]
                    if not mode:
                        out[n, e, a] += math.exp(flat[log_std_at + n * A + a]) * noise[n, e, a]


@kernel
def _log_prob(
    rules: Rules, y: Array, log_std: Array, action: Array, weight: Array, total: float, out: Array
) -> float:
    """Fill `out` with log-densities of the actions; discrete: y becomes ln p. Return the mean entropy."""
    b, A = y.shape
    entropy: float = 0.0
    if rules.discrete:
        log_softmax(y)
        for k in range(b):
            out[k] = y[k, int(action[k, 0])]
            for j in range(A):
                entropy -= weight[k] / total * math.exp(y[k, j]) * y[k, j]
        return entropy
    for k in range(b):
        total = 0.0
        for a in range(A):
            z = (action[k, a] - y[k, a]) * math.exp(-log_std[a])
            total -= 0.5 * z * z + log_std[a] + LOG_ROOT
        out[k] = total
    for a in range(A):
        entropy += float(log_std[a]) + LOG_ROOT + 0.5
    return entropy


@kernel
def _pull_log_prob(
    rules: Rules,
    y: Array,
    log_std: Array,
    action: Array,
    d: Array,
    weight: Array,
    total: float,
    dy: Array,
    d_log_std: Array,
) -> None:
    """Fill the derivatives in the outputs and in log_std, given those in the log-densities."""
    b, A = y.shape
    if rules.discrete:
        for k in range(b):
            entropy = 0.0
            for j in range(A):
                entropy -= math.exp(y[k, j]) * y[k, j]
            share = rules.entropy_coef * weight[k] / total
            for j in range(A):
                p = math.exp(y[k, j])
                dy[k, j] = share * p * (y[k, j] + entropy) - d[k] * p
            dy[k, int(action[k, 0])] += d[k]
        return
    for a in range(A):
        inverse, sums, share = math.exp(-log_std[a]), 0.0, 0.0
        for k in range(b):
            z = (action[k, a] - y[k, a]) * inverse
            dy[k, a] = d[k] * z * inverse
            sums += d[k] * (z * z - 1.0)
            share += weight[k]
        d_log_std[a] = sums - rules.entropy_coef * share / total


@kernel
def _surrogate(
    rules: Rules, log_ratio: Array, advantage: Array, weight: Array, total: float, d: Array, sums: Array
) -> None:
    """Fill the derivative of the clipped objective in the log-densities; add to the metrics."""
    low, high = 1.0 - rules.clip, 1.0 + rules.clip
    count, mean, square = 0.0, 0.0, 0.0
    for k in range(d.size):
        count += weight[k]
        mean += weight[k] * advantage[k] / total
    for k in range(d.size):
        square += weight[k] * (advantage[k] - mean) ** 2
    scale = 1.0 / (math.sqrt(square / max(count - 1.0, 1.0)) + 1e-8)
    for k in range(d.size):
        A = (advantage[k] - mean) * scale if rules.normalise else advantage[k]
        ratio = math.exp(log_ratio[k])
        free, held = ratio * A, min(max(ratio, low), high) * A
        share = weight[k] / total
        d[k] = 0.0 if free > held else -share * free  # so written, what is no number stays none
        sums[0] -= share * (held if held < free else free)
        sums[4] += share * (abs(ratio - 1.0) > rules.clip)


@kernel
def _value_error(
    rules: Rules,
    v: Array,
    old: Array,
    target: Array,
    weight: Array,
    total: float,
    dv: Array,
    sums: Array,
) -> None:
    """Fill the derivative of the squared error in the values; add to the metrics."""
    for k in range(v.size):
        error = v[k] - target[k]
        held = old[k] + min(max(v[k] - old[k], -rules.value_clip), rules.value_clip) - target[k]
        outside = abs(v[k] - old[k]) > rules.value_clip
        share = weight[k] / total
        dv[k] = 0.0 if outside and error * error < held * held else rules.value_coef * share * error
        sums[1] += share * 0.5 * max(error * error, held * held)


@kernel
def _step(
    flat: Array,
    grad: Array,
    m: Array,
    v: Array,
    blocks: IntArray,
    n: int,
    rules: Rules,
    lr: float,
    steps: float,
) -> float:
    """Clip the gradient of seed n by its norm and take a step of Adam; return the norm before."""
    square = 0.0
    for i in range(len(blocks)):
        a = blocks[i, 0] + n * blocks[i, 1]
        g = grad[a : a + blocks[i, 1]]
        square += np.dot(g, g)
    norm = math.sqrt(square)
    scale = np.float32(min(1.0, rules.max_grad_norm / (norm + 1e-6)))
    rate, root = lr / (1.0 - BETA1**steps), math.sqrt(1.0 - BETA2**steps)
    for i in range(len(blocks)):
        a, c = blocks[i, 0] + n * blocks[i, 1], blocks[i, 0] + (n + 1) * blocks[i, 1]
        g = grad[a:c]
        for j in range(g.size):
            g[j] *= scale
        adam_in_place(flat[a:c], g, m[a:c], v[a:c], rate, root, rules.eps)
    return norm


@kernel
def _gather(data: Data, n: int, rows: IntArray, x: Array, action: Array, columns: Array) -> None:
    """Copy some rows of seed n: observations, actions, and the five columns of numbers."""
    for k in range(rows.size):
        r = rows[k]
        for j in range(x.shape[1]):
            x[k, j] = data.obs[n, r, j]
        for j in range(action.shape[1]):
            action[k, j] = data.action[n, r, j]
        columns[0, k] = data.log_prob[n, r]
        columns[1, k] = data.advantage[n, r]
        columns[2, k] = data.target[n, r]
        columns[3, k] = data.value[n, r]
        columns[4, k] = data.weight[n, r]


@kernel
def learn_epochs(
    flat: Array,
    grad: Array,
    m: Array,
    v: Array,
    count: Array,
    blocks: IntArray,
    log_std: IntArray,
    actor: Net,
    critic: Net,
    data: Data,
    order: IntArray,
    rules: Rules,
    B: int,
    lr: float,
    active: BoolArray,
    memory: tuple[Array, Array, Array, Array],
    sums: Array,
    taken: Array,
) -> None:
    """Do the epochs of `order` (N, epochs, M) on a rollout.

    Change parameters, moments and counts of steps in place; add the metrics of each minibatch to `sums`
    (N, 6) and their number to `taken` (N,). A seed whose divergence passes the limit becomes inactive.
    """
    h, dh, c, dc = memory
    L, K = actor.sizes.size - 1, critic.sizes.size - 1
    N, epochs, M = order.shape
    A, columns = data.action.shape[2], np.empty((8, B), np.float32)
    chosen = np.empty((B, A), np.float32)
    part = np.zeros(6)
    for n in range(N):
        at = log_std[0] + n * log_std[1]
        spread, d_spread = flat[at : at + log_std[1]], grad[at : at + log_std[1]]
        for start in range(0, epochs * M, M):
            for first in range(0, M, B):
                if not active[n]:
                    break
                rows = order[n, start // M, first : min(first + B, M)]
                b = rows.size
                action, w = chosen[:b], columns[4, :b]
                _gather(data, n, rows, rows_of(h, actor, 0, b), action, columns)
                c[0, : b * actor.sizes[0]] = h[0, : b * actor.sizes[0]]
                total = w.sum()
                if total == 0.0:
                    continue
                part[:] = 0.0

                # policy
                forward(flat, actor, n, h, b)
                y = rows_of(h, actor, L, b)
                ratio = columns[5, :b]
                part[2] = _log_prob(rules, y, spread, action, w, total, ratio)
                for k in range(b):
                    ratio[k] -= columns[0, k]
                    part[3] += w[k] / total * (math.exp(ratio[k]) - 1.0 - ratio[k])
                if part[3] > rules.max_kl:
                    active[n] = False
                    break
                d = columns[6, :b]
                _surrogate(rules, ratio, columns[1, :b], w, total, d, part)
                _pull_log_prob(rules, y, spread, action, d, w, total, rows_of(dh, actor, L, b), d_spread)
                backward(flat, grad, actor, n, h, dh, b)

                # value
                forward(flat, critic, n, c, b)
                _value_error(rules, c[K, :b], columns[3, :b], columns[2, :b], w, total, dc[K, :b], part)
                backward(flat, grad, critic, n, c, dc, b)

                # step
                count[n] += 1.0
                part[5] = _step(flat, grad, m, v, blocks, n, rules, lr, count[n])
                sums[n] += part
                taken[n] += 1.0
