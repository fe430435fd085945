"""Random numbers that are a function of (key, counter, stream, index), and of nothing else.

A draw is the output of splitmix64 (Steele, Lea & Flood, OOPSLA 2014) started at a hash of key, counter and
stream. There is no state: a run is resumed by its counter alone, each of many seeds side by side draws what
it draws alone, and the same numbers come on every device, in eager code, in compiled code and in a CUDA
graph, where the counter is a tensor that the graph increments.
"""

import math
from contextlib import nullcontext
from functools import partial
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from eluder.core import checks
from eluder.core.kernels import kernel
from eluder.deep.common import devices, gpu_kernels
from eluder.deep.common.cpu_math import contracted, log, turn

__all__ = ["bits", "integers", "normal", "seed_keys", "uniform"]

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed number, 2^64 over the golden ratio
_FIRST = -4658895280553007687  # 0xBF58476D1CE4E5B9
_SECOND = -7723592293110705685  # 0x94D049BB133111EB
GOLDEN, FIRST, SECOND = (np.uint64(x % 2**64) for x in (_GOLDEN, _FIRST, _SECOND))
HALF, MOST, SCALE, MINUS_TWO = (np.float32(x) for x in (0.5, 16777215.0, 2.0**-24, -2.0))


QUIET = partial(np.errstate, over="ignore") if numba.config.DISABLE_JIT else nullcontext  # words wrap around


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
    if devices.has_kernels(keys.device) and not isinstance(counter, Tensor):
        return torch.from_numpy(_words(keys, counter, stream, n))
    if gpu_kernels.available(keys.device):
        return gpu_kernels.draw("bits", keys, _number(counter, keys), stream, n)
    number = _number(counter, keys)
    lane = (stream * _GOLDEN + 2**63) % 2**64 - 2**63  # as int64 would wrap
    start = _mix(_mix(keys + _mix(number * _GOLDEN)) + lane)
    index = torch.arange(1, n + 1, device=keys.device)
    return _mix(start[:, None] + index * _GOLDEN)


def _number(counter: Tensor | int, keys: Tensor) -> Tensor:
    """Return the number of a draw where the keys are."""
    return torch.as_tensor(counter, dtype=torch.int64, device=keys.device)


def _words(keys: Tensor, counter: int, stream: int, n: int) -> Any:
    """Return the same words as an array, on the CPU."""
    words = np.empty((len(keys), n), np.uint64)
    with QUIET():
        _bits_on_cpu(keys.numpy().view(np.uint64), counter, stream, words)
    return words.view(np.int64)


@kernel
def _mixed(z: Any) -> Any:
    """Return the finaliser of splitmix64 of one word."""
    z = (z ^ (z >> np.uint64(30))) * FIRST
    z = (z ^ (z >> np.uint64(27))) * SECOND
    return z ^ (z >> np.uint64(31))


@kernel
def _bits_on_cpu(keys: Any, number: Any, stream: Any, words: Any) -> None:
    """Fill the same words, shape (N, n), in place."""
    lane, count = np.uint64(stream) * GOLDEN, _mixed(np.uint64(number) * GOLDEN)
    for i in range(keys.size):
        z = _mixed(_mixed(keys[i] + count) + lane)
        for k in range(words.shape[1]):
            z += GOLDEN
            words[i, k] = _mixed(z)


@contracted
def _normal_on_cpu(words: Any, x: Any) -> None:
    """Fill normal numbers, shape (N, 2 n), from n words each, in place."""
    n = words.shape[1]
    for i in range(words.shape[0]):
        a, b = x[i, :n], x[i, n:]
        for k in range(n):  # a loop of its own: words and numbers of other sizes are vectors of other lengths
            a[k], b[k] = _unit_of(words[i, k] >> 40), _unit_of(words[i, k] >> 8)
        for k in range(n):
            radius = np.sqrt(MINUS_TWO * log(a[k]))
            cosine, sine = turn(b[k])
            a[k], b[k] = radius * cosine, radius * sine


@kernel
def _unit_of(word: Any) -> Any:
    """Return what `_unit` returns, of one word."""
    return min(np.float32(np.int32(word & 0xFFFFFF)) + HALF, MOST) * SCALE


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
    n = math.prod(shape)
    if gpu_kernels.available(keys.device):
        x = gpu_kernels.draw("uniform", keys, _number(counter, keys), stream, n)
        return x.view(len(keys), *shape)
    return _unit(bits(keys, counter, stream, n) >> 40).view(len(keys), *shape)


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
    if gpu_kernels.available(keys.device):
        x = gpu_kernels.draw("normal", keys, _number(counter, keys), stream, n)
        return x.view(len(keys), *shape)
    half = (n + 1) // 2
    if devices.has_kernels(keys.device):
        late = isinstance(counter, Tensor)
        words = bits(keys, counter, stream, half).numpy() if late else _words(keys, counter, stream, half)
        numbers = np.empty((len(keys), 2 * half), np.float32)
        _normal_on_cpu(words, numbers)
        return torch.from_numpy(numbers[:, :n].reshape(len(keys), *shape))
    words = bits(keys, counter, stream, half)
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
    n = math.prod(shape)
    if gpu_kernels.available(keys.device):
        x = gpu_kernels.draw("integers", keys, _number(counter, keys), stream, n, high)
        return x.view(len(keys), *shape)
    words = bits(keys, counter, stream, n) >> 24 & 0xFFFFFFFFFF
    bound = high.expand(len(keys))[:, None] if isinstance(high, Tensor) else high
    return (words * bound >> 40).view(len(keys), *shape)
