"""What runs where: compiled loops on the CPU, CUDA graphs on a GPU.

A graph is one launch for hundreds of operations. A function is captured that draws its own batch, by a
counter that lies on the device, and that reads and writes tensors which stay where they are: networks,
moments, replay, the counter. Nothing of it runs on the host again::

    learn = repeated(lambda u, n: update(replay.sample(..., n), u, n), device, lambda u: (u + 1) % every)
    learn(u)    # CPU: function(u, u)
                # CUDA: the first calls of a key run as they are, on a side stream; then a graph is
                # captured, and replayed with its counter n set to u

`u` decides the flow of control, and may do so only through the key; `n` feeds the random numbers. What comes
from the host, lies in a `Mailbox`, which goes over in one copy.
"""

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Mailbox", "has_kernels", "repeated"]

WARM = 3  # calls of a key before its capture: they make the buffers, and let libraries choose their kernels


def has_kernels(device: torch.device) -> bool:
    """Return whether our compiled loops work on tensors of a device.

    Parameters
    ----------
    device : torch.device
        Of the tensors.

    Returns
    -------
    bool
        True on the CPU; elsewhere operations of PyTorch do the same.

    Examples
    --------
    >>> has_kernels(torch.device("cpu")), has_kernels(torch.device("meta"))
    (True, False)
    """
    return bool(device.type == "cpu")


def repeated(
    function: Callable[[int, Any], Any],
    device: str | torch.device,
    key: Callable[[int], Hashable] = lambda u: None,
) -> Callable[[int], Any]:
    """Return ``u -> function(u, u)``, as CUDA graphs where that is possible.

    Parameters
    ----------
    function : callable
        Takes the number of the call, as an int for the flow of control and as an int or a tensor of int64 for
        random numbers; returns tensors. It must not wait for the device.
    device : str or torch.device
        Where its tensors live.
    key : callable, optional
        What of the number decides the flow of control: one graph for each value.

    Returns
    -------
    callable
        Of the number alone. On CUDA the tensors it returns are overwritten by the next call of the same key.

    Examples
    --------
    >>> learn = repeated(lambda u, n: {"twice": 2 * n}, "cpu")
    >>> learn(3)
    {'twice': 6}
    """
    if torch.device(device).type == "cuda":
        return _Graphs(function, torch.device(device), key)
    return lambda u: function(u, u)


class Mailbox:
    """Small arrays of the host that go to a device together: one copy, however many they are.

    Parameters
    ----------
    kinds : mapping of str to (type, tuple of int)
        Type and shape of each array.
    device : str or torch.device
        Where they go.

    Attributes
    ----------
    there : dict of str to Tensor
        The arrays on the device, as of the last `send`; on the CPU the same memory.

    Examples
    --------
    >>> mail = Mailbox({"x": (np.float32, (2,)), "n": (np.int64, ())}, "cpu")
    >>> mail["x"][:] = 1.0, 2.0
    >>> mail.send()
    >>> mail.there["x"]
    tensor([1., 2.])
    """

    def __init__(self, kinds: Mapping[str, tuple[Any, tuple[int, ...]]], device: str | torch.device) -> None:
        at, blocks = 0, {}
        for name, (kind, shape) in kinds.items():
            size = np.dtype(kind).itemsize * math.prod(shape)
            blocks[name] = slice(at, at + size)
            at += -(-size // 8) * 8  # each begins at a multiple of 8 bytes
        self._here = np.zeros(at, np.uint8)
        self._sent = torch.from_numpy(self._here).to(device)  # on the CPU the same memory
        self._arrays, self.there = {}, dict[str, Tensor]()
        for name, (kind, shape) in kinds.items():
            array = self._here[blocks[name]].view(kind).reshape(shape)
            type_ = torch.from_numpy(array[None]).dtype
            self._arrays[name], self.there[name] = array, self._sent[blocks[name]].view(type_).view(shape)

    def __getitem__(self, name: str) -> Any:
        """Return an array of the host, to be filled."""
        return self._arrays[name]

    def send(self) -> None:
        """Copy all arrays to the device; they may be filled again at once."""
        if self._sent.device.type != "cpu":
            self._sent.copy_(torch.from_numpy(self._here), non_blocking=True)  # staged when it returns


class _Graphs:
    """One graph for each key."""

    def __init__(
        self, function: Callable[[int, Any], Any], device: torch.device, key: Callable[[int], Hashable]
    ) -> None:
        self.function, self.key = function, key
        self.counter: Tensor = torch.zeros((), dtype=torch.int64, device=device)
        self.stream = torch.cuda.Stream(device)
        self.calls: dict[Hashable, int] = {}
        self.graphs: dict[Hashable, tuple[torch.cuda.CUDAGraph, Any]] = {}

    def __call__(self, u: int) -> Any:
        self.counter.fill_(u)
        key = self.key(u)
        if key not in self.graphs:
            done = self.calls[key] = self.calls.get(key, 0) + 1
            if done <= WARM:
                return self._eager(u)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self.stream):
                result = self.function(u, self.counter)
            self.graphs[key] = graph, result
        graph, result = self.graphs[key]
        graph.replay()
        return result

    def _eager(self, u: int) -> Any:
        """Run the function on the stream that the capture will use."""
        now = torch.cuda.current_stream(self.counter.device)
        self.stream.wait_stream(now)
        with torch.cuda.stream(self.stream):
            result = self.function(u, self.counter)
        now.wait_stream(self.stream)
        return result
