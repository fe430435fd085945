"""The explorers' definitions from their papers: dense arrays, no care for speed."""

import numpy as np

from eluder.core.simulator import reset, simulator, step
from eluder.tabular.exploration._shared import Counts, stage_table


def optimal_value(mdp):
    """Return V* (H + 1, S) by backward induction."""
    S, A = mdp.mask.shape
    P = np.broadcast_to(mdp.P, (mdp.H, S, A, S))
    r = np.broadcast_to(mdp.r, (mdp.H, S, A))
    V = np.zeros((mdp.H + 1, S))
    for h in reversed(range(mdp.H)):
        V[h] = np.where(mdp.mask, r[h] + P[h] @ V[h + 1], -np.inf).max(axis=1)
    return V


def value(mdp, pi):
    """Return the value from mu of a deterministic policy, by backward induction."""
    S, A = mdp.mask.shape
    P = np.broadcast_to(mdp.P, (mdp.H, S, A, S))
    r = np.broadcast_to(mdp.r, (mdp.H, S, A))
    V = np.zeros(S)
    for h in reversed(range(mdp.H)):
        V = r[h][np.arange(S), pi[h]] + P[h][np.arange(S), pi[h]] @ V
    return mdp.mu @ V


def dense_counts(n_next, sim):
    """Unfold counts by successor slot (G, S, A, B) into counts by state (G, S, A, S)."""
    G, S, A, B = n_next.shape
    dense = np.zeros((G, S, A, S), np.int64)
    for g, s, a, i in np.ndindex(G, S, A, B):
        dense[g, s, a, sim.succ[min(g, len(sim.succ) - 1), s, a, i]] += n_next[g, s, a, i]
    return dense


def random_counts(mdp, stationary, seed, high=4):
    """Random counts by successor slot, of available pairs, with some pairs never visited."""
    rng = np.random.default_rng(seed)
    sim = simulator(mdp)
    G = stage_table(mdp, stationary)[-1] + 1
    prob = np.broadcast_to(sim.prob, (G, *sim.prob.shape[1:])) if len(sim.prob) == 1 else sim.prob
    seen = rng.random(prob.shape[:3]) < 0.8
    return rng.integers(0, high, prob.shape) * (prob > 0) * (mdp.mask & seen)[..., None]


def counts_of(n_next, table):
    """The learner's counts with the given successor counts."""
    n = n_next.sum(axis=-1)
    return Counts(table, n, n_next, n_next / np.maximum(n, 1)[..., None])


def ucbvi_plan(Q, n_next, visits, r, bonus, L, c):
    """Algorithms 2 to 4 of Azar et al. 2017; `n_next` (H, S, A, S) is what stage h counts with."""
    H, S, A = Q.shape
    Q = Q.copy()
    V = np.zeros((H + 1, S))
    for h in reversed(range(H)):
        for s in range(S):
            for a in range(A):
                n = n_next[h, s, a].sum()
                if n == 0:
                    continue
                P_hat = n_next[h, s, a] / n
                PV = P_hat @ V[h + 1]
                if bonus == "hoeffding":
                    b = 7 * H * L * np.sqrt(1 / n)
                else:
                    variance = P_hat @ (V[h + 1] - PV) ** 2
                    with np.errstate(divide="ignore"):
                        W = np.minimum(100**2 * H**3 * S**2 * A * L**2 / visits[h + 1], H**2)
                    b = np.sqrt(8 * L * variance / n) + 14 * H * L / (3 * n)
                    b += np.sqrt(8 * (P_hat @ W) / n)
                Q[h, s, a] = min(Q[h, s, a], H - h, r[h, s, a] + PV + c * b)
            V[h, s] = Q[h, s].max()
    return Q, V


class UCBQLearning:
    """Algorithms 1 and 2 of Jin et al. 2018, with H - h for H and c for c1 and c2."""

    def __init__(self, Q, V, N, mu, sigma, beta, bonus, iota, c):
        self.Q, self.V, self.N = Q.copy(), V.copy(), N.copy()
        self.mu, self.sigma, self.beta = mu.copy(), sigma.copy(), beta.copy()
        self.bonus, self.iota, self.c = bonus, iota, c

    def update(self, h, s, a, r, s_next):
        H, S, A = self.Q.shape
        i = h, s, a
        self.N[i] += 1
        t = self.N[i]
        alpha = (H + 1) / (H + t)
        if self.bonus == "hoeffding":
            b = self.c * np.sqrt(H**3 * self.iota / t)
        else:
            self.mu[i] += self.V[h + 1, s_next]
            self.sigma[i] += self.V[h + 1, s_next] ** 2
            W = (self.sigma[i] - self.mu[i] ** 2 / t) / t
            first = np.sqrt(H / t * (W + H) * self.iota) + np.sqrt(H**7 * S * A) * self.iota / t
            beta = self.c * min(first, np.sqrt(H**3 * self.iota / t))
            b = (beta - (1 - alpha) * self.beta[i]) / (2 * alpha)
            self.beta[i] = beta
        self.Q[i] = (1 - alpha) * self.Q[i] + alpha * (r + self.V[h + 1, s_next] + b)
        self.V[h, s] = min(H - h, self.Q[h, s].max())


def ucb_q_learning_run(mdp, K, bonus, iota, c, rng):
    """The loop of Algorithms 1 and 2 of Jin et al. 2018; return values, estimates of V*, Q and N."""
    S, A = mdp.mask.shape
    H = mdp.H
    left = (H - np.arange(H))[:, None, None]
    zero = np.zeros((H, S, A))
    V = np.vstack([np.broadcast_to(left[:, 0], (H, S)), np.zeros((1, S))])
    Q = np.where(mdp.mask, left, -np.inf)
    learner = UCBQLearning(Q, V, zero.astype(int), zero, zero, zero, bonus, iota, c)
    values, uppers = [], []
    for _ in range(K):
        pi = learner.Q.argmax(axis=-1)
        values.append(value(mdp, pi))
        uppers.append(mdp.mu @ learner.V[0])
        for h, s, a, reward, s_next in play(mdp, pi, rng):
            learner.update(h, s, a, reward, s_next)
    return values, uppers, learner.Q, learner.N


def drawn_kernel(weight, rest, succ):
    """The rows over all states that PSRL's slots stand for; `succ` has the shape of `weight`."""
    P = np.repeat(rest[..., None], rest.shape[1], axis=-1)
    for i in np.ndindex(weight.shape):
        P[i[:3]][succ[i]] += weight[i]
    return P


def play(mdp, pi, rng):
    """Yield (h, s, a, reward, s') of an episode: the simulator's draws, in its order."""
    sim = simulator(mdp)
    s = reset(sim, rng)
    for h in range(mdp.H):
        s_next, reward, _ = step(sim, h, s, pi[h, s], rng)
        yield h, s, pi[h, s], reward, s_next
        s = s_next


def ucbvi_run(mdp, K, tables, bonus, L, c, rng):
    """Algorithm 1 of Azar et al. 2017; return the values of the policies, the planned values and Q."""
    S, A = mdp.mask.shape
    H = mdp.H
    n_next, visits = np.zeros((tables[-1] + 1, S, A, S)), np.zeros((H + 1, S))
    Q = np.where(mdp.mask, (H - np.arange(H))[:, None, None], -np.inf)
    values, uppers = [], []
    for _ in range(K):
        r = np.broadcast_to(mdp.r, (H, S, A))
        Q, V = ucbvi_plan(Q, n_next[tables], visits, r, bonus, L, c)
        pi = Q.argmax(axis=-1)
        values.append(value(mdp, pi))
        uppers.append(mdp.mu @ V[0])
        for h, s, a, _, s_next in play(mdp, pi, rng):
            n_next[tables[h], s, a, s_next] += 1
            visits[h + 1, s_next] += 1
    return values, uppers, Q


def euler_run(mdp, K, tables, L, c, rng):
    """Algorithm 1 of Zanette & Brunskill 2019; return values, upper and lower estimates, and Q."""
    S, A = mdp.mask.shape
    n_next = np.zeros((tables[-1] + 1, S, A, S))
    rewards = [[[[] if mdp.mask[s, a] else None for a in range(A)] for s in range(S)] for _ in n_next]
    values, uppers, lowers = [], [], []
    for _ in range(K):
        Q, V_up, V_low = euler_plan(n_next[tables], [rewards[g] for g in tables], mdp.H, L, c)
        pi = Q.argmax(axis=-1)
        values.append(value(mdp, pi))
        uppers.append(mdp.mu @ V_up[0])
        lowers.append(mdp.mu @ V_low[0])
        for h, s, a, reward, s_next in play(mdp, pi, rng):
            n_next[tables[h], s, a, s_next] += 1
            rewards[tables[h]][s][a].append(reward)
    return values, uppers, lowers, Q


def euler_plan(n_next, rewards, H, L, c):
    """Algorithm 1 of Zanette & Brunskill 2019; lists of rewards of each (h, s, a), None where unavailable."""
    S, A = n_next.shape[1:3]
    Q = np.full((H, S, A), -np.inf)
    V_up, V_low = np.zeros((H + 1, S)), np.zeros((H + 1, S))
    J, B_p, B_v = H * L / 3, H * np.sqrt(2 * L), np.sqrt(2 * L)
    for h in reversed(range(H)):

        def bonus(s, a, V, h=h):
            n = n_next[h, s, a].sum()
            P_hat = n_next[h, s, a] / n
            phi = np.sqrt(2 * (P_hat @ (V - P_hat @ V) ** 2) * L / n) + H * L / (3 * (n - 1))
            norm = np.sqrt(P_hat @ (V_up[h + 1] - V_low[h + 1]) ** 2)
            return P_hat @ V, phi + ((4 * J + B_p) / np.sqrt(n) + B_v * norm) / np.sqrt(n)

        def reward(s, a, h=h):
            x = np.array(rewards[h][s][a])
            return x.mean(), np.sqrt(2 * x.var(ddof=1) * L / len(x)) + 7 * L / (3 * (len(x) - 1))

        for s in range(S):
            for a in range(A):
                if rewards[h][s][a] is None:
                    continue
                Q[h, s, a] = H - h
                if n_next[h, s, a].sum() > 1:
                    (r_hat, b_r), (PV, b) = reward(s, a), bonus(s, a, V_up[h + 1])
                    Q[h, s, a] = min(H - h, r_hat + c * b_r + PV + c * b)
            a = Q[h, s].argmax()
            V_up[h, s] = Q[h, s, a]
            if n_next[h, s, a].sum() > 1:
                (r_hat, b_r), (PV, b) = reward(s, a), bonus(s, a, V_low[h + 1])
                V_low[h, s] = max(0, r_hat - c * b_r + PV - c * b)
    return Q, V_up, V_low
