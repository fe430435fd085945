"""Random numbers that are a function of (key, counter, stream, index), and of nothing else.

A draw is the output of splitmix64 (Steele, Lea & Flood, OOPSLA 2014) started at a hash of key, counter and
stream. There is no state: a run is resumed by its counter alone, each of many seeds side by side draws what
it draws alone, and the same numbers come on every device, in eager code, in compiled code and in a CUDA
graph, where the counter is a tensor that the graph increments.
"""

import math

import numpy as np
import torch
from torch import Tensor

from eluder.core import checks

__all__ = ["bits", "integers", "normal", "seed_keys", "uniform"]

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed number, 2^64 over the golden ratio
_FIRST = -4658895280553007687  # 0xBF58476D1CE4E5B9
_SECOND = -7723592293110705685  # 0x94D049BB133111EB


def _mix(z: Tensor) -> Tensor:
    """Return the finaliser of splitmix64, element by element; int64 multiplication wraps around."""
    z = (z ^ (z >> 30 & 0x3FFFFFFFF)) * _FIRST
    z = (z ^ (z >> 27 & 0x1FFFFFFFFF)) * _SECOND
    return z ^ (z >> 31 & 0x1FFFFFFFF)


def seed_keys(seeds: range | list[int] | tuple[int, ...], device: str | torch.device = "cpu") -> Tensor:
    """Return the keys of some seeds.

    Parameters
    ----------
    seeds : sequence of int
        Numbers of the seeds, >= 0.
    device : str or torch.device, default="cpu"
        Where the keys live.

    Returns
    -------
    Tensor of int64, shape (N,)
        One key for each.

    Raises
    ------
    ValueError
        If there is no seed or one is negative.

    Examples
    --------
    >>> bool((seed_keys([0, 1])[0] == seed_keys([0])[0]).item())
    True
    """
    if len(seeds) == 0:
        raise ValueError("seeds must hold at least one number")
    words = [
        np.random.SeedSequence(checks.integer(f"seeds[{i}]", seed, 0)).generate_state(1, np.uint64)[0]
        for i, seed in enumerate(seeds)
    ]
    return torch.from_numpy(np.array(words, np.uint64).view(np.int64)).to(device)


def bits(keys: Tensor, counter: Tensor | int, stream: int, n: int) -> Tensor:
    """Return n words of 64 random bits for each key.

    Parameters
    ----------
    keys : Tensor of int64, shape (N,)
        From `seed_keys`.
    counter : Tensor of int64 (scalar) or int
        Number of the draw; each gives others.
    stream : int
        What the draw is for: streams of one counter are independent.
    n : int
        Words per key.

    Returns
    -------
    Tensor of int64, shape (N, n)
        The words, as signed numbers.

    Examples
    --------
    >>> bits(seed_keys([0]), 0, 0, 2).shape
    torch.Size([1, 2])
    """
    if keys.device.type == "cpu" and not isinstance(counter, Tensor):
        return _bits_on_cpu(keys, counter, stream, n)
    number = torch.as_tensor(counter, device=keys.device)
    lane = (stream * _GOLDEN + 2**63) % 2**64 - 2**63  # as int64 would wrap
    start = _mix(_mix(keys + _mix(number * _GOLDEN)) + lane)
    index = torch.arange(1, n + 1, device=keys.device)
    return _mix(start[:, None] + index * _GOLDEN)


def _bits_on_cpu(keys: Tensor, counter: int, stream: int, n: int) -> Tensor:
    """Return the same words by NumPy, whose operations on few numbers cost less."""
    with np.errstate(over="ignore"):
        golden, key = np.uint64(_GOLDEN % 2**64), keys.numpy().view(np.uint64)
        number = _mix_by_numpy(np.array([counter], np.int64).view(np.uint64) * golden)
        start = _mix_by_numpy(_mix_by_numpy(key + number) + np.uint64(stream * _GOLDEN % 2**64))
        words = _mix_by_numpy(start[:, None] + np.arange(1, n + 1, dtype=np.uint64) * golden)
    return torch.from_numpy(words.view(np.int64))


def _mix_by_numpy(z: np.ndarray) -> np.ndarray:
    """Return the finaliser of splitmix64, in place."""
    z ^= z >> np.uint64(30)
    z *= np.uint64(_FIRST % 2**64)
    z ^= z >> np.uint64(27)
    z *= np.uint64(_SECOND % 2**64)
    z ^= z >> np.uint64(31)
    return z


def uniform(keys: Tensor, counter: Tensor | int, stream: int, shape: tuple[int, ...]) -> Tensor:
    """Return uniform numbers in (0, 1), multiples of ``2^-24`` and a half.

    Parameters
    ----------
    keys : Tensor of int64, shape (N,)
        From `seed_keys`.
    counter : Tensor of int64 (scalar) or int
        Number of the draw; each gives others.
    stream : int
        What the draw is for.
    shape : tuple of int
        Shape of the draw of one key.

    Returns
    -------
    Tensor of float32, shape (N, ...)
        The numbers; neither 0 nor 1 occurs.

    Examples
    --------
    >>> u = uniform(seed_keys([3]), 7, 0, (1000,))
    >>> bool((u > 0).all() and (u < 1).all())
    True
    """
    words = bits(keys, counter, stream, math.prod(shape))
    return _unit(words >> 40).view(len(keys), *shape)


def _unit(words: Tensor) -> Tensor:
    """Return 24 low bits as a float32 in (0, 1): exact, and never an end."""
    return ((words & 0xFFFFFF).float() + 0.5).clamp_(max=16777215.0).mul_(2.0**-24)


def normal(keys: Tensor, counter: Tensor | int, stream: int, shape: tuple[int, ...]) -> Tensor:
    """Return standard normal numbers by the transformation of Box and Muller.

    Parameters
    ----------
    keys : Tensor of int64, shape (N,)
        From `seed_keys`.
    counter : Tensor of int64 (scalar) or int
        Number of the draw; each gives others.
    stream : int
        What the draw is for.
    shape : tuple of int
        Shape of the draw of one key.

    Returns
    -------
    Tensor of float32, shape (N, ...)
        The numbers, at most 5.9 in absolute value.

    Examples
    --------
    >>> x = normal(seed_keys([3]), 7, 0, (10_000,))
    >>> abs(x.mean().item()) < 0.05, abs(x.std().item() - 1) < 0.05
    (True, True)
    """
    n = math.prod(shape)
    words = bits(keys, counter, stream, (n + 1) // 2)
    radius = (-2.0 * _unit(words >> 40).log_()).sqrt_()
    angle = _unit(words >> 8).mul_(2.0 * math.pi)
    pairs = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)
    return pairs[:, :n].reshape(len(keys), *shape)


def integers(
    keys: Tensor, counter: Tensor | int, stream: int, shape: tuple[int, ...], high: Tensor | int
) -> Tensor:
    """Return uniform integers in ``0, ..., high - 1``.

    Parameters
    ----------
    keys : Tensor of int64, shape (N,)
        From `seed_keys`.
    counter : Tensor of int64 (scalar) or int
        Number of the draw; each gives others.
    stream : int
        What the draw is for.
    shape : tuple of int
        Shape of the draw of one key.
    high : Tensor of int64, shape (N,), or int
        Exclusive bound of each key, from 1 to 2^24 or so: beyond, the bias ``high / 2^40`` grows.

    Returns
    -------
    Tensor of int64, shape (N, ...)
        The integers.

    Examples
    --------
    >>> x = integers(seed_keys([0]), 0, 0, (1000,), 3)
    >>> int(x.min()), int(x.max())
    (0, 2)
    """
    words = bits(keys, counter, stream, math.prod(shape)) >> 24 & 0xFFFFFFFFFF
    bound = torch.as_tensor(high, device=keys.device).expand(len(keys))[:, None]
    return (words * bound >> 40).view(len(keys), *shape)
