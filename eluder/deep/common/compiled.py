"""Small perceptrons in compiled loops, for agents whose networks cost less than a call of an operation.

The parameters, gradients and moments of `Parameters` are seen as flat arrays; matrix products go to BLAS, the
rest is loops that become vector code. One seed at a time::

    forward   h_0 = x,  h_i = act(h_{i-1} W_i + b_i)
    backward  dW_i = h_{i-1}' dz_i,  db_i = 1' dz_i,  dz_{i-1} = (dz_i W_i') * act'

`mlp` with autograd is the reference; tests hold both equal.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eluder.core.kernels import kernel
from eluder.core.types import IntArray
from eluder.deep.common.networks import Parameters

__all__ = [
    "Net",
    "adam_in_place",
    "backward",
    "forward",
    "log_softmax",
    "net_of",
    "rows_of",
    "scratch",
    "tanh_in_place",
]

Array = NDArray[Any]  # of float32, but for statistics, sums and counts
ZERO, ONE, TWO, QUARTER, NINE = (np.float32(x) for x in (0.0, 1.0, 2.0, 0.25, 9.0))
P1, P2, P3 = (np.float32(x / 135135.0) for x in (17325.0, 378.0, 1.0))
Q1, Q2, Q3 = (np.float32(x / 135135.0) for x in (62370.0, 3150.0, 28.0))
BETA1, BETA2 = 0.9, 0.999


class Net(NamedTuple):
    """Where a network lies in the flat parameters.

    Attributes
    ----------
    at : ndarray of int64
        First places of w0, b0, w1, ..., for seed 0; those of seed n follow.
    sizes : ndarray of int64
        Units of each layer, those of the input first.
    tanh : bool
        Whether that is the activation; else the rectifier.
    """

    at: IntArray
    sizes: IntArray
    tanh: bool


def net_of(parameters: Parameters, name: str, activation: str) -> Net:
    """Return where the network of a prefix lies.

    Parameters
    ----------
    parameters : Parameters
        Names ``w0, b0, w1, ...`` after the prefix.
    name : str
        The prefix.
    activation : {"tanh", "relu"}
        Between layers.

    Returns
    -------
    Net
        For the kernels.

    Examples
    --------
    >>> from eluder.deep.common.networks import mlp_shapes
    >>> net_of(Parameters(mlp_shapes((3, 8, 1)), N=2), "", "tanh").at.tolist()
    [0, 48, 64, 80]
    """
    at: list[int] = []
    sizes: list[int] = []
    start = 0
    for key, leaf in parameters.tensors.items():
        if key.startswith(name):
            at.append(start)
            if key.startswith(f"{name}w"):
                sizes = [*(sizes or [leaf.shape[-2]]), leaf.shape[-1]]
        start += leaf.numel()
    return Net(np.array(at), np.array(sizes), activation == "tanh")


def scratch(net: Net, rows: int) -> Array:
    """Return memory for the activations of so many rows.

    Parameters
    ----------
    net : Net
        The network.
    rows : int
        The most rows it will see at once.

    Returns
    -------
    ndarray of float32, shape (layers + 1, rows * widest)
        Of no meaning yet.

    Examples
    --------
    >>> scratch(Net(np.zeros(4, int), np.array([3, 8, 1]), True), 5).shape
    (3, 40)
    """
    return np.zeros((len(net.sizes), rows * int(net.sizes.max())), np.float32)


@kernel
def tanh_in_place(x: Array) -> None:
    """Replace x by its hyperbolic tangent, within 3e-7.

    Parameters
    ----------
    x : ndarray of float32, shape (n,)
        Changed in place.

    Notes
    -----
    Lambert's continued fraction p / q at x / 4, cut after seven terms, and twice ``tanh 2y = 2 p q / (p^2 +
    q^2)``: one division, and vector code, which calls of the function of C are not.

    Examples
    --------
    >>> x = np.array([0.0, 0.5, -20.0], np.float32)
    >>> tanh_in_place(x)
    >>> bool(np.abs(x - np.tanh([0.0, 0.5, -20.0])).max() < 3e-7)
    True
    """
    for i in range(x.size):
        y = x[i]
        y = NINE if y > NINE else y
        y = -NINE if y < -NINE else y
        y = y * QUARTER
        s = y * y
        p = y * (ONE + s * (P1 + s * (P2 + s * P3)))
        q = ONE + s * (Q1 + s * (Q2 + s * Q3))
        p, q = TWO * p * q, p * p + q * q
        x[i] = np.divide(TWO * p * q, p * p + q * q)  # / would look for zeros, one by one


@kernel
def _layer(flat: Array, net: Net, n: int, i: int) -> tuple[Array, Array]:
    """Return weights and biases of the i-th layer of seed n."""
    p, q = net.sizes[i], net.sizes[i + 1]
    w, b = net.at[2 * i] + n * p * q, net.at[2 * i + 1] + n * q
    return flat[w : w + p * q].reshape(p, q), flat[b : b + q]


@kernel
def rows_of(memory: Array, net: Net, i: int, b: int) -> Array:
    """Return the activations of the i-th layer for b rows.

    Parameters
    ----------
    memory : ndarray
        From `scratch`.
    net : Net
        The network.
    i : int
        The layer; 0 are the inputs.
    b : int
        Number of rows.

    Returns
    -------
    ndarray, shape (b, units)
        A view.

    Examples
    --------
    >>> net = Net(np.zeros(4, int), np.array([3, 8, 1]), True)
    >>> rows_of(scratch(net, 5), net, 1, 4).shape
    (4, 8)
    """
    return memory[i, : b * net.sizes[i]].reshape(b, net.sizes[i])


@kernel
def forward(flat: Array, net: Net, n: int, memory: Array, b: int) -> None:
    """Fill the activations from those of layer 0.

    Parameters
    ----------
    flat : ndarray of float32
        Parameters of all seeds.
    net : Net
        The network.
    n : int
        The seed.
    memory : ndarray
        From `scratch`; changed in place.
    b : int
        Number of rows.

    Examples
    --------
    >>> net, flat = Net(np.array([0, 2]), np.array([2, 1]), True), np.array([1.0, 10.0, 0.5], np.float32)
    >>> memory = scratch(net, 1)
    >>> rows_of(memory, net, 0, 1)[:] = 2.0
    >>> forward(flat, net, 0, memory, 1)
    >>> rows_of(memory, net, 1, 1).item()
    22.5
    """
    last = net.sizes.size - 2
    for i in range(last + 1):
        w, bias = _layer(flat, net, n, i)
        x, y = rows_of(memory, net, i, b), rows_of(memory, net, i + 1, b)
        np.dot(x, w, y)
        for k in range(b):
            for j in range(bias.size):
                y[k, j] += bias[j]
        if i < last:
            z = memory[i + 1, : b * bias.size]
            if net.tanh:
                tanh_in_place(z)
            else:
                for j in range(z.size):
                    z[j] = ZERO if z[j] < ZERO else z[j]


@kernel
def backward(flat: Array, grad: Array, net: Net, n: int, memory: Array, delta: Array, b: int) -> None:
    """Fill the gradients of one seed after `forward`.

    Parameters
    ----------
    flat : ndarray of float32
        Parameters of all seeds.
    grad : ndarray of float32
        Their gradients; those of the network are overwritten.
    net : Net
        The network.
    n : int
        The seed.
    memory : ndarray
        The activations.
    delta : ndarray
        Like `memory`; its last layer holds the derivative in the outputs, the others are overwritten.
    b : int
        Number of rows.

    Examples
    --------
    >>> net, flat = Net(np.array([0, 2]), np.array([2, 1]), True), np.array([1.0, 10.0, 0.5], np.float32)
    >>> memory, delta, grad = scratch(net, 1), scratch(net, 1), np.zeros(3, np.float32)
    >>> rows_of(memory, net, 0, 1)[:] = 2.0
    >>> rows_of(delta, net, 1, 1)[:] = 3.0
    >>> backward(flat, grad, net, 0, memory, delta, 1)
    >>> grad.tolist()
    [6.0, 6.0, 3.0]
    """
    for i in range(net.sizes.size - 2, -1, -1):
        w, _ = _layer(flat, net, n, i)
        dw, db = _layer(grad, net, n, i)
        x, dz = rows_of(memory, net, i, b), rows_of(delta, net, i + 1, b)
        np.dot(x.T, dz, dw)
        db[:] = ZERO
        for k in range(b):
            for j in range(db.size):
                db[j] += dz[k, j]
        if i == 0:
            return
        np.dot(dz, w.T, rows_of(delta, net, i, b))
        dh, h = delta[i, : b * net.sizes[i]], memory[i, : b * net.sizes[i]]
        if net.tanh:
            for j in range(dh.size):
                dh[j] *= ONE - h[j] * h[j]
        else:
            for j in range(dh.size):
                dh[j] = dh[j] if h[j] > ZERO else ZERO


@kernel
def log_softmax(x: Array) -> None:
    """Replace each row by the logarithm of its softmax.

    Parameters
    ----------
    x : ndarray of float32, shape (b, A)
        Changed in place.

    Examples
    --------
    >>> x = np.zeros((1, 2), np.float32)
    >>> log_softmax(x)
    >>> x.round(4).tolist()
    [[-0.6930999755859375, -0.6930999755859375]]
    """
    for k in range(x.shape[0]):
        top = x[k].max()
        total = 0.0
        for j in range(x.shape[1]):
            total += math.exp(x[k, j] - top)
        shift = np.float32(top + math.log(total))
        for j in range(x.shape[1]):
            x[k, j] -= shift


@kernel
def adam_in_place(x: Array, g: Array, m: Array, v: Array, rate: float, root: float, eps: float) -> None:
    """Take one step of Adam.

    Parameters
    ----------
    x, g, m, v : ndarray of float32, shape (n,)
        Parameters, gradients and moments; all but the gradients are changed in place.
    rate, root : float
        Step size over ``1 - 0.9^t``, and ``sqrt(1 - 0.999^t)``, for the t-th step.
    eps : float
        Added to the root of the second moment.

    Examples
    --------
    >>> x, m, v = (np.zeros(1, np.float32) for _ in range(3))
    >>> adam_in_place(x, np.full(1, 3.0, np.float32), m, v, 0.1 / 0.1, 0.001**0.5, 1e-8)
    >>> x.round(4).tolist()
    [-0.10000000149011612]
    """
    b1, b2 = np.float32(1.0 - BETA1), np.float32(1.0 - BETA2)
    step, inverse, least = np.float32(rate), np.float32(1.0 / root), np.float32(eps)
    for i in range(x.size):
        m[i] += b1 * (g[i] - m[i])
        v[i] += b2 * (g[i] * g[i] - v[i])
        x[i] -= np.divide(step * m[i], np.sqrt(v[i]) * inverse + least)
