"""SBX's SAC with its defaults: 256 x 256 units, batches of 256, an update per step."""

import time
import warnings
from importlib.metadata import version

from worker import serve


def about():
    import sbx  # noqa: F401

    return {package: version(package) for package in ("sbx-rl", "jax", "gymnasium", "mujoco")}


def run(problem, method, env, steps, threads=1, seed=0):
    from sbx import SAC

    warnings.simplefilter("ignore")

    def call(i):
        start = time.perf_counter()
        SAC("MlpPolicy", env, learning_starts=100, seed=seed).learn(steps)
        return time.perf_counter() - start

    return call, lambda wall: {"wall": wall}


serve(about, run)
