"""statisticalRL's UCRL2 on its DiscreteMDP, with its own loop of play, step and update."""

from importlib.metadata import version

from worker import Once, serve


def about():
    import statisticalrl_learners.MDPs_discrete.UCRL2  # noqa: F401
    from statisticalrl_environments.MDPs_discrete.gymWrapper import DiscreteMDP  # noqa: F401

    return {"statisticalRL-learners": version("statisticalRL-learners")}


def run(problem, method, K, seed=0, delta=0.05):
    import numpy as np
    from statisticalrl_environments.MDPs_discrete.gymWrapper import DiscreteMDP
    from statisticalrl_environments.MDPs_discrete.utils import Dirac
    from statisticalrl_learners.MDPs_discrete.UCRL2 import UCRL2

    assert method == "ucrl2"
    P, r = problem["P"], problem["r"]
    S, A = r.shape
    successors = {
        s: {a: [(P[s, a, j], j, False) for j in np.flatnonzero(P[s, a])] for a in range(A)} for s in range(S)
    }
    rewards = {s: {a: Dirac(r[s, a]) for a in range(A)} for s in range(S)}
    env = DiscreteMDP(S, A, successors, rewards, problem["mu"], seed=seed)
    learner = UCRL2(S, A, delta)
    np.random.seed(seed)

    def play():
        state, _ = env.reset(seed=seed)
        learner.reset(state)
        total = 0.0
        for _ in range(K):
            action = learner.play(state)
            after, reward, _, _, _ = env.step(action)
            learner.update(state, action, reward, after)
            state, total = after, total + reward
        return total / K

    return Once(play), lambda reward: {"reward": reward}


serve(about, run)
