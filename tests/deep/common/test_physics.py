"""Threads for the physics: the same numbers, errors that do not end the process, a choice by measurement."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from eluder.deep.common import physics
from eluder.deep.common.environments import Environments

pytest.importorskip("mujoco")
pytest.importorskip("greenlet")
MujocoEnv = pytest.importorskip("gymnasium.envs.mujoco").MujocoEnv
threaded = pytest.mark.skipif(physics.numba.config.DISABLE_JIT, reason="kernels are not compiled")


def test_shares_by_hand():
    # n (p + q) / (T p) = 8 * 5 / (2 * 4) = 5: both take 20.
    assert physics.share(8, 2, 4.0, 1.0) == (5, 2.0)
    # Three threads, no Python at all: 3 of 9 each.
    assert physics.share(9, 3, 1.0, 0.0) == (3, 3.0)
    # Python alone cannot be shared: the worker takes all the physics there is.
    w, gain = physics.share(4, 2, 1.0, 9.0)
    assert w == 4
    assert gain == pytest.approx(40 / 36)


@pytest.mark.parametrize(("p", "q", "n", "threads"), [(3.0, 1.0, 7, 2), (1.0, 0.4, 8, 4), (2.0, 5.0, 3, 3)])
def test_a_share_is_the_best_of_all(p, q, n, threads):
    w, gain = physics.share(n, threads, p, q)
    times = [max(k * p, (n - (threads - 1) * k) * p + n * q) for k in range(1, n // (threads - 1) + 1)]
    assert 1 <= w * (threads - 1) <= n
    assert n * (p + q) / gain == pytest.approx(min(times))


def play(envs, steps, seed=0):
    rng = np.random.default_rng(seed)
    rows = [(envs.reset(),)]
    rows += [
        envs.step(rng.uniform(-1, 1, (envs.num, envs.low.size)).astype(np.float32)) for _ in range(steps)
    ]
    return rows


def same(one, two):
    return all(np.array_equal(x, y) for a, b in zip(one, two, strict=True) for x, y in zip(a, b, strict=True))


@threaded
@pytest.mark.parametrize(
    ("env", "n", "threads", "steps"),
    [("Ant-v5", 3, 2, 80), ("Humanoid-v5", 5, 3, 80), ("Hopper-v5", 4, 2, 120), ("HalfCheetah-v5", 3, 3, 60)],
)
def test_threads_give_the_numbers_of_one(env, n, threads, steps):
    with Environments(env, range(n), threads=threads) as many, Environments(env, range(n), threads=1) as one:
        assert same(play(many, steps), play(one, steps))
        assert many.stepper.threads == threads
        assert one.stepper.threads == 1
        assert many.finished() == one.finished()
        states = [each.state() for each in (many, one)]
        assert states[0][1] == states[1][1]
        many.restore(*states[1])  # a restart steps them one by one, beside the threads
        assert same(play(many, 40, 1), play(one, 40, 1))


@threaded
def test_any_share_gives_the_same_numbers():
    for each in (1, 2, 3):
        worlds = [gymnasium.make("Hopper-v5") for _ in range(3)]
        others = [gymnasium.make("Hopper-v5") for _ in range(3)]
        for seed, (a, b) in enumerate(zip(worlds, others, strict=True)):
            assert np.array_equal(a.reset(seed=seed)[0], b.reset(seed=seed)[0])
        many = physics.Threads("hoppers", worlds, 2, each)
        rng = np.random.default_rng(each)
        for _ in range(20):
            actions = rng.uniform(-1, 1, (3, 3)).astype(np.float32)
            for a, b in zip(many.step(actions), physics.Serial(others).step(actions), strict=True):
                assert np.array_equal(a[0], b[0])
                assert a[1:4] == b[1:4]
        many.close()
        for a, b in zip(worlds, others, strict=True):  # and they are as before afterwards
            assert "_step_mujoco_simulation" not in vars(a.unwrapped)
            assert np.array_equal(a.step(actions[0])[0], b.step(actions[0])[0])


@threaded
def test_workers_do_the_physics_and_end():
    import threading

    worlds = [gymnasium.make("Ant-v5") for _ in range(3)]
    for world in worlds:
        world.reset(seed=0)
    before = threading.active_count()
    many = physics.Threads("ants", worlds, 2, 2)
    assert threading.active_count() == before + 1
    calls = []
    for e, hand in many.hands.items():
        hand.original = lambda *arguments, e=e: calls.append(e)
    many.step(np.zeros((3, 8), np.float32))
    assert calls == []  # none of the worker's environments was stepped here
    assert all(world.unwrapped.data.time > 0 for world in worlds)
    many.close()
    assert threading.active_count() == before


def trial(monkeypatch, slow, fast, gain=2.0):
    """A trial whose clock says what a step takes either way."""
    worlds = [gymnasium.make("Hopper-v5") for _ in range(2)]
    for world in worlds:
        world.reset(seed=0)
    made = physics.Trial("hoppers", worlds, 2, forced=False)
    now = [0.0]
    monkeypatch.setattr(physics, "share", lambda n, threads, p, q: (1, gain))
    monkeypatch.setattr(physics.time, "perf_counter", lambda: now[0])

    def taking(seconds, step):
        def timed(actions):
            now[0] += seconds
            return step(actions)

        return timed

    zero = np.zeros((2, 3), np.float32)
    for _ in range(physics.WARM_UP):
        made.step(zero)
    made.serial.step = taking(slow, made.serial.step)
    if made.threaded is not None:
        made.threaded.step = taking(fast, made.threaded.step)
    for _ in range(2 * physics.TRIAL):
        made.step(zero)
    made.close()
    return made


@threaded
@pytest.mark.parametrize(("fast", "threads"), [(0.5, 2), (0.8, 2), (0.9, 1), (2.0, 1)])
def test_threads_are_kept_where_they_are_measured_to_gain(monkeypatch, fast, threads):
    made = trial(monkeypatch, 1.0, fast)
    assert made.threads == threads
    assert made.gain == pytest.approx(1.0 / fast)


@threaded
def test_threads_are_not_tried_where_they_cannot_gain(monkeypatch):
    made = trial(monkeypatch, 1.0, 0.1, gain=1.1)
    assert made.threads == 1
    assert made.threaded is None


def test_what_cannot_be_threaded_is_stepped_here_and_says_why():
    assert Environments("CartPole-v1", [0, 1]).stepper.threads == 1
    with pytest.raises(
        ValueError, match="threads must be 1 or 'auto' for CartPole-v1, got 2: CartPoleEnv is no"
    ):
        Environments("CartPole-v1", [0, 1], threads=2)
    with pytest.raises(ValueError, match="got 2: there is one environment"):
        Environments("Hopper-v5", [0], threads=2)
    with pytest.raises(ValueError, match="threads"):
        Environments("Hopper-v5", [0], threads="many")
    own = type("Own", (MujocoEnv,), {"_step_mujoco_simulation": None, "__init__": lambda self: None})()
    assert physics._not_threadable([own, own]) == "Own does its own physics"


def test_workers_cannot_have_more_than_there_is():
    worlds = [gymnasium.make("Hopper-v5") for _ in range(3)]
    with pytest.raises(ValueError, match="2 workers cannot have 2 of 3 environments each"):
        physics.Threads("hoppers", worlds, 3, 2)


CROWD = '''
import sys
import gymnasium, mujoco, numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.spaces import Box
from eluder.deep.common.environments import Environments

balls = "".join(
    f'<body pos="{.11 * (i % 5)} {.11 * (i // 5)} 7"><freejoint/><geom size=".05"/></body>'
    for i in range(40)
)
MODEL = f"""<mujoco><size memory="30K"/><option timestep="0.01"/><worldbody><geom type="plane" size="5 5 .1"/>
<body name="a" pos="2 2 1"><joint name="j" type="hinge"/><geom size=".1"/></body>{balls}</worldbody>
<actuator><motor joint="j" ctrlrange="-1 1"/></actuator></mujoco>"""


class Crowd(MujocoEnv):
    """Balls that land together after a second, in less memory than that needs."""

    metadata = {"render_modes": ["human", "rgb_array", "depth_array", "rgbd_tuple"], "render_fps": 20}

    def _initialize_simulation(self):
        model = mujoco.MjModel.from_xml_string(MODEL)
        return model, mujoco.MjData(model)

    def __init__(self):
        super().__init__("", 5, Box(-np.inf, np.inf, (1,)))

    def step(self, action):
        self.do_simulation(action, self.frame_skip)
        return self.data.qpos[:1], 0.0, False, False, {}

    def reset_model(self):
        return self.data.qpos[:1]


envs = Environments(Crowd, [0, 1, 2], threads=THREADS)
envs.reset()
try:
    for t in range(200):
        envs.step(np.zeros((3, 1), np.float32))
except mujoco.FatalError as error:
    print("caught", envs.stepper.threads, error)
envs.close()
print("alive")
'''


@threaded
@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_of_mujoco_is_an_exception_and_not_the_end(tmp_path, threads):
    """That of a worker names the environment."""
    code = CROWD.replace("THREADS", str(threads))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert f"caught {threads}" in done.stdout
    assert "out of memory" in done.stdout
    assert ("Crowd (environment " in done.stdout) == (threads == 2)
    assert done.stdout.rstrip().endswith("alive")
