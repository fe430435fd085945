"""Adam over the flat tensor of `Parameters`: one operation per step, whatever the number of layers.

On the CPU and on GPUs with Triton that is a loop of our own, which equals PyTorch's fused Adam: on the CPU
in less than half of its time, on a GPU with more than a few blocks for one tensor. Elsewhere it is PyTorch's.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam

from eluder.core import checks
from eluder.core.kernels import kernel
from eluder.deep.common import devices, gpu_kernels
from eluder.deep.common.checkpoint import fill
from eluder.deep.common.compiled import BETA1, BETA2, adam_in_place
from eluder.deep.common.networks import Parameters

__all__ = ["Adam"]


class Adam:
    """PyTorch's Adam on parameters that lie in one tensor; its moments are there from the start.

    Parameters
    ----------
    parameters : Parameters
        What is optimised.
    lr : float
        Step size, > 0.
    eps : float, default=1e-8
        Added to the root of the second moment.

    Raises
    ------
    ValueError
        If the step size is not positive.

    Examples
    --------
    >>> p = Parameters({"x": (1,)}, N=1)
    >>> adam = Adam(p, 0.1)
    >>> p.grad.fill_(3.0)
    tensor([3.])
    >>> adam.step()
    >>> p.flat
    tensor([-0.1000])
    """

    def __init__(self, parameters: Parameters, lr: float, eps: float = 1e-8) -> None:
        self.flat, self.grad = parameters.flat, parameters.grad
        self.eps = eps
        self.rate = torch.tensor(checks.number("lr", lr, 0.0, open_low=True), device=self.flat.device)
        self.lr = lr
        self.moments = {
            "step": torch.zeros((), device=self.flat.device),
            "exp_avg": torch.zeros_like(self.flat),
            "exp_avg_sq": torch.zeros_like(self.flat),
        }
        self.compiled = devices.has_kernels(self.flat.device)
        if self.compiled:
            tensors = (self.flat, self.grad, self.moments["exp_avg"], self.moments["exp_avg_sq"])
            x, g, first, second = (x.detach().numpy() for x in tensors)
            self.arrays = x, g, first, second
            self.count = 0

    @property
    def lr(self) -> float:
        """Step size; one that is set counts from the next step on, in captured graphs too."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._lr = lr
        self.rate.fill_(lr)

    def step(self, lr: float | None = None, *, target: Parameters | None = None, tau: float = 0.0) -> None:
        """Take one step along the gradient, in place.

        Parameters
        ----------
        lr : float, optional
            Changes the step size from here on.
        target : Parameters, optional
            What follows the parameters after the step, as by `Parameters.track`; on the CPU in the same pass.
        tau : float, default=0.0
            Its rate.
        """
        if lr is not None:
            self.lr = lr
        if self.compiled:
            self.count += 1
            rate, root = self.lr / (1.0 - BETA1**self.count), (1.0 - BETA2**self.count) ** 0.5
            if target is None:
                adam_in_place(*self.arrays, rate, root, self.eps)
            else:
                _adam_and_track(*self.arrays, rate, root, self.eps, target.flat.numpy(), tau)
            return
        self._step()
        if target is not None:
            target.flat.lerp_(self.flat, tau)

    def _step(self) -> None:
        """Take one step by PyTorch or on a GPU."""
        m = self.moments
        with torch.no_grad():
            if gpu_kernels.available(self.flat.device):
                first, second, count = m["exp_avg"], m["exp_avg_sq"], m["step"].add_(1.0)
                betas, eps = (BETA1, BETA2), self.eps
                gpu_kernels.adam(self.flat, self.grad, first, second, count, self.rate, betas, eps)
                return
            adam(
                [self.flat],
                [self.grad],
                [m["exp_avg"]],
                [m["exp_avg_sq"]],
                [],
                [m["step"]],
                fused=True,
                capturable=self.flat.is_cuda,
                amsgrad=False,
                beta1=BETA1,
                beta2=BETA2,
                lr=self.rate,
                weight_decay=0.0,
                eps=self.eps,
                maximize=False,
            )

    def state(self) -> dict[str, Tensor]:
        """Return the moments and the number of steps."""
        if self.compiled:
            self.moments["step"].fill_(self.count)
        return dict(self.moments)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`, in place."""
        fill(self.moments, state)
        if self.compiled:
            self.count = int(self.moments["step"])


@kernel
def _adam_and_track(
    x: Any, g: Any, m: Any, v: Any, rate: float, root: float, eps: float, target: Any, tau: float
) -> None:
    """Take one step of `adam_in_place`, and move a target after it, in place."""
    b1, b2 = np.float32(1.0 - BETA1), np.float32(1.0 - BETA2)
    step, inverse, least, follow = np.float32(rate), np.float32(1.0 / root), np.float32(eps), np.float32(tau)
    for i in range(x.size):
        m[i] += b1 * (g[i] - m[i])
        v[i] += b2 * (g[i] * g[i] - v[i])
        x[i] -= np.divide(step * m[i], np.sqrt(v[i]) * inverse + least)
        target[i] += follow * (x[i] - target[i])
