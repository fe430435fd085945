"""Running statistics against those of all numbers at once."""

import numpy as np
import pytest
import torch

from eluder.deep.common.normalise import RewardScale, RunningNorm


def test_batches_give_the_statistics_of_everything():
    rng = np.random.default_rng(0)
    x = rng.normal(100.0, [1e-3, 5.0], (2, 60, 2)) * np.array([1.0, -2.0])[:, None, None]
    norm = RunningNorm(2, (2,))
    for part in np.split(x, [1, 7, 30], axis=1):
        norm.update(torch.tensor(part))
    np.testing.assert_allclose(norm.mean, x.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(norm.var, x.var(axis=1), rtol=1e-9)
    y = norm(torch.tensor(x))
    np.testing.assert_allclose(y, (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-8))


def test_entries_of_weight_0_count_for_nothing():
    """Each seed has as many as it has, none at all too; and what is left out may be anything finite."""
    rng = np.random.default_rng(2)
    x, keep = rng.normal(3.0, 2.0, (3, 40, 2)), rng.random((3, 40)) < [[0.3], [0.8], [0.0]]
    norm = RunningNorm(3, (2,))
    x[~keep] = 1e6
    for part in (slice(0, 9), slice(9, 10), slice(10, 40)):
        norm.update(torch.tensor(x[:, part]), torch.tensor(keep[:, part]))
    assert norm.count[:, 0].tolist() == keep.sum(axis=1).tolist()
    for n in range(2):
        np.testing.assert_allclose(norm.mean[n], x[n, keep[n]].mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(norm.var[n], x[n, keep[n]].var(axis=0), rtol=1e-9)
    assert norm.mean[2].tolist() == [0.0, 0.0]
    assert norm.var[2].tolist() == [1.0, 1.0]


def test_reading_does_not_write():
    norm = RunningNorm(1, (1,))
    norm.update(torch.tensor([[[1.0], [2.0]]]))
    before = {k: v.clone() for k, v in norm.state().items()}
    norm(torch.tensor([[[50.0]]]))
    assert all(torch.equal(v, before[k]) for k, v in norm.state().items())


def test_outliers_are_cut_and_a_constant_is_harmless():
    norm = RunningNorm(1, (1,), clip=5.0)
    norm.update(torch.full((1, 10, 1), 3.0))
    assert norm(torch.tensor([[[3.0], [1e6], [-1e6]]])).flatten().tolist() == [0.0, 5.0, -5.0]
    assert RunningNorm(1, (1,))(torch.tensor([[[2.0]]])).item() == pytest.approx(2.0)


def test_rewards_are_scaled_by_the_deviation_of_returns():
    rng = np.random.default_rng(1)
    reward, ended = rng.normal(size=(50, 2, 3)), rng.random((50, 2, 3)) < 0.2
    scale = RewardScale(2, 3, 0.9, clip=np.inf)
    total, seen = np.zeros((2, 3)), [[], []]
    for r, end in zip(reward, ended):
        got = scale(torch.tensor(r), torch.tensor(end))
        total = 0.9 * total + r
        for n in range(2):
            seen[n].extend(total[n])
            np.testing.assert_allclose(got[n], r[n] / np.sqrt(np.var(seen[n]) + 1e-8), rtol=1e-9)
        total[end] = 0.0


def test_a_state_that_does_not_fit_is_refused():
    for thing, name in ((RunningNorm(2, (3,)), "mean"), (RewardScale(2, 3, 0.9), "total")):
        state = {key: x.clone() + 1 for key, x in thing.state().items()}
        with pytest.raises(ValueError, match=rf"{name} must have shape \(2, 3\), the checkpoint has \(1,\)"):
            thing.load({**state, name: torch.zeros(1)})
        with pytest.raises(ValueError, match=r"count must have shape .*, the checkpoint has nothing"):
            thing.load({key: x for key, x in state.items() if key != "count"})
        assert not any(x.any() for x in thing.state().values())  # nothing was changed
        thing.load(state)
        assert all((x == 1).all() for x in thing.state().values())


def test_a_state_is_everything():
    scale, other = RewardScale(1, 2, 0.9), RewardScale(1, 2, 0.9)
    no = torch.zeros(1, 2, dtype=torch.bool)
    for i in range(5):
        scale(torch.tensor([[float(i), 1.0]]), no)
    other.load({k: v.clone() for k, v in scale.state().items()})
    x = torch.tensor([[0.3, -2.0]])
    assert torch.equal(scale(x, no), other(x, no))
