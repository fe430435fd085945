"""SBX's PPO (JAX) with its defaults."""

import warnings
from importlib.metadata import version

from worker import serve


def about():
    import sbx  # noqa: F401

    return {package: version(package) for package in ("sbx-rl", "jax", "gymnasium", "mujoco")}


def run(problem, method, env, steps, num_envs=1, seed=0):
    from sbx import PPO
    from stable_baselines3.common.env_util import make_vec_env

    warnings.simplefilter("ignore")
    envs = make_vec_env(env, num_envs, seed=seed)
    rows = {"n_steps": 2048 if num_envs == 1 else 256}
    return lambda i: PPO("MlpPolicy", envs, seed=seed, **rows).learn(steps), lambda result: {}


serve(about, run)
