"""Our side of sac.py: a whole run on one environment."""

import os
import time
import warnings
from importlib.metadata import version

from worker import serve


def about():
    import eluder.deep.online  # noqa: F401

    return {package: version(package) for package in ("eluder", "torch", "gymnasium", "mujoco")}


def run(problem, method, env, steps, seeds=1, threads=1, seed=0):
    from eluder.deep.online import DSACTConfig, SACConfig, Schedule, dsac_t, sac

    warnings.simplefilter("ignore")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.pop(name, None)
    schedule = Schedule(evaluate_every=0, episodes=1, log_every=0, env_threads=1, num_threads=threads)
    train, config = {
        "sac": (sac, SACConfig(warmup=100)),
        "autograd": (sac, SACConfig(warmup=100, fused=False)),
        "bfloat16": (sac, SACConfig(warmup=100, dtype="bfloat16")),
        "dsac_t": (dsac_t, DSACTConfig(warmup=100)),
    }[method]

    def call(i):
        start = time.perf_counter()
        train(env, steps, config=config, seeds=range(seed, seed + seeds), schedule=schedule)
        return time.perf_counter() - start

    return call, lambda wall: {"wall": wall}


serve(about, run)
