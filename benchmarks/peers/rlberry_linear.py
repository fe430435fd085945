"""rlberry-scool's LSVI-UCB on a FiniteMDP; one kernel for all stages and one regression, as it has them."""

from importlib.metadata import version

from worker import Once, serve


def about():
    from rlberry_scool.agents.linear import LSVIUCBAgent  # noqa: F401

    return {package: version(package) for package in ("rlberry", "rlberry-scool")}


def run(problem, method, K, seed=0):
    import numpy as np
    from rlberry.envs.finite_mdp import FiniteMDP
    from rlberry_scool.agents.features import FeatureMap
    from rlberry_scool.agents.linear import LSVIUCBAgent

    phi = problem["phi"]

    class Tables(FiniteMDP):
        def _check(self):  # it wants row sums exact to 1e-15
            pass

    class Features(FeatureMap):
        def __init__(self):
            super().__init__()
            self.shape = phi.shape[2:]

        def map(self, observation, action):
            return phi[observation, action]

    assert method == "lsvi_ucb"
    env = Tables(problem["r"], problem["P"].copy(), int(np.argmax(problem["mu"])))
    agent = LSVIUCBAgent(
        env, horizon=int(problem["H"]), feature_map_fn=lambda env: Features(), gamma=1.0, seeder=seed
    )
    return Once(lambda: agent.fit(K)), lambda result: {}


serve(about, run)
