"""Our side of ppo.py: a whole run on one environment."""

import warnings
from importlib.metadata import version

from worker import serve


def about():
    import eluder.deep.online  # noqa: F401

    return {package: version(package) for package in ("eluder", "torch", "gymnasium", "mujoco")}


def run(problem, method, env, steps, num_envs=1, seed=0):
    from eluder.deep.online import PPOConfig, Schedule, ppo

    warnings.simplefilter("ignore")
    rows = {"num_envs": num_envs, "num_steps": 2048 if num_envs == 1 else 256}
    config = PPOConfig(fused=method != "autograd", **rows)
    schedule = Schedule(evaluate_every=0, episodes=1, log_every=0, env_threads=1)
    return lambda i: ppo(env, steps, config=config, seeds=(seed,), schedule=schedule), lambda result: {}


serve(about, run)
