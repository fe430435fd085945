"""SMPyBandits' policies on its own Bernoulli arms, in the plain loop of choice, draw and getReward."""

from importlib.metadata import version

from worker import Once, serve

POLICIES = {
    "ucb1": "UCB",
    "moss": "MOSS",
    "kl_ucb": "klUCB",
    "thompson": "Thompson",
    "exp3": "Exp3",
    "tsallis_inf": "TsallisInf",
}


def about():
    import SMPyBandits.Policies  # noqa: F401

    return {"SMPyBandits": version("SMPyBandits")}


def run(problem, method, T, runs, seed=0):
    import numpy as np
    import SMPyBandits.Policies
    from SMPyBandits.Arms import Bernoulli

    means = problem["means"]
    make = getattr(SMPyBandits.Policies, POLICIES[method])
    np.random.seed(seed)

    def play():
        regrets = []
        for _ in range(runs):
            arms, policy, regret = [Bernoulli(m) for m in means], make(len(means)), 0.0
            policy.startGame()
            for t in range(T):
                a = policy.choice()
                policy.getReward(a, arms[a].draw(t))
                regret += means.max() - means[a]
            regrets.append(regret)
        return regrets

    return Once(play), lambda regrets: {"regret": float(np.mean(regrets))}


serve(about, run)
