"""Running means and variances of N seeds, for observations and rewards.

Batches are merged exactly (Chan, Golub & LeVeque 1983)::

    delta = mean_b - mean;   n' = n + n_b
    mean <- mean + delta n_b / n';   M2 <- M2 + M2_b + delta^2 n n_b / n'

Statistics are float64 and part of a checkpoint; an evaluation reads them and never writes.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from eluder.deep.common.checkpoint import fill

__all__ = ["RewardScale", "RunningNorm"]


class RunningNorm:
    """Mean and variance of what each seed has seen.

    Parameters
    ----------
    N : int
        Number of seeds.
    shape : tuple of int
        Shape of one entry.
    clip : float, default=10.0
        Normalised entries are cut to [-clip, clip].
    eps : float, default=1e-8
        Added to the variance.
    device : str or torch.device, default="cpu"
        Where the statistics live.

    Examples
    --------
    >>> norm = RunningNorm(1, (1,))
    >>> norm.update(torch.tensor([[[1.0], [3.0]]]))
    >>> norm(torch.tensor([[[3.0]]]))
    tensor([[[1.]]])
    """

    def __init__(
        self,
        N: int,
        shape: tuple[int, ...],
        clip: float = 10.0,
        eps: float = 1e-8,
        device: str | torch.device = "cpu",
    ) -> None:
        self.clip, self.eps = clip, eps
        self.mean = torch.zeros(N, *shape, dtype=torch.float64, device=device)
        self.count = torch.zeros((N, *(1 for _ in shape)), dtype=torch.float64, device=device)
        self.squares = torch.zeros_like(self.mean)  # sum of squared distances to the mean

    def update(self, x: Tensor, weight: Tensor | None = None) -> None:
        """Take in a batch, shape (N, B, ...), in place; where `weight` (N, B) is 0 it counts for nothing."""
        x = x.double()
        w = x.new_ones(x.shape[:2]) if weight is None else weight.double()
        w = w.view(*w.shape, *(1 for _ in x.shape[2:]))
        B = w.sum(dim=1)
        mean = (w * x).sum(dim=1) / B.clamp_min(1.0)
        squares = (w * (x - mean[:, None]).square()).sum(dim=1)
        delta, total = mean - self.mean, self.count + B
        share = B / total.clamp_min(1.0)
        self.mean += delta * share
        self.squares += squares + delta.square() * (self.count * share)
        self.count.copy_(total)

    @property
    def var(self) -> Tensor:
        """Variance, shape (N, ...); 1 before anything was seen."""
        return torch.where(self.count > 0, self.squares / self.count.clamp_min(1.0), 1.0)

    def __call__(self, x: Tensor) -> Tensor:
        """Return normalised entries, shape (N, B, ...), in the type of x."""
        scale = (self.var + self.eps).rsqrt()
        y = (x - self.mean[:, None]) * scale[:, None]
        return y.clamp(-self.clip, self.clip).to(x.dtype)

    def state(self) -> dict[str, Tensor]:
        """Return the statistics."""
        return {"count": self.count, "mean": self.mean, "squares": self.squares}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`, in place; a ValueError names the first tensor that does not fit."""
        fill(self.state(), state)


class RewardScale:
    """Divides rewards by the standard deviation of the discounted return so far, without centring them.

    Parameters
    ----------
    N : int
        Number of seeds.
    E : int
        Environments of each seed.
    gamma : float
        Discount factor.
    clip : float, default=10.0
        Scaled rewards are cut to [-clip, clip].
    device : str or torch.device, default="cpu"
        Where the statistics live.

    Notes
    -----
    The return of each environment runs on as ``R <- gamma R + r`` and begins again with an episode.

    Examples
    --------
    >>> scale = RewardScale(1, 1, 0.5)
    >>> no = torch.zeros(1, 1, dtype=torch.bool)
    >>> _ = scale(torch.tensor([[2.0]]), no)
    >>> scale(torch.tensor([[-3.0]]), no)  # returns 2 and -2: standard deviation 2
    tensor([[-1.5000]])
    """

    def __init__(
        self, N: int, E: int, gamma: float, clip: float = 10.0, device: str | torch.device = "cpu"
    ) -> None:
        self.gamma, self.clip = gamma, clip
        self.total = torch.zeros(N, E, dtype=torch.float64, device=device)
        self.norm = RunningNorm(N, (), device=device)

    def __call__(self, reward: Tensor, ended: Tensor) -> Tensor:
        """Take in the rewards of a step, shape (N, E), and return them scaled."""
        self.total.mul_(self.gamma).add_(reward)
        self.norm.update(self.total)
        scaled = reward * (self.norm.var + self.norm.eps).rsqrt()[:, None]
        self.total.masked_fill_(ended, 0.0)
        return scaled.clamp(-self.clip, self.clip).to(reward.dtype)

    def state(self) -> dict[str, Tensor]:
        """Return the statistics."""
        return {"total": self.total, **self.norm.state()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`, in place; a ValueError names the first tensor that does not fit."""
        fill(self.state(), state)
