"""The replay against a plain list of transitions."""

from collections import deque
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eluder.deep.common import replay as module
from eluder.deep.common.environments import Step
from eluder.deep.common.random import seed_keys
from eluder.deep.common.replay import Replay
from tests.deep.graphs import played


class Lists:
    """Every transition of one environment with its own next observation, as long as its frames fit."""

    def __init__(self, L):
        self.L, self.frames, self.now = L, deque(), None  # of each frame: the transition, or None

    def begin(self, obs):
        self.now = obs

    def add(self, obs, action, reward, next_obs, terminated, truncated, reset):
        self.frames.append((obs, action, reward, next_obs, terminated, truncated))
        self.now = next_obs
        if terminated or truncated:
            self.frames.append(None)
            self.now = reset
        while len(self.frames) + 1 > self.L:  # the newest observation has a frame, too
            self.frames.popleft()

    def transitions(self):
        return [f for f in self.frames if f is not None]

    def n_step(self, i, n, gamma):
        """The target parts of the i-th transition."""
        total, factor = 0.0, 1.0
        frames = self.transitions()
        for _, _, reward, next_obs, terminated, truncated in frames[i : i + n]:
            total, factor = total + factor * reward, factor * gamma
            end = (next_obs, terminated)
            if terminated or truncated:
                break
        return total, end[0], factor * (not end[1])


def play(replay, lists, steps, rng, p_end=0.2):
    """Random steps whose observations are all different numbers."""
    n = len(lists)
    number = iter(range(1, 10**9))

    def fresh():
        return np.array([[next(number)] for _ in range(n)], np.float32)

    obs = fresh()
    replay.begin(obs)
    for e, one in enumerate(lists):
        one.begin(float(obs[e, 0]))
    for _ in range(steps):
        action, reward = rng.uniform(-1, 1, (n, 2)).astype(np.float32), rng.normal(size=n).astype(np.float32)
        next_obs, reset = fresh(), fresh()
        terminated = rng.random(n) < p_end / 2
        truncated = rng.random(n) < p_end / 2
        ended = terminated | truncated
        follow = np.where(ended[:, None], reset, next_obs)
        replay.add(action, Step(follow, reward, next_obs, terminated, truncated, np.ones(n, bool)))
        for e, one in enumerate(lists):
            row = (float(obs[e, 0]), action[e], float(reward[e]), float(next_obs[e, 0]))
            one.add(*row, bool(terminated[e]), bool(truncated[e]), float(reset[e, 0]))
        obs = follow


@settings(max_examples=40, deadline=None)
@given(
    steps=st.integers(1, 120),
    L=st.integers(4, 30),
    E=st.integers(1, 3),
    n_step=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_holds_and_draws_what_a_list_of_transitions_holds(steps, L, E, n_step, seed):
    N, gamma = 2, 0.9
    replay = Replay(L * E, (1,), 2, N, E)
    lists = [Lists(L) for _ in range(N * E)]
    play(replay, lists, steps, np.random.default_rng(seed))
    wanted = [{} for _ in range(N)]
    for e, one in enumerate(lists):
        for i, (obs, action, *_) in enumerate(one.transitions()):
            wanted[e // E][obs] = (action, *one.n_step(i, n_step, gamma))
    assert len(replay) == min(map(len, wanted))
    if len(replay) == 0:
        return
    batch = replay.sample(300, seed_keys([0, 1]), seed, gamma=gamma, n_step=n_step)
    with mock.patch("eluder.deep.common.devices.has_kernels", return_value=False):
        operations = replay.sample(300, seed_keys([0, 1]), seed, gamma=gamma, n_step=n_step)
    assert all(torch.equal(x, y) for x, y in zip(batch, operations)), "what other devices draw"
    for n in range(N):
        for k in range(300):
            action, reward, next_obs, discount = wanted[n][batch.obs[n, k].item()]
            assert batch.action[n, k].tolist() == action.tolist()
            assert batch.reward[n, k].item() == pytest.approx(reward, abs=1e-5)
            assert batch.next_obs[n, k].item() == next_obs
            assert batch.discount[n, k].item() == pytest.approx(discount, abs=1e-6)
        if len(wanted[n]) <= 20:
            assert set(batch.obs[n, :, 0].tolist()) == set(wanted[n]), "every transition can be drawn"


@pytest.mark.parametrize("E", [1, 3])
def test_stores_the_same_by_a_graph(E, monkeypatch):
    """What comes from the host goes through the mailbox, and from there by a tape: nothing is held in it.

    By a loop on the CPU, by operations elsewhere, of which the tape consists.
    """

    def filled():
        replay = Replay(12 * E, (1,), 2, 2, E)
        play(replay, [Lists(12) for _ in range(2 * E)], 60, np.random.default_rng(4))
        return replay

    plain, used = filled(), []
    monkeypatch.setattr(module, "repeated", lambda *a: used.append(played(*a)) or used[-1])
    monkeypatch.setattr("eluder.deep.common.devices.has_kernels", lambda device: False)
    taped = filled()
    assert used[0].tapes
    for name, x in plain.state().items():
        assert torch.equal(x, taped.state()[name]), name


def test_every_transition_has_the_same_probability():
    replay, lists = Replay(24, (1,), 2, 1, 3), [Lists(8) for _ in range(3)]
    play(replay, lists, 40, np.random.default_rng(0), p_end=0.5)
    drawn = replay.sample(200_000, seed_keys([0]), 0).obs[0, :, 0].numpy()
    _, counts = np.unique(drawn, return_counts=True)
    m = sum(len(one.transitions()) for one in lists)
    assert len(counts) == m
    assert abs(counts / 200_000 - 1 / m).max() < 5 * np.sqrt(1 / m / 200_000)


def test_each_seed_draws_what_it_draws_alone():
    pair, alone = Replay(50, (1,), 2, 2), Replay(50, (1,), 2, 1)
    play(pair, [Lists(50) for _ in range(2)], 30, np.random.default_rng(1), p_end=0.0)
    keys = seed_keys([4, 9])
    for name in ("obs", "action", "reward", "terminated", "ended"):
        getattr(alone, name)[:] = getattr(pair, name)[50:]
    alone.order[:] = pair.order[1:]
    alone.where.copy_(pair.where[:, 1:])
    for ours, theirs in zip(alone.sample(16, keys[1:], 7), pair.sample(16, keys, 7)):
        assert torch.equal(ours[0], theirs[1])


@pytest.mark.parametrize("steps", [10, 100])
def test_a_state_gives_the_same_draws_and_the_same_future(steps):
    replay = Replay(30, (1,), 2, 2, 1)
    play(replay, [Lists(30) for _ in range(2)], steps, np.random.default_rng(2))
    state = {name: x.clone() for name, x in replay.state().items()}
    other = Replay(30, (1,), 2, 2, 1)
    other.load(state)
    keys = seed_keys([0, 1])
    for more in range(50):
        for ours, theirs in zip(
            other.sample(8, keys, more, n_step=3), replay.sample(8, keys, more, n_step=3)
        ):
            assert torch.equal(ours, theirs)
        x = np.full((2, 1), 1000.0 + more, np.float32)
        end = np.array([more % 5 == 0, more % 7 == 0])
        for r in (replay, other):
            r.add(
                np.zeros((2, 2), np.float32), Step(x + 0.5, x[:, 0], x, end, ~end & False, np.ones(2, bool))
            )


def test_steps_that_are_no_transitions_leave_only_their_observation():
    """The reset step of a vector environment in NEXT_STEP mode."""
    replay = Replay(20, (1,), 0, 1)
    replay.begin(np.zeros((1, 1), np.float32))
    one, yes, no = np.ones(1, np.float32), np.ones(1, bool), np.zeros(1, bool)

    def obs(x):
        return np.full((1, 1), x, np.float32)

    replay.add(np.zeros(1, np.int64), Step(obs(1), one, obs(1), no, yes, yes))
    replay.add(np.zeros(1, np.int64), Step(obs(7), 0 * one, obs(7), no, no, no))  # the reset
    replay.add(np.ones(1, np.int64), Step(obs(8), one, obs(8), no, no, yes))
    assert len(replay) == 2
    batch = replay.sample(50, seed_keys([0]), 0, gamma=0.5)
    found = {
        (o.item(), a.item(), x.item()) for o, a, x in zip(batch.obs[0], batch.action[0], batch.next_obs[0])
    }
    assert found == {(0.0, 0, 1.0), (7.0, 1, 8.0)}
    assert (batch.discount == 0.5).all()


def test_first_observations_may_have_any_shape():
    replay = Replay(20, (6,), 0, 1, 2)
    replay.begin(np.arange(12.0).reshape(2, 1, 2, 3))
    assert replay.obs[[0, 10]].tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def test_more_rewards_in_a_row_than_are_kept_are_those_that_are():
    replay, rng = Replay(8, (1,), 0, 1), np.random.default_rng(0)
    replay.begin(np.zeros((1, 1), np.float32))
    no = np.zeros(1, bool)
    for _ in range(30):
        obs, reward = (rng.normal(size=(1, *shape)).astype(np.float32) for shape in ((1,), ()))
        replay.add(np.zeros(1, np.int64), Step(obs, reward, obs, no, no, ~no))
    few, many = (replay.sample(50, seed_keys([0]), 0, n_step=n) for n in (8, 10**12))
    assert all(a.equal(b) for a, b in zip(few, many))
    assert (many.next_obs == replay.obs[replay.head[0]]).all()


def test_memory_of_a_million_frames_of_humanoid():
    stores = Replay(1000, (348,), 17, 1)
    size = sum(x.numel() * x.element_size() for x in stores.state().values())
    stores.written[:] = 1000
    stores.count[:] = 1000
    size = sum(x.numel() * x.element_size() for x in stores.state().values())
    assert size * 1000 <= 1.6e9


def test_bad_input():
    with pytest.raises(ValueError, match="capacity must be"):
        Replay(3, (1,), 2, 1)
    with pytest.raises(ValueError, match="N must be"):
        Replay(10, (1,), 2, 0)
    state = Replay(10, (2,), 2, 1).state()
    with pytest.raises(ValueError, match=r"obs of the checkpoint has shape \(1, 0, 2\), needed \(1, 10, 1\)"):
        Replay(10, (1,), 2, 1).load(state)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("reward", None, "the checkpoint has no reward"),
        ("where", None, r"where of the checkpoint has shape \(0,\)"),
        ("where", lambda x: x[:3], r"where of the checkpoint has shape \(3, 2\)"),
        ("where", lambda x: x - 9, "where of the checkpoint .* negative entries"),
        ("where", lambda x: x + 10**6, "where of the checkpoint has entries beyond the 10 frames"),
        ("order", lambda x: x + 10, "order of the checkpoint has entries beyond the 10 frames"),
        ("action", lambda x: x[:1], r"action of the checkpoint has shape \(1, 5\), needed \(2, 10\)"),
    ],
)
def test_a_state_that_would_lead_out_of_the_rings_is_refused(name, change, message):
    replay, no = Replay(10, (1,), 0, 2), np.zeros(2, bool)
    replay.begin(np.zeros((2, 1), np.float32))
    for _ in range(4):
        replay.add(
            np.zeros(2, np.int64),
            Step(*np.zeros((3, 2, 1), np.float32), no, no, ~no)._replace(reward=no + 1.0),
        )
    state = {key: x.clone() for key, x in replay.state().items()}
    kept = {key: x for key, x in state.items() if key != name}
    with pytest.raises(ValueError, match=message):
        Replay(10, (1,), 0, 2).load(kept if change is None else {**state, name: change(state[name])})
    Replay(10, (1,), 0, 2).load(state)
