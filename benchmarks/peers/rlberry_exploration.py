"""rlberry's agents on its FiniteMDP: UCBVI of -scool, optimistic Q-learning and PSRL of -research."""

import importlib
from importlib.metadata import version

from worker import Once, serve

AGENTS = {
    "ucbvi": ("rlberry_scool.agents.ucbvi", "UCBVIAgent"),
    "ucb_q_learning": ("rlberry_research.agents.optql", "OptQLAgent"),
    "psrl": ("rlberry_research.agents.psrl", "PSRLAgent"),
}


def about():
    import rlberry  # noqa: F401

    found = {}
    for package in ("rlberry", "rlberry-scool", "rlberry-research"):
        try:
            importlib.import_module(package.replace("-", "_"))
        except ImportError:
            continue
        try:
            found[package] = version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "from source"
    return found


def run(problem, method, K, seed=0, **more):
    import numpy as np
    from rlberry.envs.finite_mdp import FiniteMDP

    class Tables(FiniteMDP):
        total = 0.0

        def _check(self):  # it wants row sums exact to 1e-15
            pass

        def step(self, action):
            answer = super().step(action)
            self.total += answer[1]
            return answer

    module, name = AGENTS[method]
    agent_type = getattr(importlib.import_module(module), name)
    env = Tables(problem["r"], problem["P"].copy(), int(np.argmax(problem["mu"])))
    agent = agent_type(env, horizon=int(problem["H"]), seeder=seed, **more)

    def fit():
        agent.fit(K)
        return agent.env

    def reward(env):
        inner = env
        while not isinstance(inner, Tables):
            inner = inner.env
        return {"reward": inner.total / K}

    return Once(fit), reward


serve(about, run)
