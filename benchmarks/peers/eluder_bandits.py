"""Our side of bandits.py: whole runs on Bernoulli arms, one after another."""

import numpy as np
from worker import serve


def about():
    import eluder
    import eluder.tabular.bandits

    return {"eluder": eluder.__version__}


def random_numbers(n):
    """Draw n uniform numbers in a compiled loop: what every learner pays at least."""
    from eluder.core.kernels import kernel

    @kernel
    def draw(n, rng):
        total = 0.0
        for _ in range(n):
            total += rng.random()
        return total

    draw(1, np.random.default_rng(0))
    return lambda i: draw(n, np.random.default_rng(i)), lambda _: {"regret": 0.0}


def blocks(problem):
    """Features of (context, action) under which a linear regression has a parameter for each action."""
    phi, A = problem["phi"], problem["means"].shape[1]
    return np.einsum("xd,ab->xabd", phi, np.eye(A)).reshape(len(phi), A, -1)


def run(problem, method, T, runs, seed=0, **more):
    if method == "random numbers":
        return random_numbers(T * runs)
    import eluder.tabular.bandits
    from eluder.envs import bernoulli_bandit, contextual_bandit

    bandit = contextual_bandit(problem["means"], phi=blocks(problem)) if "phi" in problem else None
    bandit = bandit or bernoulli_bandit(problem["means"])
    play = getattr(eluder.tabular.bandits, method)

    def call(i):
        seeds = np.random.SeedSequence([seed, i]).spawn(runs)
        return [play(bandit, T, rng=np.random.default_rng(s), **more).regret[-1] for s in seeds]

    return call, lambda regrets: {"regret": float(np.mean(regrets))}


serve(about, run)
