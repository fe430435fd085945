"""Counter-based random numbers: the published sequence, seeds side by side, laws, independence of streams."""

import numpy as np
import pytest
import torch

from eluder.deep.common.random import _mix, _normal_on_cpu, _unit, bits, integers, normal, seed_keys, uniform


def reference(state, n):
    """Splitmix64 as published, in Python's integers."""
    out, mask = [], (1 << 64) - 1
    for _ in range(n):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        out.append(z ^ (z >> 31))
    return out


def test_words_are_those_of_splitmix64():
    """The first words of seed 1234567, as in the reference implementation's test."""
    assert reference(1234567, 2) == [6457827717110365317, 3203168211198807973]
    start = torch.tensor([1234567])
    words = _mix(start[:, None] + torch.arange(1, 101) * -7046029254386353131)
    assert words.numpy().view(np.uint64)[0].tolist() == reference(1234567, 100)


def test_each_seed_draws_what_it_draws_alone():
    together = normal(seed_keys(range(5)), 3, 1, (4, 2))
    alone = [normal(seed_keys([i]), 3, 1, (4, 2))[0] for i in range(5)]
    assert torch.equal(together, torch.stack(alone))
    assert len({x.flatten()[0].item() for x in alone}) == 5
    assert torch.equal(bits(seed_keys([1]), torch.tensor(9), 0, 3), bits(seed_keys([1]), 9, 0, 3))


def test_counters_and_streams_give_other_numbers():
    keys = seed_keys([0])
    draws = [bits(keys, counter, stream, 50).flatten() for counter in range(20) for stream in range(5)]
    assert len(torch.unique(torch.cat(draws))) == 5000


@pytest.mark.parametrize("along", ["index", "counter", "stream", "seed"])
def test_uniform_along_every_axis(along):
    """The counts of 64 bins, and those of pairs of neighbours in 8 x 8 bins, by chi-square."""
    n = 20_000
    if along == "index":
        u = uniform(seed_keys([1]), 0, 0, (n,))[0]
    elif along == "counter":
        u = torch.cat([uniform(seed_keys([1]), i, 0, (1,))[0] for i in range(2000)])
    elif along == "stream":
        u = torch.cat([uniform(seed_keys([1]), 0, i, (1,))[0] for i in range(2000)])
    else:
        u = uniform(seed_keys(range(5000)), 0, 0, (1,)).flatten()
    x = u.numpy().astype(float)
    single = np.bincount((x * 64).astype(int), minlength=64)
    pairs = np.bincount((x[:-1] * 8).astype(int) * 8 + (x[1:] * 8).astype(int), minlength=64)
    for counts in (single, pairs):
        chi2 = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
        assert 25 < chi2 < 115  # 63 degrees of freedom: beyond with probability 1e-4


def test_uniform_never_reaches_an_end():
    ends = _unit(torch.tensor([0, 0xFFFFFF]))
    assert 0 < ends[0] < 1e-7
    assert 1 - 1e-7 < ends[1] < 1


def test_normal_is_the_transformation_of_box_and_muller():
    """Of the words, in float64; where their 24 bits are all ones or zeros too."""
    keys = seed_keys([5, 6])
    words = bits(keys, 3, 2, 5000)
    u, turns = (_unit(words >> shift).double().numpy() for shift in (40, 8))
    radius = np.sqrt(-2 * np.log(u))
    wanted = np.concatenate([radius * np.cos(2 * np.pi * turns), radius * np.sin(2 * np.pi * turns)], axis=1)
    np.testing.assert_allclose(normal(keys, 3, 2, (10_000,)).numpy(), wanted, rtol=1e-6, atol=1e-6)
    ends = np.array([[0, -1, (1 << 40) - 1, -(1 << 40)]])
    x = np.empty((1, 8), np.float32)
    _normal_on_cpu(ends, x)
    u = np.array([2.0**-25, 1 - 2.0**-24])
    radius = np.sqrt(-2 * np.log(u[[0, 1, 0, 1]]))
    np.testing.assert_allclose(x[0, :4], radius * np.cos(2 * np.pi * u[[0, 1, 1, 0]]), rtol=1e-6, atol=1e-6)


def test_normal_has_its_moments():
    x = normal(seed_keys(range(4)), 11, 2, (100_001,)).double()
    assert x.shape == (4, 100_001)
    for k, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        assert (x**k).mean().item() == pytest.approx(moment, abs=0.03)
    halves = x[:, :50_000] * x[:, 50_001:100_001]  # the two numbers of one word
    assert abs(halves.mean().item()) < 0.01


@pytest.mark.parametrize("high", [1, 2, 7, 1_000_000])
def test_integers_cover_their_range_evenly(high):
    x = integers(seed_keys([5]), 0, 0, (40_000,), high)
    assert x.min() >= 0
    assert x.max() < high
    if high <= 7:
        counts = torch.bincount(x[0], minlength=high).double()
        assert (counts / 40_000 - 1 / high).abs().max() < 0.012


def test_integers_take_a_bound_for_each_seed():
    x = integers(seed_keys([0, 1]), 0, 0, (1000,), torch.tensor([2, 50]))
    assert x[0].max() == 1
    assert x[1].max() > 40


def test_refuses_wrong_seeds():
    with pytest.raises(ValueError, match=r"seeds\[1\] must be at least 0, got -1"):
        seed_keys([0, -1])
    with pytest.raises(ValueError, match="seeds must hold at least one number"):
        seed_keys([])


@pytest.mark.parametrize("counter", [0, 3, 10**12])
def test_numpy_and_torch_make_the_same_bits(counter):
    keys = seed_keys([0, 5, 7])
    assert torch.equal(bits(keys, counter, 7000, 33), bits(keys, torch.tensor(counter), 7000, 33))
