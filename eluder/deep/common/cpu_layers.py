"""Activations of layers in compiled loops for the CPU: one pass through the memory each way.

Forward, z holds the products of a layer; backward, dh the derivatives in what the activation gave::

    rectifier   h = max(z + b, 0)         dz = dh 1{h > 0}       db += 1' dz
    GELU        h = (z + b) Phi(z + b)    dz = dh act'(z + b)    db += 1' dz

Phi is the distribution function of the normal law. GELU leaves its derivative ``Phi(x) + x phi(x)`` in z:
most of it is known by then. An array is of float32, or holds numbers of bfloat16 as their 16 bits (uint16).
Those are the upper half of float32: reading is a shift, writing a rounding to nearest, ties to even.

``Phi(x) = 1 - q(x)`` for x > 0 and ``q(-x)`` else, ``q(a) = exp(-a^2 / 2) t P(t)``, ``t = 1 / (1 + 0.34 a)``.
P, of degree 6, is a fit to the scaled complementary error function: q and a q(a) are off by 1e-8 at most, and
small ones by 1e-5 of themselves; the exponential is off by 8e-8 of itself.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eluder.core.kernels import _reassociating, kernel
from eluder.deep.common.cpu_math import contracted

__all__ = [
    "LAYERS",
    "accumulate",
    "array",
    "bias_gelu",
    "bias_relu",
    "gelu_backward",
    "relu_backward",
    "thin",
    "thin_back",
    "thin_gradient",
]

Array = NDArray[Any]  # of float32, or of uint16: bits of bfloat16
ZERO, ONE = np.float32(0.0), np.float32(1.0)
T, DENSITY = np.float32(0.34), np.float32(0.3989422804014327)
P0, P1, P2, P3, P4, P5, P6 = (
    np.float32(c)
    for c in (0.135966551, 0.130346444, 0.154201637, -0.0260254793, 0.259095293, -0.197814302, 0.0442298678)
)
E0, E1, E2, E3, E4, E5 = (  # 2^r for |r| <= 1/2
    np.float32(c)
    for c in (1.0000000712, 0.693146968, 0.240221197, 0.0555071346, 0.00967556407, 0.00132763519)
)
HALF_LOG2E = np.float32(-0.5 / np.log(2.0))
END = np.float32(13.0)  # exp(-a^2 / 2) is 0 from here on
NEAREST = np.float32(1.5 * 2.0**23)  # the last bits of x + this are the integer nearest to x
ZEROTH, EXPONENT = NEAREST.view(np.int32), np.int32(23)
SHIFT, ROUND, BIT, NAN = np.uint32(16), np.uint32(0x7FFF), np.uint32(1), np.uint32(0x7FC0)


def array(x: Tensor) -> Array:
    """Return the memory of a tensor on the CPU as an array.

    Parameters
    ----------
    x : Tensor of float32 or bfloat16
        Any shape.

    Returns
    -------
    ndarray of float32 or uint16
        Of the same shape; of bfloat16 the bits.

    Examples
    --------
    >>> hex(array(torch.ones(1, dtype=torch.bfloat16)).item())
    '0x3f80'
    """
    if x.dtype == torch.bfloat16:
        return np.asarray(x.view(torch.int16).numpy().view(np.uint16))
    return np.asarray(x.numpy())


@kernel
def _get(x: Array, like: Array, k: int, i: int, j: int) -> Any:
    """Return a number as float32, the type of `like`."""
    if x.dtype == like.dtype:
        return np.float32(x[k, i, j])
    return np.uint32(np.uint32(x[k, i, j]) << SHIFT).view(np.float32)


@kernel
def _put(x: Array, like: Array, k: int, i: int, j: int, y: Any) -> None:
    """Write a number of float32, the type of `like`, in place."""
    if x.dtype == like.dtype:
        x[k, i, j] = y
    else:
        u = np.float32(y).view(np.uint32)
        low = np.uint32(u + ROUND + ((u >> SHIFT) & BIT)) >> SHIFT
        x[k, i, j] = low if y == y else NAN


@kernel
def _into(x: Array, other: Array, like: Array, k: int, i: int, j: int, y: Any) -> None:
    """Write to `x` if `other` is of its type, else to `other`: the compiler knows which."""
    if x.dtype == other.dtype:
        _put(x, like, k, i, j, y)
    else:
        _put(other, like, k, i, j, y)


@kernel
def bias_relu(z: Array, b: Array, h: Array) -> None:
    """Add the bias and cut at zero.

    Parameters
    ----------
    z : ndarray, shape (n, B, units)
        Products of n networks; changed in place if h is of its type.
    b : ndarray of float32, shape (n, 1, units)
        Biases.
    h : ndarray, shape (n, B, units)
        Where the result goes: z itself, or memory of the other type.

    Examples
    --------
    >>> z = np.array([[[1.0, -3.0]]], np.float32)
    >>> bias_relu(z, np.ones((1, 1, 2), np.float32), z)
    >>> z.tolist()
    [[[2.0, 0.0]]]
    """
    for k in range(z.shape[0]):
        for i in range(z.shape[1]):
            for j in range(z.shape[2]):
                y = _get(z, b, k, i, j) + b[k, 0, j]
                y = ZERO if y < ZERO else y  # a line of its own: as an argument it is no vector code
                _into(z, h, b, k, i, j, y)


@contracted
def bias_gelu(z: Array, b: Array, h: Array) -> None:
    """Add the bias and apply GELU, within the rounding of float32.

    Parameters
    ----------
    z : ndarray, shape (n, B, units)
        Products of n networks; holds the derivatives of GELU afterwards.
    b : ndarray of float32, shape (n, 1, units)
        Biases.
    h : ndarray, shape (n, B, units)
        Where the result goes, of either type; not z.

    Examples
    --------
    >>> z, h = np.zeros((1, 1, 1), np.float32), np.zeros((1, 1, 1), np.float32)
    >>> bias_gelu(z, np.ones((1, 1, 1), np.float32), h)
    >>> round(h.item(), 4), round(z.item(), 4)  # Phi(1), and Phi(1) + phi(1)
    (0.8413, 1.0833)
    """
    for k in range(z.shape[0]):
        for i in range(z.shape[1]):
            for j in range(z.shape[2]):
                x = _get(z, b, k, i, j) + b[k, 0, j]
                a = abs(x)
                near = min(a, END)
                power = HALF_LOG2E * near * near
                shifted = power + NEAREST
                r = power - (shifted - NEAREST)
                e = E0 + r * (E1 + r * (E2 + r * (E3 + r * (E4 + r * E5))))
                n = np.int32(np.float32(shifted).view(np.int32) - ZEROTH)
                e = np.int32((n << EXPONENT) + np.float32(e).view(np.int32)).view(np.float32)  # 2^n e
                e = e if a < END else ZERO
                t = np.divide(ONE, ONE + T * a)
                q = e * t * (P0 + t * (P1 + t * (P2 + t * (P3 + t * (P4 + t * (P5 + t * P6))))))
                phi = ONE - q if x > ZERO else q
                _put(h, b, k, i, j, x * phi)
                _put(z, b, k, i, j, phi + x * (DENSITY * e))


@kernel
def relu_backward(dh: Array, h: Array, dz: Array, db: Array, rows: Array) -> None:
    """Differentiate the rectifier and add up the gradient of the bias.

    Parameters
    ----------
    dh : ndarray, shape (n, m, units)
        Derivatives in the outputs; changed in place if dz is of their type.
    h : ndarray, shape (n, B, units)
        The outputs.
    dz : ndarray, shape (n, m, units)
        Where the derivatives in the inputs go: dh itself, or memory of the other type.
    db : ndarray of float32, shape (n, 1, units)
        Gradients of the biases; changed in place. Of no units where none is wanted.
    rows : ndarray of int64, shape (m,)
        Rows of the outputs that those of dh and dz, m of them, belong to.

    Examples
    --------
    >>> dh, h = np.full((1, 2, 1), 3.0, np.float32), np.array([[[0.0], [2.0]]], np.float32)
    >>> db = np.ones((1, 1, 1), np.float32)
    >>> relu_backward(dh, h, dh, db, np.arange(2))
    >>> dh.ravel().tolist(), db.item()
    ([0.0, 3.0], 4.0)
    """
    learn = db.shape[2] > 0
    for k in range(dh.shape[0]):
        for i in range(dh.shape[1]):
            row = rows[i]
            if learn:
                for j in range(dh.shape[2]):
                    y, x = _get(dh, db, k, i, j), _get(h, db, k, row, j)
                    y = y if x > ZERO else ZERO
                    _into(dh, dz, db, k, i, j, y)
                    db[k, 0, j] += y
            else:
                for j in range(dh.shape[2]):
                    y, x = _get(dh, db, k, i, j), _get(h, db, k, row, j)
                    y = y if x > ZERO else ZERO
                    _into(dh, dz, db, k, i, j, y)


@kernel
def gelu_backward(dh: Array, d: Array, dz: Array, db: Array, rows: Array) -> None:
    """Differentiate GELU and add up the gradient of the bias.

    Parameters
    ----------
    dh : ndarray, shape (n, m, units)
        Derivatives in the outputs; changed in place if dz is of their type.
    d : ndarray, shape (n, B, units)
        Derivatives of GELU, from `bias_gelu`.
    dz : ndarray, shape (n, m, units)
        Where the derivatives in the inputs go: dh itself, or memory of the other type.
    db : ndarray of float32, shape (n, 1, units)
        Gradients of the biases; changed in place. Of no units where none is wanted.
    rows : ndarray of int64, shape (m,)
        Rows of the derivatives of GELU that those of dh and dz, m of them, belong to.

    Examples
    --------
    >>> dh, d = np.full((1, 2, 1), 3.0, np.float32), np.array([[[0.5], [1.0]]], np.float32)
    >>> db = np.ones((1, 1, 1), np.float32)
    >>> gelu_backward(dh, d, dh, db, np.arange(2))
    >>> dh.ravel().tolist(), db.item()
    ([1.5, 3.0], 5.5)
    """
    learn = db.shape[2] > 0
    for k in range(dh.shape[0]):
        for i in range(dh.shape[1]):
            row = rows[i]
            if learn:
                for j in range(dh.shape[2]):
                    y = _get(dh, db, k, i, j) * _get(d, db, k, row, j)
                    _into(dh, dz, db, k, i, j, y)
                    db[k, 0, j] += y
            else:
                for j in range(dh.shape[2]):
                    y = _get(dh, db, k, i, j) * _get(d, db, k, row, j)
                    _into(dh, dz, db, k, i, j, y)


@kernel
def accumulate(x: Array, low: Array) -> None:
    """Add numbers of bfloat16 to those of float32.

    Parameters
    ----------
    x : ndarray of float32, shape (n, p, q)
        Changed in place.
    low : ndarray of uint16, shape (n, p, q)
        Bits of what is added.

    Examples
    --------
    >>> x = np.ones((1, 1, 1), np.float32)
    >>> accumulate(x, np.full((1, 1, 1), 0x3F80, np.uint16))
    >>> x.item()
    2.0
    """
    for k in range(x.shape[0]):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                x[k, i, j] += _get(low, x, k, i, j)


@_reassociating
def thin(x: Array, w: Array, b: Array, y: Array) -> None:
    """Apply a layer of few units.

    Parameters
    ----------
    x : ndarray of float32, shape (B, in)
        Inputs.
    w, b : ndarray of float32, shape (in, units) and (1, units)
        Weights and biases.
    y : ndarray of float32, shape (B, units)
        ``x w + b``; changed in place.

    Examples
    --------
    >>> y = np.empty((1, 1), np.float32)
    >>> thin(np.full((1, 2), 3.0, np.float32), np.ones((2, 1), np.float32), np.ones((1, 1), np.float32), y)
    >>> y.item()
    7.0
    """
    turned = w.T.copy()
    for i in range(x.shape[0]):
        for k in range(turned.shape[0]):
            total = ZERO
            for j in range(x.shape[1]):
                total += x[i, j] * turned[k, j]
            y[i, k] = total + b[0, k]


@contracted
def thin_back(dy: Array, w: Array, dx: Array) -> None:
    """Differentiate a layer of few units in its inputs.

    Parameters
    ----------
    dy : ndarray of float32, shape (B, units)
        Derivatives in the outputs.
    w : ndarray of float32, shape (in, units)
        Weights.
    dx : ndarray of float32, shape (B, in)
        ``dy w'``; changed in place.

    Examples
    --------
    >>> dx = np.empty((1, 2), np.float32)
    >>> thin_back(np.full((1, 1), 3.0, np.float32), np.array([[1.0], [2.0]], np.float32), dx)
    >>> dx.tolist()
    [[3.0, 6.0]]
    """
    turned = w.T.copy()
    for i in range(dx.shape[0]):
        for j in range(dx.shape[1]):
            dx[i, j] = dy[i, 0] * turned[0, j]
        for k in range(1, turned.shape[0]):
            for j in range(dx.shape[1]):
                dx[i, j] += dy[i, k] * turned[k, j]


@contracted
def thin_gradient(x: Array, dy: Array, dw: Array, db: Array) -> None:
    """Differentiate a layer of few units in its parameters.

    Parameters
    ----------
    x : ndarray of float32, shape (B, in)
        Inputs.
    dy : ndarray of float32, shape (B, units)
        Derivatives in the outputs.
    dw, db : ndarray of float32, shape (in, units) and (1, units)
        ``x' dy`` and ``1' dy`` are added, in place.

    Examples
    --------
    >>> dw, db = np.ones((1, 1), np.float32), np.ones((1, 1), np.float32)
    >>> thin_gradient(np.full((2, 1), 3.0, np.float32), np.full((2, 1), 2.0, np.float32), dw, db)
    >>> dw.item(), db.item()
    (13.0, 5.0)
    """
    turned = dw.T.copy()
    for i in range(x.shape[0]):
        for k in range(turned.shape[0]):
            db[0, k] += dy[i, k]
            for j in range(x.shape[1]):
                turned[k, j] += dy[i, k] * x[i, j]
    dw[:] = turned.T


LAYERS = {"relu": (bias_relu, relu_backward), "gelu": (bias_gelu, gelu_backward)}
