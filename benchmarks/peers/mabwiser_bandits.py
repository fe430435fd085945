"""MABWiser's LinUCB, one context a round: predict, then partial_fit."""

from importlib.metadata import version

from worker import Once, serve


def about():
    import mabwiser.mab  # noqa: F401

    return {"mabwiser": version("mabwiser")}


def run(problem, method, T, runs, seed=0):
    import numpy as np
    from mabwiser.mab import MAB, LearningPolicy

    phi, means = problem["phi"], problem["means"]  # (X, d) and (X, A)
    X, A = means.shape
    assert runs == 1

    def play():
        rng = np.random.default_rng(seed)
        mab = MAB(arms=list(range(A)), learning_policy=LearningPolicy.LinUCB(alpha=1.0, l2_lambda=1.0))
        mab.fit(decisions=np.arange(A), rewards=np.zeros(A), contexts=phi[:A])
        regret = 0.0
        for _ in range(T):
            x = rng.integers(X)
            a = mab.predict(phi[x : x + 1])
            reward = float(rng.random() < means[x, a])
            mab.partial_fit(np.array([a]), np.array([reward]), phi[x : x + 1])
            regret += means[x].max() - means[x, a]
        return regret

    return Once(play), lambda regret: {"regret": regret}


serve(about, run)
