"""The scripts of CleanRL (github.com/vwxyzjn/cleanrl), run whole; the path of this peer is a clone.

They are written for gymnasium 0.29. What later versions changed is put back in memory, nothing in the clone:

- its vector environment resets in the step that ends an episode, and says `final_observation` and a list of
  `final_info`;
- `TransformObservation` takes the function alone.

`tyro` (its command line) and TensorBoard are replaced by objects that do nothing: our settings go in as the
fields of its `Args`, and what it would log is not written, which spares it that time.
"""

import os
import subprocess
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from worker import serve

FOLDER = os.environ.get("PYTHONPATH", "")
SETTINGS = {}  # what its command line would say


class Writer:
    """A SummaryWriter that writes nothing."""

    def __init__(self, *args, **kwargs):
        pass

    def add_scalar(self, *args, **kwargs):
        pass

    add_text = close = add_scalar


def replaced(name, **members):
    """Put a module of that name, and its parents, in place."""
    module = sys.modules[name] = ModuleType(name)
    vars(module).update(members)


def patch():
    """Put back what gymnasium has changed."""
    import gymnasium as gym

    class SyncVectorEnv(gym.vector.SyncVectorEnv):
        def __init__(self, makers):
            super().__init__(makers, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP)

        def step(self, actions):
            *rest, infos = super().step(actions)
            if "final_info" in infos:
                infos["final_observation"], final = infos["final_obs"], infos["final_info"]
                ended = final.get("_episode", [False] * self.num_envs)
                infos["final_info"] = [
                    {"episode": {key: final["episode"][key][i] for key in "rl"}} if ended[i] else None
                    for i in range(self.num_envs)
                ]
            return *rest, infos

    transform = gym.wrappers.TransformObservation
    gym.vector.SyncVectorEnv = SyncVectorEnv
    gym.wrappers.TransformObservation = lambda env, function: transform(env, function, env.observation_space)


def about():
    if not Path(FOLDER, "cleanrl").is_dir():
        raise FileNotFoundError("no clone of CleanRL: give --peer-path cleanrl=FOLDER")
    replaced("tyro", cli=lambda fields: fields(**SETTINGS))
    replaced("torch.utils.tensorboard", SummaryWriter=Writer)
    patch()
    commit = subprocess.run(
        ["git", "-C", FOLDER, "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    )
    packages = {package: version(package) for package in ("torch", "gymnasium", "mujoco")}
    return {"CleanRL": commit.stdout.strip() or "of unknown version", **packages}


def run(problem, method, env, steps, threads=1, num_envs=1, seed=0):
    import time

    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    path = Path(FOLDER, "cleanrl", f"{method}_continuous_action.py")
    code = compile(path.read_text(), str(path), "exec")
    own = {"learning_starts": 100} if method == "sac" else {"num_steps": 2048 // num_envs}
    settings = {"env_id": env, "total_timesteps": steps, "seed": seed, "num_envs": num_envs, **own}

    def call(i):
        SETTINGS.clear()
        SETTINGS.update(settings)
        start = time.perf_counter()
        exec(code, {"__name__": "__main__", "__file__": str(path)})
        return time.perf_counter() - start

    return call, lambda wall: {"wall": wall}


serve(about, run)
