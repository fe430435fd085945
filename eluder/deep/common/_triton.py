# mypy: ignore-errors
"""The kernels of `gpu_kernels`, in Triton's language: only importable where Triton is."""

import triton
import triton.language as tl

__all__ = ["activate_kernel", "adam_kernel", "differentiate_kernel", "draw_kernel"]


@triton.jit
def mixed(z):
    """Return the finaliser of splitmix64."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return z ^ (z >> 31)


@triton.jit
def unit(word):
    """Return 24 low bits as a float32 in (0, 1)."""
    x = (word & 0xFFFFFF).to(tl.int32).to(tl.float32) + 0.5
    return tl.minimum(x, 16777215.0) * 5.9604644775390625e-08  # 2^-24


@triton.jit(do_not_specialize=["stream", "same", "words", "size"])
def draw_kernel(
    keys,
    counter,
    high,
    out,
    stream,
    same,
    words,
    size,
    KIND: tl.constexpr,
    SAME: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Fill one row of `out` for each key."""
    row = tl.program_id(1)
    k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    key, number = tl.load(keys + row).to(tl.uint64), tl.load(counter).to(tl.uint64)
    golden = tl.full((), 0x9E3779B97F4A7C15, tl.uint64)
    start = mixed(mixed(key + mixed(number * golden)) + tl.cast(stream, tl.uint64) * golden)
    word = mixed(start + (k + 1).to(tl.uint64) * golden)
    at, inside = out + row.to(tl.int64) * size + k, k < words
    if KIND == 0:
        tl.store(at, word.to(tl.int64), mask=inside)
    elif KIND == 1:
        tl.store(at, unit(word >> 40), mask=inside)
    elif KIND == 2:
        radius = tl.sqrt(-2.0 * tl.log(unit(word >> 40)))
        angle = unit(word >> 8) * 6.2831854820251465  # 2 pi in float32
        tl.store(at, radius * tl.cos(angle), mask=inside)
        tl.store(at + words, radius * tl.sin(angle), mask=inside & (k + words < size))
    else:
        bound = tl.cast(same, tl.uint64) if SAME else tl.load(high + row).to(tl.uint64)
        x = (word >> 24 & 0xFFFFFFFFFF) * bound >> 40
        tl.store(at, x.to(tl.int64), mask=inside)


@triton.jit
def activate_kernel(z, b, h, size, units, stride, KIND: tl.constexpr, BLOCK: tl.constexpr):
    """Each program: a block of the numbers of a network."""
    k = tl.program_id(1).to(tl.int64)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside, at = i < size, k * size + i
    x = tl.load(z + at, mask=inside) + tl.load(b + k * stride + i % units, mask=inside)
    if KIND == 0:
        tl.store(h + at, tl.where(x < 0.0, 0.0, x), mask=inside)
    else:
        tl.store(z + at, x, mask=inside)
        tl.store(h + at, 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476)), mask=inside)


@triton.jit
def differentiate_kernel(
    dh,
    x,
    db,
    B,
    units,
    stride,
    KIND: tl.constexpr,
    LEARN: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Each program: all rows of some units of a network."""
    k = tl.program_id(1).to(tl.int64)
    j = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.zeros((COLUMNS,), tl.float32)
    for first in range(0, B, ROWS):
        i = first + tl.arange(0, ROWS)
        at = (k * B + i)[:, None] * units + j[None, :]
        inside = (i < B)[:, None] & (j < units)[None, :]
        d, y = tl.load(dh + at, mask=inside, other=0.0), tl.load(x + at, mask=inside, other=0.0)
        if KIND == 0:
            d = tl.where(y > 0.0, d, 0.0)
        else:
            density = 0.3989422804014327 * tl.exp(-0.5 * y * y)
            d = d * (0.5 * (1.0 + tl.erf(y * 0.7071067811865476)) + y * density)
        tl.store(dh + at, d, mask=inside)
        total += tl.sum(d, axis=0)
    if LEARN:
        at = db + k * stride + j
        tl.store(at, tl.load(at, mask=j < units) + total, mask=j < units)


@triton.jit
def adam_kernel(x, g, m, v, step, rate, size, log1, log2, rest1, rest2, eps, BLOCK: tl.constexpr):
    """Each program: a block of the parameters."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < size
    t = tl.load(step).to(tl.float64)
    lr = (tl.load(rate) / (1.0 - tl.exp(t * log1))).to(tl.float32)
    inverse = (1.0 / tl.sqrt(1.0 - tl.exp(t * log2))).to(tl.float32)
    grad = tl.load(g + i, mask=inside)
    first, second = tl.load(m + i, mask=inside), tl.load(v + i, mask=inside)
    first += tl.cast(rest1, tl.float32) * (grad - first)
    second += tl.cast(rest2, tl.float32) * (grad * grad - second)
    root = tl.sqrt(second) * inverse + tl.cast(eps, tl.float32)
    tl.store(m + i, first, mask=inside)
    tl.store(v + i, second, mask=inside)
    tl.store(x + i, tl.load(x + i, mask=inside) - lr * first / root, mask=inside)
