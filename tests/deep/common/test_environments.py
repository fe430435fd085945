"""Environments: the contract of a step, seeds, and runs that go on to the bit after a restart."""

import io
import json
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from eluder.deep.common.environments import Environments, make_environments
from eluder.deep.common.vector import VectorAdapter


class Counter(gymnasium.Env):
    """Counts; ends after `length` steps, terminated or truncated; the reward is the count."""

    def __init__(self, length=3, terminates=True, observation=None, action=None, bad=None):
        self.observation_space = observation or Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = action or Box(np.float32([-2.0, 0.0]), np.float32([2.0, 1.0]))
        self.length, self.terminates, self.bad = length, terminates, bad
        self.done = []

    def _obs(self):
        if isinstance(self.observation_space, Discrete):
            return self.observation_space.start + self.t % self.observation_space.n
        return np.array([self.t, self.start])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.start = 0, self.np_random.random()
        return self._obs(), {}

    def step(self, action):
        self.t += 1
        self.done.append(action)
        end, obs = self.t == self.length, self._obs()
        if self.bad == ("obs", self.t):
            obs = np.array([0.0, np.nan])
        reward = np.inf if self.bad == ("reward", self.t) else float(self.t)
        return obs, reward, end and self.terminates, end and not self.terminates, {}


def actions(envs, rng):
    if isinstance(envs.action_space, Discrete):
        return rng.integers(envs.action_space.n, size=envs.num)
    return rng.uniform(-1, 1, (envs.num, envs.low.size)).astype(np.float32)


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("terminates", [True, False])
def test_an_end_says_where_it_led_and_what_comes_next(terminates):
    envs = Environments(lambda: Counter(3, terminates), [0, 1], 2)
    first = envs.reset()
    assert first.shape == (4, 2)
    assert first.dtype == np.float32
    assert len(np.unique(first[:, 1])) == 4
    for t in range(1, 4):
        step = envs.step(np.zeros((4, 2), np.float32))
        assert step.next_obs[:, 0].tolist() == [t] * 4
        assert (step.next_obs[:, 1] == first[:, 1]).all()
        assert step.reward.tolist() == [t] * 4
        assert step.valid.all()
        assert step.terminated.tolist() == [t == 3 and terminates] * 4
        assert step.truncated.tolist() == [t == 3 and not terminates] * 4
    assert (step.obs[:, 0] == 0).all()
    assert (step.obs[:, 1] != first[:, 1]).all()
    assert np.array_equal(envs.obs, step.obs)
    assert envs.finished() == [(e, 6.0, 3) for e in range(4)]
    assert envs.finished() == []


def test_episodes_depend_on_seed_place_number_and_purpose_alone():
    def starts(seeds, per_seed=1, purpose="train"):
        with Environments(lambda: Counter(2), seeds, per_seed, purpose=purpose) as envs:
            rows = [envs.reset()[:, 1]]
            for _ in range(6):
                rows.append(envs.step(np.zeros((envs.num, 2), np.float32)).obs[:, 1])
        return np.array(rows)

    alone, beside = starts([7]), starts([3, 7], 2)
    assert np.array_equal(alone[:, 0], beside[:, 2])
    assert len(np.unique(beside)) == 4 * 4  # four episodes of four environments, none like another
    assert not np.intersect1d(alone, starts([7], purpose="evaluate")).size


def test_an_episode_can_be_asked_for_by_its_number():
    envs = Environments(lambda: Counter(2), [5])
    obs = [envs.reset()[0, 1] for _ in range(3)]
    assert [envs.reset(k)[0, 1] for k in (2, 0, 1)] == [obs[2], obs[0], obs[1]]


def test_actions_are_scaled_from_the_unit_box_and_cut():
    envs = Environments(Counter, [0])
    envs.reset()
    for given, meant in (([-1, -1], [-2, 0]), ([1, 1], [2, 1]), ([0.5, 0], [1, 0.5]), ([9, -9], [2, 0])):
        envs.step(np.array([given], np.float32))
        assert envs.worlds[0].done[-1].tolist() == meant
    assert envs.worlds[0].done[-1].dtype == np.float32
    assert envs.scale(np.zeros((3, 5, 2))).shape == (3, 5, 2)


def test_what_was_observed_is_not_changed_by_what_follows():
    envs, rng = Environments(lambda: Counter(length=3), [0, 1]), np.random.default_rng(0)
    seen = [envs.reset()]
    kept = [seen[0].copy()]
    for _ in range(7):
        step = envs.step(actions(envs, rng))
        seen += [step.obs, step.next_obs, step.reward]
        kept += [x.copy() for x in seen[-3:]]
    assert equal(seen, kept)


def test_actions_stay_in_a_box_whose_width_is_rounded():
    low, high = np.array([-0.1, -1e9]), np.array([0.3, 0.1])  # -0.1 + (0.3 + 0.1) > 0.3
    for kind in (np.float32, np.float64):
        box = Box(low.astype(kind), high.astype(kind), dtype=kind)
        envs = Environments(lambda box=box: Counter(action=box), [0])
        for x in (-1.0, 0.99999994, 1.0, 2.0):
            assert envs.action_space.contains(envs.scale(np.full(2, x, np.float32)))
        assert np.array_equal(envs.scale(np.ones(2)), envs.action_space.high)
        assert np.array_equal(envs.scale(-np.ones(2)), envs.action_space.low)


SPREAD = np.arange(6.0).reshape(2, 3)
BOXES = [
    Box(np.float32(-1.0 - SPREAD), np.float32(3.0 + SPREAD**2)),
    Box(-1.0 - SPREAD, 3.0 + SPREAD**2, dtype=np.float64),
    Box(np.float16(-0.1), np.float16(0.3), (3,), np.float16),
    Box(-2.0, 5.0, (), np.float64),
    Box(np.int8([-3, 0]), np.int8([5, 127]), dtype=np.int8),
    Box(0, 255, (2, 2), np.uint8),
    Box(-7, 2**40, (2,), np.int64),
]


def in_units(box, x):
    """The equation: the middle plus half the width times what is cut to [-1, 1], entry by entry."""
    low, high = (end.astype(np.float64).reshape(-1) for end in (box.low, box.high))
    y = np.clip(x, np.float32(-1), np.float32(1)) + np.float32(1)
    z = np.minimum(low + y * ((high - low) / 2), high)
    return (np.rint(z) if box.dtype.kind in "iu" else z).astype(box.dtype)


@pytest.mark.parametrize("box", BOXES, ids=str)
def test_actions_of_every_box_are_those_of_the_equation(box):
    rng, A = np.random.default_rng(0), int(np.prod(box.shape))
    envs = Environments(lambda: Counter(99, action=box), [0, 7, 3], 2)
    envs.reset()
    for x in (rng.uniform(-1.3, 1.3, (6, A)), np.ones((6, A)), -np.ones((6, A)), np.full((6, A), 9.0)):
        for given in (x.astype(np.float32), x, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]):
            envs.step(given)
            wanted = in_units(box, given).reshape(6, *box.shape)
            for e, world in enumerate(envs.worlds):
                assert box.contains(np.asarray(world.done[-1]))
                assert np.array_equal(world.done[-1], wanted[e])
    x = rng.uniform(-1.0, 1.0, (2, 5, A)).astype(np.float32)
    assert np.array_equal(envs.scale(x), in_units(box, x).reshape(2, 5, *box.shape))
    assert envs.scale(x).dtype == box.dtype


def test_ends_of_a_box_of_integers_are_reached_from_inside():
    envs = Environments(lambda: Counter(action=Box(-1, 2, (1,), np.int64)), [0])
    x = np.array([-1.0, -0.7, -0.6, 0.0, 0.3, 0.7, 1.0])[:, None]
    assert envs.scale(x).ravel().tolist() == [-1, -1, 0, 0, 1, 2, 2]  # 0.5 goes to the even one


class Picture(Counter):
    """Shows 2 x 3 numbers in some order of memory, or always in the same one."""

    def __init__(self, order=None, length=3, discrete=False):
        super().__init__(length, False, Box(-99, 99, (2, 3)), Discrete(3) if discrete else None)
        self.order, self.memory = order, np.zeros((2, 3), np.float32)

    def _obs(self):
        self.memory[:] = (self.start + np.arange(6) * (1 + self.t)).reshape(2, 3)
        return self.memory if self.order == "the same" else ORDERS[self.order](self.memory.copy())


ORDERS = {
    None: lambda x: x,
    "fortran": np.asfortranarray,
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "strided": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "backwards": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "list": lambda x: x.tolist(),
    "swapped": lambda x: x.astype(">f4"),
    "read only": lambda x: np.broadcast_to(x, x.shape),
}


@pytest.mark.parametrize("order", [*ORDERS, "the same"])
@pytest.mark.parametrize("mode", [None, *AutoresetMode], ids=str)
def test_observations_in_any_order_of_memory_are_the_same(order, mode):
    if (order, mode) == ("the same", AutoresetMode.SAME_STEP):
        pytest.skip("gymnasium keeps the last observation of an episode by reference")

    def play(order):
        make = lambda: Picture(order)  # noqa: E731
        if mode is None:
            envs = Environments(make, [3, 8, 4], 2)
        else:
            envs = VectorAdapter(SyncVectorEnv([make] * 6, autoreset_mode=mode), [3, 8, 4], 2)
        seen = [envs.reset()]
        for _ in range(7):
            step = envs.step(np.zeros((6, 2), np.float32))
            assert step.obs.flags.c_contiguous
            assert step.next_obs.flags.c_contiguous
            seen += [step.obs, step.next_obs]
        return seen

    assert equal(play(None), play(order))


@pytest.mark.parametrize(
    "reward",
    [0.1, np.float32(0.1), np.float64(0.1), np.array(0.1), True, 3, -(2**70), 1e-50, 3.4e38, np.int8(-5)],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore:.*cast")
def test_a_reward_is_any_number_and_returns_add_it_as_it_is(reward):
    envs = Environments(lambda: Odd(np.zeros(2), reward, ends=3), [0, 1])
    envs.reset()
    for _ in range(3):
        step = envs.step(np.zeros((2, 2), np.float32))
        assert step.reward.dtype == np.float32
        assert step.reward.tolist() == [float(np.float32(reward))] * 2
        assert step.valid.all()
    assert envs.finished() == [(e, 0.0 + float(reward) + float(reward) + float(reward), 3) for e in range(2)]


def test_what_says_that_all_steps_count_cannot_be_changed():
    envs = Environments(Counter, [0, 1])
    envs.reset()
    valid = envs.step(np.zeros((2, 2), np.float32)).valid
    with pytest.raises(ValueError, match="read-only"):
        valid[0] = False


def test_a_box_of_any_shape_is_one_axis_for_the_agent():
    envs = Environments(lambda: Counter(action=Box(-1, 3, (2, 3), np.float32)), [0])
    envs.reset()
    envs.step(np.arange(6, dtype=np.float32)[None] / 5)
    assert np.allclose(envs.worlds[0].done[-1], 1 + 2 * np.arange(6).reshape(2, 3) / 5)


def test_discrete_spaces_count_from_their_start_and_are_one_hot():
    envs = Environments(
        lambda: Counter(9, observation=Discrete(4, start=2), action=Discrete(3, start=5)), [0]
    )
    assert envs.observation_space.shape == (4,)
    assert envs.reset().tolist() == [[1, 0, 0, 0]]
    assert envs.step(np.array([2])).obs.tolist() == [[0, 1, 0, 0]]
    assert envs.worlds[0].done == [7]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Counter(observation=Dict(a=Discrete(2))), "observations in a box or discrete"),
        (lambda: Counter(action=MultiDiscrete([2, 2])), "actions in a box or discrete"),
        (lambda: Counter(action=Box(-np.inf, 1, (2,))), r"bounded actions, entry 0 lies in \[-inf, 1.0\]"),
        (lambda: Counter(action=Box(-1e308, 1e308, (2,), np.float64)), "bounded actions, entry 0 lies in"),
        (lambda: "no environment", "must make a gymnasium.Env, .* made str"),
        ("NoSuch-v0", "env 'NoSuch-v0' cannot be made"),
        (3, "id or a factory, got 3"),
        (lambda n: Counter(), "takes a number, so must make a VectorEnv"),
    ],
)
def test_what_cannot_be_stepped_is_refused(made, message):
    with pytest.raises(ValueError, match=message):
        make_environments(made, [0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "seeds must not be empty"),
        (([-1],), r"seeds\[0\]"),
        (([0], 0), "per_seed"),
    ],
)
def test_bad_numbers_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Environments(Counter, *arguments)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (("obs", 2), r"\(environment 0, seed 4\) gave observation\[1\] = nan at step 2"),
        (("reward", 1), r"\(environment 0, seed 4\) gave reward = inf at step 1"),
    ],
)
def test_numbers_that_are_none_stop_the_run(bad, message):
    envs = Environments(lambda: Counter(bad=bad), [4])
    envs.reset()
    zero = np.zeros((1, 2), np.float32)
    for _ in range(bad[1] - 1):
        envs.step(zero)
    with pytest.raises(ValueError, match=message):
        envs.step(zero)


class Odd(Counter):
    """Steps to what it is told."""

    def __init__(self, obs, reward=0.0, observation=None, ends=None):
        super().__init__(ends, observation=observation)
        self.given = obs, reward

    def step(self, action):
        self.t += 1
        return *self.given, self.t == self.length, False, {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([0.0, 0.0], 1e39), r"gave reward = inf at step 1"),
        (([0.0, 0.0], [1.0, 2.0]), r"gave reward \[1.0, 2.0\], it must be a number"),
        (([0.0, 1e39], 0.0), r"gave observation\[1\] = inf at step 1"),
        (([0.0], 0.0), r"gave an observation of shape \(1,\), its space says \(2,\)"),
        ((0.0, 0.0), r"gave an observation of shape \(\), its space says \(2,\)"),
        ((np.zeros((1, 2)), 0.0), r"gave an observation of shape \(1, 2\), its space says \(2,\)"),
        (([[0.0], [0.0]], 0.0), r"gave an observation of shape \(2, 1\), its space says \(2,\)"),
        ((6, 0.0, Discrete(4, start=2)), r"gave observation 6, its space says 2\.\.5"),
        ((1, 0.0, Discrete(4, start=2)), r"gave observation 1, its space says 2\.\.5"),
        (([0.0, 0.0], -1e39), r"gave reward = -inf at step 1"),
        (([0.0, -1e39], 0.0), r"gave observation\[1\] = -inf at step 1"),
        (([0.0, 0.0], None), r"gave reward = nan at step 1"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_steps_to_what_is_not_in_the_space_are_refused(given, message):
    envs = Environments(lambda: Odd(*given), [0])
    envs.reset()
    with pytest.raises(ValueError, match=message):
        envs.step(np.zeros((1, 2), np.float32))


STEP = r"must step to \(observation, reward, terminated, truncated, info\), gave "


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("reset", np.zeros(2), r"must reset to \(observation, info\), gave a ndarray"),
        ("reset", (np.zeros(2), {}, 0), r"must reset to \(observation, info\), gave 3 values"),
        ("step", (np.zeros(2), 0.0, False, {}), f"{STEP}4 values"),
        ("step", np.zeros(2), f"{STEP}a ndarray"),
        ("step", None, f"{STEP}a NoneType"),
    ],
)
def test_what_gymnasium_does_not_say_is_refused(method, given, message, monkeypatch):
    envs = Environments(Counter, [0])
    if method == "step":
        envs.reset()
    monkeypatch.setattr(Counter, method, lambda self, *_, **__: given)
    with pytest.raises(ValueError, match=message):
        envs.reset() if method == "reset" else envs.step(np.zeros((1, 2), np.float32))


def test_rewards_of_a_vector_environment_are_one_each():
    class Column(SyncVectorEnv):
        def step(self, actions):
            obs, reward, *rest = super().step(actions)
            return obs, reward[:, None], *rest

    for n in (1, 3):
        envs = VectorAdapter(Column([Counter] * n), range(n))
        envs.reset()
        with pytest.raises(ValueError, match=rf"gave rewards of shape \({n}, 1\), needed is \({n},\)"):
            envs.step(np.zeros((n, 2), np.float32))


def test_rewards_of_a_vector_environment_are_finite_as_they_are_kept():
    envs = VectorAdapter(SyncVectorEnv([lambda: Odd(np.zeros(2), 1e39)]), [0])
    envs.reset()
    with pytest.raises(ValueError, match="gave reward = inf at step 1"):
        envs.step(np.zeros((1, 2), np.float32))


def test_a_factory_that_makes_one_environment_again_and_again_is_refused():
    one = Counter()
    with pytest.raises(ValueError, match="made an environment that is in use"):
        Environments(lambda: one, [0, 1])
    envs = Environments(lambda: gymnasium.wrappers.TimeLimit(one, 5), [0])  # training, and
    with pytest.raises(ValueError, match="made an environment that is in use"):
        Environments(lambda: gymnasium.wrappers.TimeLimit(one, 5), [0], purpose="evaluate")
    envs.close()
    envs = Environments(lambda: one, [0])  # free again
    del envs
    Environments(lambda: one, [0]).close()


def test_bad_actions_are_refused():
    envs = Environments(Counter, [0, 1])
    envs.reset()
    with pytest.raises(ValueError, match=r"action\[1, 0\] must be finite, got nan"):
        envs.step(np.array([[0, 0], [np.nan, 0]], np.float32))
    with pytest.raises(ValueError, match=r"shape \(2, 2\), got \(2,\)"):
        envs.step(np.zeros(2, np.float32))
    envs = Environments(lambda: Counter(action=Discrete(3)), [0])
    envs.reset()
    with pytest.raises(ValueError, match=r"action\[0\] must be in 0..2, got 3"):
        envs.step(np.array([3]))


def test_an_observation_of_another_shape_is_refused():
    envs = Environments(lambda: Counter(observation=Box(-1, 1, (3,))), [0])
    with pytest.raises(ValueError, match=r"shape \(2,\), its space says \(3,\)"):
        envs.reset()


def through_files(state):
    """What a file of arrays and a file of JSON make of a state."""
    arrays, data = state
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)
    return dict(np.load(file)), json.loads(json.dumps(data))


RESUMED = [("Pendulum-v1", 330), ("CartPole-v1", 45), ("Hopper-v5", 70), ("HalfCheetah-v5", 25)]


@pytest.mark.parametrize(("env", "at"), RESUMED)
def test_a_restart_goes_on_to_the_bit(env, at):
    if env.endswith("v5"):
        pytest.importorskip("mujoco")
    rng = np.random.default_rng(0)
    with Environments(env, [0, 3]) as one, Environments(env, [0, 3]) as two:
        one.reset()
        for _ in range(at):
            one.step(actions(one, rng))
        state = through_files(one.state())
        assert sum(one.episodes) > 0 or env == "HalfCheetah-v5"
        two.restore(*state)
        assert np.array_equal(one.obs, two.obs)
        assert one.obs.dtype == two.obs.dtype
        assert one.ended == two.ended
        assert one.totals == two.totals
        for k in range(230 if env == "Pendulum-v1" else 60):  # beyond the next resets
            action = actions(one, rng) if k % 2 else np.zeros_like(actions(one, rng))
            assert equal(one.step(action), two.step(action))
        assert one.finished() == two.finished()
        assert equal([*one.state()[0].values()], [*two.state()[0].values()])
        assert one.state()[1] == two.state()[1]


def test_a_state_is_not_changed_by_what_follows():
    envs = Environments(lambda: Counter(3), [0])
    envs.reset()
    action = np.full((1, 2), 0.5, np.float32)
    envs.step(action)
    action[:] = 0.0  # the caller uses its array again
    arrays, data = envs.state()
    before = json.dumps(data), {k: v.copy() for k, v in arrays.items()}
    assert arrays["actions"].tolist() == [[0.5, 0.5]]
    for _ in range(4):
        envs.step(action)
    assert json.dumps(data) == before[0]
    assert all(np.array_equal(arrays[k], v) for k, v in before[1].items())


def test_a_state_before_the_first_reset_is_one():
    envs = Environments(Counter, [0])
    other = Environments(Counter, [0])
    other.restore(*through_files(envs.state()))
    assert np.array_equal(envs.reset(), other.reset())


class Hidden(Counter):
    """An environment whose episodes depend on something that no seed decides."""

    drawn = 0

    def reset(self, *, seed=None, options=None):
        obs, info = super().reset(seed=seed)
        Hidden.drawn += 1
        return obs + Hidden.drawn, info


def test_an_environment_that_does_not_repeat_is_named():
    envs = Environments(Hidden, [3])
    envs.reset()
    with pytest.raises(ValueError, match=r"Hidden \(environment 0, seed 3\) did not repeat its episode"):
        envs.restore(*envs.state())


def test_a_state_of_other_environments_is_refused():
    state = Environments(Counter, [0, 1]).state()
    with pytest.raises(ValueError, match=r"other environments: it has seeds \[0, 1\]"):
        Environments(Counter, [0, 2]).restore(*state)


MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]


def vector(mode, lengths, terminates=True):
    return SyncVectorEnv([lambda k=k: Counter(k, terminates) for k in lengths], autoreset_mode=mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("terminates", [True, False])
def test_all_modes_give_the_same_transitions(mode, terminates):
    """Of each environment the valid steps are those of counting up to its length, over and over."""
    lengths = [2, 3, 5]
    envs = VectorAdapter(vector(mode, lengths, terminates), [0, 1, 2])
    obs = envs.reset()
    seen = [[] for _ in lengths]
    for _ in range(40):
        step = envs.step(np.zeros((3, 2), np.float32))
        for e in np.flatnonzero(step.valid):
            assert step.next_obs[e, 1] == obs[e, 1]  # the same episode on both sides
            end = step.terminated[e] or step.truncated[e]
            seen[e].append((obs[e, 0], step.next_obs[e, 0], step.reward[e], end, step.terminated[e]))
        for e in np.flatnonzero(~step.valid):
            assert not (step.terminated[e])
            assert not (step.truncated[e])
            assert step.reward[e] == 0.0
        assert np.array_equal(envs.obs, step.obs)
        obs = step.obs
    for e, n in enumerate(lengths):
        steps = 40 if mode is not AutoresetMode.NEXT_STEP else 40 - 40 // (n + 1)
        want = [
            (k % n, k % n + 1, k % n + 1, k % n == n - 1, k % n == n - 1 and terminates) for k in range(steps)
        ]
        assert seen[e] == want
    ends = envs.finished()
    assert {(e, total, length) for e, total, length in ends} == {(0, 3.0, 2), (1, 6.0, 3), (2, 15.0, 5)}


def test_modes_that_reset_here_take_seeds_as_environments_do():
    envs = VectorAdapter(vector(AutoresetMode.DISABLED, [2, 3]), [4, 9])
    ours = Environments(lambda: Counter(2), [4])
    assert np.array_equal(envs.reset()[0], ours.reset()[0])
    for _ in range(7):
        a, b = envs.step(np.zeros((2, 2), np.float32)), ours.step(np.zeros((1, 2), np.float32))
        assert np.array_equal(a.obs[0], b.obs[0])
        assert np.array_equal(a.next_obs[0], b.next_obs[0])


def test_a_vector_environment_with_one_seed_for_all_is_seeded_too():
    def play(seeds):
        with make_environments(lambda n: gymnasium.make_vec("CartPole-v1", num_envs=n), seeds) as envs:
            assert type(envs.env.unwrapped).__name__ == "CartPoleVectorEnv"
            rows = [envs.reset()] + [envs.step(np.zeros(2, np.int64)).obs for _ in range(60)]
            ends = envs.finished()
        assert {e for e, _, _ in ends} == {0, 1}
        assert all(total == length for _, total, length in ends)
        return np.array(rows)

    assert np.array_equal(play([0, 1]), play([0, 1]))
    assert not np.array_equal(play([0, 1])[0], play([0, 2])[0])


def test_a_vector_of_discrete_observations_is_one_hot():
    made = [lambda: Counter(9, observation=Discrete(4, start=2), action=Discrete(3, start=5))] * 2
    envs = VectorAdapter(SyncVectorEnv(made), [0, 1])
    envs.reset()
    assert envs.step(np.array([2, 0])).obs.tolist() == [[0, 1, 0, 0]] * 2
    assert [env.done for env in envs.env.envs] == [[7], [5]]


def test_a_vector_environment_that_does_not_fit_is_refused():
    made = vector(AutoresetMode.SAME_STEP, [2, 2])
    with pytest.raises(ValueError, match="has 2 environments, needed are 3: 1 for each of 3 seeds"):
        make_environments(made, [0, 1, 2])
    with make_environments(made, [0, 1]) as envs:
        with pytest.raises(ValueError, match="in use already"):
            make_environments(made, [0, 1], purpose="evaluate")
        envs.reset()
        with pytest.raises(ValueError, match="cannot be resumed exactly"):
            envs.restore(*through_files(envs.state()))
    made = vector(AutoresetMode.SAME_STEP, [2])
    made.metadata = {}
    with pytest.raises(ValueError, match="must say its autoreset mode in its metadata, says None"):
        make_environments(made, [0])


def test_a_reset_that_takes_a_step_says_nothing_of_an_end():
    class Stale(SyncVectorEnv):
        """Says at a reset what it said at the end."""

        def step(self, actions):
            resets = self._autoreset_envs.copy()
            obs, reward, terminated, truncated, info = super().step(actions)
            return obs, np.where(resets, 7.0, reward), terminated | resets, truncated | resets, info

    envs = VectorAdapter(Stale([lambda: Counter(1)]), [0])
    envs.reset()
    steps = [envs.step(np.zeros((1, 2), np.float32)) for _ in range(4)]
    for step, valid in zip(steps, [True, False, True, False], strict=True):
        assert step.valid[0] == step.terminated[0] == valid
        assert not step.truncated[0]
        assert step.reward[0] == valid
    assert envs.finished() == [(0, 1.0, 1), (0, 1.0, 1)]


def test_an_end_without_its_observation_is_refused():
    class Forgetful(SyncVectorEnv):
        def step(self, actions):
            *rest, _info = super().step(actions)
            return (*rest, {})

    made = Forgetful([lambda: Counter(1)], autoreset_mode=AutoresetMode.SAME_STEP)
    envs = VectorAdapter(made, [0])
    envs.reset()
    with pytest.raises(ValueError, match=r"\(environment 0\) ended at step 1 without its final_obs"):
        envs.step(np.zeros((1, 2), np.float32))


def test_making_a_cheetah_is_quiet_and_nothing_else_is(tmp_path):
    pytest.importorskip("mujoco")
    code = (
        "import mujoco\n"
        "from eluder.deep.common.environments import Environments\n"
        "from eluder.deep.common.physics import quiet\n"
        "Environments('HalfCheetah-v5', [0, 1])\n"
        "assert mujoco.get_mju_user_warning() is None\n"
        "with quiet('HalfCheetah-v5'):\n"
        "    mujoco.get_mju_user_warning()('something else')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "WARNING: something else"
    assert not done.stdout
    assert "settotalmass" not in "".join(f.read_text() for f in tmp_path.iterdir())
