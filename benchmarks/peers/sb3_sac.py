"""Stable-Baselines3's SAC with its defaults: 256 x 256 units, batches of 256, an update per step."""

import time
import warnings
from importlib.metadata import version

from worker import serve


def about():
    import stable_baselines3  # noqa: F401

    return {package: version(package) for package in ("stable_baselines3", "torch", "gymnasium", "mujoco")}


def run(problem, method, env, steps, threads=1, seed=0):
    import torch
    from stable_baselines3 import SAC

    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")

    def call(i):
        start = time.perf_counter()
        SAC("MlpPolicy", env, learning_starts=100, seed=seed, device="cpu").learn(steps)
        return time.perf_counter() - start

    return call, lambda wall: {"wall": wall}


serve(about, run)
