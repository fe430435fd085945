"""Tests of envs/_to_gymnasium.py and envs/_register.py."""

import inspect
import re
import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import scipy.sparse
from gymnasium.utils.env_checker import check_env

from eluder import envs
from eluder.core.exact import policy_value
from eluder.envs import from_gymnasium, river_swim, to_gymnasium
from eluder.envs._register import INSTANCES
from tests.instances import random_discounted, random_episodic

OTHER_KIND = re.compile(r"eluder\.core\.(?!problems)")  # linear problems and bandits are not played by name


def same(a, b):
    assert type(a) is type(b)
    for x, y in zip(a, b, strict=True):
        dense = [z.toarray() if scipy.sparse.issparse(z) else z for z in (x, y)]
        np.testing.assert_array_equal(*dense)


# --- the registered ids ---


@pytest.mark.parametrize("name", INSTANCES)
def test_registered_ids_pass_the_checker(name):
    env = gymnasium.make(f"eluder/{name}-v0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    modes = env.unwrapped.metadata["render_modes"]
    assert "ansi" in modes
    for mode in modes:
        shown = gymnasium.make(f"eluder/{name}-v0", render_mode=mode)
        shown.reset(seed=0)
        frame = shown.render()
        if mode == "ansi":
            assert isinstance(frame, str)
        else:
            assert frame.dtype == np.uint8
            assert frame.shape[2] == 3


def test_no_instance_is_forgotten():
    """Each instance is in the gallery; those played in steps have an id (a map of one's own has none)."""
    names = set(envs.__all__) - {"from_gymnasium", "to_gymnasium", "Log"}
    signatures = {n: inspect.signature(getattr(envs, n)) for n in names}
    others = {
        n for n, s in signatures.items() if OTHER_KIND.match(getattr(s.return_annotation, "__module__", ""))
    }
    steps = {n for n in names - others if {"H", "gamma"} & set(signatures[n].parameters)}
    assert {i.build.__name__ for i in INSTANCES.values()} == steps - {"gridworld"}
    gallery = (Path(__file__).parents[2] / "docs" / "envs.md").read_text()
    assert [name for name in names if not re.search(rf"`{name}[`(]", gallery)] == []


def test_arguments_go_to_the_instance():
    problem = gymnasium.make("eluder/RiverSwim-v0", S=9, gamma=0.9).unwrapped.problem
    same(problem, river_swim(9, gamma=0.9))
    assert gymnasium.make("eluder/DeepSea-v0", size=4).unwrapped.problem.H == 4
    codes = [
        gymnasium.make("eluder/CombinationLock-v0", L=20, instance_seed=i).unwrapped.P for i in (1, 1, 2)
    ]
    assert codes[0] == codes[1] != codes[2]


def test_make_by_module_in_a_fresh_process():
    code = (
        "import gymnasium as g; e = g.make('eluder.envs:eluder/RiverSwim-v0');"
        "from gymnasium.envs.registration import EnvSpec;"
        "assert EnvSpec.from_json(e.spec.to_json()).make().reset(seed=0)[0] == 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_spawned_workers():
    workers = gymnasium.make_vec(
        "eluder.envs:eluder/RiverSwim-v0", num_envs=2, vectorization_mode="async",
        vector_kwargs={"context": "spawn"},
    )  # fmt: skip
    try:
        workers.reset(seed=0)
        obs, reward, *_ = workers.step(np.zeros(2, int))
        assert obs.tolist() == [0, 0]
        np.testing.assert_allclose(reward, 0.005)
    finally:
        workers.close()


# --- round trip ---


@pytest.mark.parametrize("bernoulli", [False, True])
def test_round_trip(bernoulli):
    episodic = random_episodic(5, 3, 4, seed=1, masked=True, bernoulli=bernoulli)
    same(from_gymnasium(to_gymnasium(episodic), H=4, bernoulli=bernoulli), episodic)
    for sparse in (False, True):
        mdp = random_discounted(
            5, 3, 0.9, seed=1, branching=2, masked=True, sparse=sparse, bernoulli=bernoulli
        )
        same(from_gymnasium(to_gymnasium(mdp), gamma=0.9, sparse=sparse, bernoulli=bernoulli), mdp)


def test_round_trip_without_arguments():
    staged = random_episodic(5, 3, 4, seed=1, stages=True)
    assert from_gymnasium(to_gymnasium(staged)) is staged
    with pytest.raises(ValueError, match="env has no transition table"):
        from_gymnasium(to_gymnasium(staged), H=4)


# --- what is played is the problem ---


@pytest.mark.parametrize("stages", [False, True])
@pytest.mark.parametrize("bernoulli", [False, True])
def test_mean_return_is_the_value(stages, bernoulli):
    mdp = random_episodic(3, 2, 3, seed=6, stages=stages, bernoulli=bernoulli)
    pi = np.array([[0, 1, 1], [1, 0, 0], [1, 1, 0]])
    env = to_gymnasium(mdp)
    returns = []
    s, _ = env.reset(seed=0)
    for _ in range(3000):
        total, terminated, h = 0.0, False, 0
        while not terminated:
            s, reward, terminated, truncated, info = env.step(pi[h, s])
            total, h = total + reward, h + 1
            assert not truncated
            assert info["stage"] == h
        assert h == 3
        returns.append(total)
        s, _ = env.reset()
    assert abs(np.mean(returns) - mdp.mu @ policy_value(mdp, pi)[0]) < 4 * np.std(returns) / 3000**0.5


def test_a_discounted_problem_goes_on():
    env = to_gymnasium(random_discounted(3, 2, 0.9, seed=0))
    env.reset(seed=0)
    for _ in range(200):
        *_, terminated, truncated, info = env.step(0)
        assert not terminated
        assert not truncated
    assert "stage" not in info


def test_mask_in_info():
    mdp = random_episodic(4, 3, 5, seed=0, masked=True)
    env = to_gymnasium(mdp)
    s, info = env.reset(seed=1)
    np.testing.assert_array_equal(info["action_mask"], mdp.mask[s])


# --- pictures ---


def test_text_and_image():
    mdp = random_discounted(3, 2, 0.9, seed=0)
    mdp = mdp._replace(mu=np.array([0.0, 1.0, 0.0]))
    layout = [[0, -1], [2, 1]]
    text = to_gymnasium(mdp, layout=layout, render_mode="ansi")
    text.reset(seed=0)
    assert text.render().splitlines() == ["stage 0  state 1", ".#", ".A"]
    image = to_gymnasium(mdp, layout=layout, render_mode="rgb_array")
    image.reset(seed=0)
    frame = image.render()
    assert frame.shape == (48, 48, 3)
    assert tuple(frame[12, 36]) == (60, 60, 60)
    assert tuple(frame[36, 36]) == (30, 90, 200)
    assert to_gymnasium(mdp).render() is None


# --- bad input ---


def test_errors_by_message():
    mdp = random_episodic(2, 2, 1, seed=0)
    for kwargs, message in [
        ({"render_mode": "rgb_array"}, r"render_mode must be None or one of \['ansi'\]"),
        ({"layout": [0, 1]}, "layout must be integers of shape"),
        ({"layout": [[0.5]]}, "layout must be integers of shape"),
        ({"layout": [[0, 2]]}, "layout must hold each of the states 0, ..., 1 at most once"),
        ({"layout": [[0, 0]]}, "layout must hold each of the states"),
    ]:
        with pytest.raises(ValueError, match=message):
            to_gymnasium(mdp, **kwargs)
    with pytest.raises(ValueError, match="problem must be an EpisodicMDP or a DiscountedMDP, got dict"):
        to_gymnasium({})
    env = to_gymnasium(mdp)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action must be in 0, ..., 1, got 2"):
        env.step(2)
    assert env.step(1)[2]
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
