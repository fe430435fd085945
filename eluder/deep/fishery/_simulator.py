"""A fishery in PyTorch: what `eluder.envs.fishery.step` defines, for N seeds and B paths, with the end of an
episode integrated out.

An episode ends where a population falls to the threshold theta, and a path through that event has no
derivative. But given what is left after the harvest, the next populations are independent normals, so the
event has a probability in closed form, and the paths can be drawn given that it does not happen::

    p_i = P(N'_i > theta) = Phi((m_i - theta) / (sigma s_i)),   s = N - h,  m = growth of s
    xi_i = -Phi^{-1}(u_i p_i),  u_i uniform:  the law of the noise given N'_i > theta
    J = E sum_t w_t (sum_i h_{t,i} - (1 - q_t) penalty / (t + 1)),   q_t = prod_i p_i,  w_{t+1} = w_t q_t

J is the expected return itself, not one that was smoothed, and its derivative along paths is unbiased: p and
xi are smooth in the policy's parameters. The tests hold J against simulated and exact returns. Where
``p_i < 1e-12`` the noise is that of ``1e-12``; such a path weighs nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from eluder.envs.fishery import Fishery

__all__ = ["Outcome", "Simulator"]

LEAST = 1e-12  # survival probability below which noise is not followed
NO_NOISE = 1e-9


class Outcome(NamedTuple):
    """What happens in one period.

    Attributes
    ----------
    populations : Tensor, shape (N, B, S)
        At the start of the next period, given that none fell to the threshold.
    harvest : Tensor, shape (N, B)
        Biomass taken.
    survival : Tensor, shape (N, B)
        Probability that none falls to the threshold.
    """

    populations: Tensor
    harvest: Tensor
    survival: Tensor


class Simulator:
    """A fishery as tensors.

    Parameters
    ----------
    fishery : Fishery
        The fishery, with noise.
    device : str or torch.device, default="cpu"
        Where the tensors live.
    dtype : torch.dtype, default=torch.float32
        Their type.

    Attributes
    ----------
    T, S, A : int
        Periods, species, harvested species.
    r : Tensor, shape (T, P)
        Growth rates of the P = 1 or 2 prey.
    x0 : Tensor, shape (S,)
        Mean first populations.
    taste : Tensor, shape (P,)
        Relative predation on the prey, 1 and D.

    Raises
    ------
    ValueError
        If the fishery has no noise.

    Examples
    --------
    >>> from eluder.envs.fishery import fishery
    >>> simulator = Simulator(fishery(1, beta=0.0))
    >>> x, a = torch.tensor([[[0.5]]]), torch.tensor([[[0.2]]])
    >>> outcome = simulator.step(x, a, 0, torch.tensor([[[0.5]]]))  # the median
    >>> [round(y.item(), 4) for y in outcome]
    [0.64, 0.1, 1.0]
    """

    def __init__(
        self, fishery: Fishery, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        check_noisy(fishery)
        self.fishery, self.device, self.dtype = fishery, torch.device(device), dtype
        self.T, self.S, self.A = len(fishery.r), len(fishery.x0), fishery.harvested
        r = torch.as_tensor(fishery.r, dtype=dtype, device=device)
        self.r = r[:, None] if self.S == 1 else torch.stack([r, torch.full_like(r, fishery.r_Y)], dim=1)
        self.x0 = torch.as_tensor(fishery.x0, dtype=dtype, device=device)
        self.taste = torch.tensor([1.0, fishery.D][: self.r.shape[1]], dtype=dtype, device=device)

    def first(self, xi: Tensor) -> Tensor:
        """Return first populations, of the shape of standard normal numbers (N, B, S)."""
        return (self.x0 + self.fishery.sigma0 * xi.to(self.dtype)).clamp_min(0.0)

    def growth(self, left: Tensor, t: int) -> Tensor:
        """Return means of the next populations, given those after the harvest in period t, (N, B, S)."""
        f = self.fishery
        prey = left if self.S == 1 else left[..., :2]
        square = prey * prey
        eaten = (f.beta * self.taste) * square / (f.c**2 + square)
        grown = prey + self.r[t] * prey * (1.0 - prey / f.K)
        if self.S == 1:
            return grown - eaten
        Z = left[..., 2:]
        clash = f.c_XY * prey.prod(dim=-1, keepdim=True)
        births = f.b * (self.taste * prey).sum(dim=-1, keepdim=True) - f.d_Z
        return torch.cat([grown - Z * eaten - clash, Z + births * Z], dim=-1)

    def step(self, populations: Tensor, fractions: Tensor, t: int, u: Tensor) -> Outcome:
        """Play one period, given that it does not end the episode.

        Parameters
        ----------
        populations : Tensor, shape (N, B, S)
            At the start of the period.
        fractions : Tensor, shape (N, B, A)
            Parts in [0, 1] that are taken.
        t : int
            Period, from 0.
        u : Tensor, shape (N, B, S)
            Uniform numbers in (0, 1).

        Returns
        -------
        Outcome
            Next populations, harvest and the probability that the episode goes on.
        """
        f = self.fishery
        h = fractions * populations[..., : self.A]
        left = torch.cat([populations[..., : self.A] - h, populations[..., self.A :]], dim=-1)
        mean, sd = self.growth(left, t), (f.sigma * left).clamp_min(NO_NOISE)
        p = torch.special.ndtr((mean - f.threshold) / sd)
        xi = -torch.special.ndtri(u * p.clamp_min(LEAST))
        return Outcome(mean + sd * xi, h.sum(dim=-1), p.prod(dim=-1))

    def returns(self, policy: Callable[[Tensor, int], Tensor], first: Tensor, u: Tensor) -> Tensor:
        """Return the expected return of paths, given their noise.

        Parameters
        ----------
        policy : callable
            Maps populations (N, B, S) and the period to the parts (N, B, A) that are taken.
        first : Tensor, shape (N, B, S)
            First populations.
        u : Tensor, shape (N, T, B, S)
            Uniform numbers in (0, 1).

        Returns
        -------
        Tensor, shape (N, B)
            The sum in J: its mean over paths is the expected return.
        """
        x = first
        total = x.new_zeros(x.shape[:2])
        weight = torch.ones_like(total)
        for t in range(self.T):
            outcome = self.step(x, policy(x, t), t, u[:, t])
            fine = self.fishery.penalty / (t + 1)
            total = total + weight * (outcome.harvest - (1.0 - outcome.survival) * fine)
            weight = weight * outcome.survival
            x = outcome.populations
        return total


def check_noisy(fishery: Fishery) -> None:
    """Refuse what is no fishery, and a fishery without noise."""
    if not isinstance(fishery, Fishery):
        raise ValueError(f"fishery must be a Fishery, got {fishery!r}")
    if fishery.sigma <= 0:
        raise ValueError(f"fishery must have noise, sigma is {fishery.sigma}")
