"""Stable-Baselines3's PPO with its defaults, or with its normalisation of observations and rewards."""

import warnings
from importlib.metadata import version

from worker import serve


def about():
    import stable_baselines3  # noqa: F401

    return {package: version(package) for package in ("stable_baselines3", "torch", "gymnasium", "mujoco")}


def run(problem, method, env, steps, num_envs=1, seed=0):
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    envs = make_vec_env(env, num_envs, seed=seed)
    if method == "normalised":
        envs = VecNormalize(envs)
    rows = {"n_steps": 2048 if num_envs == 1 else 256}
    return lambda i: PPO("MlpPolicy", envs, device="cpu", seed=seed, **rows).learn(steps), lambda result: {}


serve(about, run)
