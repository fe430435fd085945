"""Threads for the physics: the same numbers, errors that do not end the process, a choice by measurement."""

import gc
import subprocess
import sys
import threading
import time

import gymnasium
import numpy as np
import pytest

from eluder.deep.common import physics
from eluder.deep.common.environments import Environments

pytest.importorskip("mujoco")
pytest.importorskip("greenlet")
MujocoEnv = pytest.importorskip("gymnasium.envs.mujoco").MujocoEnv
threaded = pytest.mark.skipif(physics.numba.config.DISABLE_JIT, reason="kernels are not compiled")


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


def steps_of(stepper, actions):
    found = {}
    stepper.step(actions, lambda e, result: found.setdefault(e, result))
    return [found[e] for e in range(len(actions))]


def hoppers(n):
    worlds = [gymnasium.make("Hopper-v5") for _ in range(n)]
    for seed, world in enumerate(worlds):
        world.reset(seed=seed)
    return worlds


@threaded
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_workers_gives_the_same_numbers(threads):
    """Also none: then the main thread takes all offers itself."""
    worlds, others = hoppers(3), hoppers(3)
    many, rng = physics.Threads("hoppers", worlds, threads), np.random.default_rng(threads)
    for _ in range(30):
        actions = rng.uniform(-1, 1, (3, 3)).astype(np.float32)
        for a, b in zip(steps_of(many, actions), steps_of(physics.Serial(others), actions), strict=True):
            assert np.array_equal(a[0], b[0])
            assert a[1:4] == b[1:4]
    many.close()
    for a, b in zip(worlds, others, strict=True):  # and the environments are as before afterwards
        assert "_step_mujoco_simulation" not in vars(a.unwrapped)
        assert np.array_equal(a.step(actions[0])[0], b.step(actions[0])[0])


@threaded
def test_workers_do_the_physics_while_the_main_thread_is_busy_and_end():
    before = threading.active_count()
    worlds = hoppers(4)
    many = physics.Threads("hoppers", worlds, 2)
    assert threading.active_count() == before + 1
    here = []
    for e, hand in enumerate(many.hands):
        original, begin = hand.original, hand.begin

        def simulate(ctrl, n_frames, e=e, original=original):
            here.append(e)
            original(ctrl, n_frames)

        def late(action, begin=begin):
            time.sleep(0.2)
            return begin(action)

        hand.original = simulate
        if e == 3:
            hand.begin = late
    steps_of(many, np.zeros((4, 3), np.float32))
    assert not {0, 1, 2} & set(here)
    assert all(world.unwrapped.data.time > 0 for world in worlds)
    many.close()
    assert threading.active_count() == before


@threaded
def test_an_environment_may_simulate_twice_a_step_or_not_at_all():
    class Twice(gymnasium.Wrapper):
        def step(self, action):
            self.env.step(action)
            return self.env.step(action)

    class Never(gymnasium.Wrapper):
        def step(self, action):
            return "nothing"

    worlds, others = hoppers(3), hoppers(3)
    many = physics.Threads("hoppers", [Twice(worlds[0]), Never(worlds[1]), worlds[2]], 2)
    actions = np.full((3, 3), 0.1, np.float32)
    found = steps_of(many, actions)
    want = steps_of(physics.Serial([Twice(others[0]), Never(others[1]), others[2]]), actions)
    assert np.array_equal(found[0][0], want[0][0])
    assert found[1] == "nothing"
    assert np.array_equal(found[2][0], want[2][0])
    many.close()


@threaded
def test_an_error_in_an_environment_comes_through_and_the_threads_go_on():
    class Failing(gymnasium.Wrapper):
        fails = True

        def step(self, action):
            found = self.env.step(action)
            if self.fails:
                raise KeyError("mine")
            return found

    worlds, others = hoppers(4), hoppers(4)
    failing = Failing(worlds[1])
    many = physics.Threads("hoppers", [worlds[0], failing, *worlds[2:]], 2)
    actions = np.full((4, 3), 0.1, np.float32)
    with pytest.raises(KeyError, match="mine"):
        steps_of(many, actions)
    failing.fails = False
    for seed, (a, b) in enumerate(zip(worlds, others, strict=True)):
        a.reset(seed=seed)
        b.reset(seed=seed)
    for _ in range(5):
        for a, b in zip(steps_of(many, actions), steps_of(physics.Serial(others), actions), strict=True):
            assert np.array_equal(a[0], b[0])
    many.close()


@threaded
def test_threads_end_with_what_holds_them():
    before = threading.active_count()
    many = physics.Threads("hoppers", hoppers(2), 2)
    assert threading.active_count() == before + 1
    del many
    gc.collect()
    assert threading.active_count() == before


@threaded
@pytest.mark.parametrize(("fast", "threads"), [(0.5, 2), (0.8, 2), (0.9, 1), (2.0, 1)])
def test_threads_are_kept_where_they_are_measured_to_gain(monkeypatch, fast, threads):
    now = [0.0]
    monkeypatch.setattr(physics.time, "perf_counter", lambda: now[0])
    made = physics.Trial("hoppers", hoppers(2), 2)

    def taking(seconds, step):
        def timed(actions, take):
            now[0] += seconds + 10.0 * (made.t < physics.TRIAL // 4)  # a slow start does not count
            step(actions, take)

        return timed

    made.serial.step = taking(1.0, made.serial.step)
    made.threaded.step = taking(fast, made.threaded.step)
    for _ in range(2 * physics.TRIAL):
        assert made.threads == 1
        assert np.isnan(made.gain)
        steps_of(made, np.zeros((2, 3), np.float32))
    assert made.threads == threads
    assert made.gain == pytest.approx(1.0 / fast)
    steps_of(made, np.zeros((2, 3), np.float32))
    made.close()


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


CROWD = '''
import time
import mujoco, numpy as np
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
if THREADS > 1:
    last = envs.stepper.hands[2]
    begin = last.begin

    def late(action):  # so that the worker is the first to land
        time.sleep(0.3 * (envs.worlds[2].unwrapped.data.time > 1.05))
        return begin(action)

    last.begin = late
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
