"""CUDA graphs played on the CPU: operations are recorded with their tensors and repeated without Python."""

from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

FORBIDDEN = ("aten._local_scalar_dense", "aten.lift_fresh", "aten.item", "aten.nonzero", "aten.is_nonzero")


class Recorder(TorchDispatchMode):
    """Record the operations; refuse those that a capture refuses: they wait for the device or come from the
    host."""

    def __init__(self):
        super().__init__()
        self.tape = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        assert not str(func).startswith(FORBIDDEN), f"{func} cannot be captured"
        if str(func).startswith("aten.index"):  # a mask is turned into places, which waits for their number
            assert all(
                x.dtype != torch.bool for x in tree_leaves(args[1:2]) if isinstance(x, torch.Tensor)
            ), func
        out = func(*args, **kwargs)
        self.tape.append((func, args, kwargs, out))
        return out

    def __enter__(self):
        self.patches = [mock.patch.object(torch, name, from_device(name)) for name in ("tensor", "as_tensor")]
        for patch in self.patches:
            patch.start()
        return super().__enter__()

    def __exit__(self, *error):
        for patch in self.patches:
            patch.stop()
        return super().__exit__(*error)

    def replay(self):
        """Run the tape again: the same tensors are read, and written."""
        with torch.no_grad():
            for func, args, kwargs, out in self.tape:
                for old, new in zip(tree_leaves(out), tree_leaves(func(*args, **kwargs)), strict=True):
                    if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)


def from_device(name):
    """Return a function of torch that refuses what lies on the host."""
    function = getattr(torch, name)

    def checked(data, *args, **kwargs):
        assert isinstance(data, torch.Tensor), f"torch.{name}({data!r}) cannot be captured"
        return function(data, *args, **kwargs)

    return checked


def played(function, device, key=lambda u: None):
    """What `repeated` does on CUDA, for the CPU: some calls as they are, then a tape for each key."""
    counter, calls, tapes = torch.zeros((), dtype=torch.int64), {}, {}

    def call(u):
        counter.fill_(u)
        k = key(u)
        calls[k] = calls.get(k, 0) + 1
        if calls[k] <= 3:
            return function(u, counter)
        if k not in tapes:
            with Recorder() as tape:
                result = function(u, counter)
            tapes[k] = tape, result
            return result
        tape, result = tapes[k]
        tape.replay()
        return result

    call.tapes = tapes
    return call
