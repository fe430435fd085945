"""Policies that see past demand and the calendar, for demand that is recorded and has no known law.

Two ways to turn a record into orders, both of Alvo, Russo, Kanoria & Lee (2023), arXiv:2306.11246:

*End to end.* A perceptron sees inventories, the last H demands, costs, lead times and the calendar, and gives
all orders. Units are the means of the last H demands, u, so that an item sold by the thousand and one sold by
the dozen look alike::

    q[e] = u[e] relu(1 + out[e](inventory / u, past / u, ln u, h, p, L, calendar))

*Forecast, then order.* A perceptron is fitted to quantiles of the demand of L + 1 periods; then it is frozen,
and what is trained is which quantile to order up to::

    minimise sum over tau = 0.05, ..., 0.95 of max(tau (D - Q_tau), (tau - 1) (D - Q_tau))
    tau = sigmoid(ln(p / h) + f(p, h));   q = (Q_tau(past, calendar) - position)^+
    f: 0 at first, tau = p / (p + h), the newsvendor's;  "shifted" one number; "transformed" a perceptron
    "constant": tau is one number for all

Deviations from the paper:
- Demand is measured in its own recent mean; the paper feeds raw units.
- Quantiles are increasing by construction; beyond the first and last they go on in a line.
- The fractile starts at the newsvendor's and is shifted on the scale of its logit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from eluder.core import checks
from eluder.deep.common.networks import Parameters, init_mlp, mlp, mlp_shapes
from eluder.deep.common.optim import Adam
from eluder.deep.common.random import integers, seed_keys
from eluder.deep.inventory._policies import ACTIVATIONS, _check
from eluder.deep.inventory._problem import Problem, Seen
from eluder.envs.inventory import SalesSplit, Setting

__all__ = ["DataDrivenPolicy", "QuantileForecast", "QuantilePolicy", "calendar_features", "fit_quantiles"]

NUM_FEATURES = 3  # of a period
TAUS = tuple(round(0.05 * k, 2) for k in range(1, 20))
FORECAST, WINDOWS, LEVEL = 6000, 6100, 6200  # streams of random numbers
LEAST = 1e-3  # least unit, in means of demand


def calendar_features(week: np.ndarray) -> np.ndarray:
    """Return days from the nearest Christmas over 100, and sine and cosine of the time of the year.

    Parameters
    ----------
    week : ndarray of datetime64[D], shape (T,)
        First days.

    Returns
    -------
    ndarray, shape (T, 3)
        The features.

    Examples
    --------
    >>> calendar_features(np.array(["2015-12-15", "2016-01-01"], dtype="datetime64[D]"))[:, 0].tolist()
    [-0.1, 0.07]
    """
    day = np.asarray(week, dtype="datetime64[D]")
    year = day.astype("datetime64[Y]").astype(np.int64) + 1970
    christmas = [np.array([f"{y}-12-25" for y in year + k], "datetime64[D]") for k in (-1, 0, 1)]
    to = np.stack([(day - that).astype(float) for that in christmas])
    nearest = np.take_along_axis(to, np.abs(to).argmin(axis=0)[None], axis=0)[0]
    angle = 2 * np.pi * (day - day.astype("datetime64[Y]")).astype(float) / 365.25
    return np.column_stack([nearest / 100.0, np.sin(angle), np.cos(angle)])


def units(problem: Problem, past: Tensor) -> Tensor:
    """Return the mean of the past demand of each store, not below a little, shape (N, B, n)."""
    return past.mean(dim=2).clamp_min(LEAST * problem.scale)


def located(problem: Problem, unit: Tensor) -> Tensor:
    """Return the demand that passes through each location, shape (N, B, M), from that of the stores.

    Below a location it is the sum; of that, the part passes that does so of the means over all samples.
    """
    below = problem.reach[:, problem.simulator.W :].T
    part = problem.through / (problem.through[problem.simulator.W :] @ below)
    return unit @ below * part


def need_past(seen: Seen, history: int) -> tuple[Tensor, Tensor]:
    """Return the last demands and the calendar; refuse to go without."""
    if seen.past is None or seen.calendar is None:
        raise ValueError("seen has no past or calendar: train this policy by hdpo_on_data")
    if seen.past.shape[2] < history:
        raise ValueError(f"history is {seen.past.shape[2]} periods, the policy sees {history}")
    return seen.past[:, :, -history:], seen.calendar


@dataclass(frozen=True)
class DataDrivenPolicy:
    """A perceptron from inventories, past demand, costs, lead times and calendar to all orders.

    Attributes
    ----------
    history : int
        H, periods of past demand that it sees.
    hidden : tuple of int
        Units of the hidden layers.
    activation : {"elu", "relu", "tanh"}
        Between layers.
    """

    history: int = 16
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "elu"

    def __post_init__(self) -> None:
        checks.integer("history", self.history)
        _check(self.hidden, self.activation)

    def init(self, problem: Problem, keys: Tensor) -> Parameters:
        """Draw the parameters; the last layer starts at zero: each edge orders the recent mean."""
        s = problem.simulator
        inputs = int(problem.slots.sum()) + (self.history + 2) * s.n + s.M + s.E + NUM_FEATURES
        parameters = Parameters(
            mlp_shapes((inputs, *self.hidden, s.E)), len(keys), keys.device, problem.mean.dtype
        )
        init_mlp(parameters, keys)
        last = len(self.hidden)
        with torch.no_grad():
            parameters[f"w{last}"].zero_()
            parameters[f"b{last}"].zero_()
        return parameters

    def orders(self, parameters: Mapping[str, Tensor], problem: Problem, seen: Seen) -> Tensor:
        """Return the orders (N, B, E)."""
        past, calendar = need_past(seen, self.history)
        s, (N, B) = problem.simulator, seen.inventory.shape[:2]
        unit = units(problem, past)
        per_location = located(problem, unit)
        inventory = (seen.inventory / per_location[..., None]).flatten(-2).index_select(-1, problem.places)
        ratio = past / unit[:, :, None]
        price = max(float(problem.setting.network.penalty.mean()), LEAST)  # the same for any part of it
        parts = [
            inventory,
            ratio.flatten(2),
            (unit / problem.scale).log(),
            (s.penalty / price).expand(N, B, -1),
            (s.holding / price).expand(N, B, -1),
            (s.lead_time.to(unit.dtype) / s.L).expand(N, B, -1),
            calendar.expand(N, B, -1),
        ]
        out = mlp(parameters, torch.cat(parts, dim=-1), ACTIVATIONS[self.activation])
        return per_location[..., s.target] * problem.share * torch.relu(1.0 + out)


@dataclass(frozen=True, eq=False)
class QuantileForecast:
    """Quantiles of the demand of some numbers of periods, frozen.

    Attributes
    ----------
    periods : tuple of int
        Numbers of periods that it can tell, in order, without gaps.
    history : int
        H, periods of past demand that it sees.
    parameters : dict of str to Tensor
        Of a perceptron with two hidden layers.
    """

    periods: tuple[int, ...]
    history: int
    parameters: Mapping[str, Tensor] = field(repr=False)

    def quantiles(self, past: Tensor, calendar: Tensor, unit: Tensor, scale: float) -> Tensor:
        """Return quantiles of the demand of each number of periods, shape (..., K, 19), in units of goods.

        `past` has shape (..., H), `calendar` (..., 3) and `unit` (...); increasing along the last axis.
        """
        parameters = {k: x.to(unit) for k, x in self.parameters.items()}
        raw = forecast(parameters, past, calendar, unit, scale, len(self.periods))
        counts = torch.tensor(self.periods, dtype=unit.dtype, device=unit.device)
        return raw * (unit[..., None] * counts)[..., None]


def forecast(
    parameters: Mapping[str, Tensor], past: Tensor, calendar: Tensor, unit: Tensor, scale: float, K: int
) -> Tensor:
    """Return quantiles in expected demands, shape (..., K, 19): a first one and positive steps from it."""
    lead = unit.shape
    x = torch.cat([past / unit[..., None], (unit / scale).log()[..., None], calendar], dim=-1)
    out = mlp(parameters, x.reshape(1, -1, x.shape[-1]), torch.nn.functional.elu)
    out = out.view(*lead, K, len(TAUS))
    steps = torch.nn.functional.softplus(out[..., 1:] - 2.5)  # about 0.08: from 0.05 to 0.95 in 18 of them
    return torch.cat([out[..., :1] + 0.3, steps], dim=-1).cumsum(dim=-1)


def pinball(quantiles: Tensor, demand: Tensor) -> Tensor:
    """Return the loss of quantiles (..., 19) for demands (...), summed over the quantiles."""
    u = demand[..., None] - quantiles
    tau = torch.tensor(TAUS, dtype=u.dtype, device=u.device)
    return torch.maximum(tau * u, (tau - 1.0) * u).sum(dim=-1)


def fit_quantiles(
    setting: Setting,
    train: SalesSplit,
    *,
    history: int = 16,
    steps: int = 1000,
    batch_size: int = 512,
    hidden: int = 64,
    lr: float = 0.003,
    seed: int = 0,
) -> QuantileForecast:
    """Fit quantiles of the demand of a lead time and a period, for all lead times of the setting.

    Parameters
    ----------
    setting : Setting
        With recorded demand, all edges from suppliers to stores.
    train : SalesSplit
        Weeks to learn from; windows begin in them and in their history.
    history : int, default=16
        H, periods of past demand that the forecaster sees.
    steps, batch_size : int
        Updates of Adam, and windows of each.
    hidden : int, default=64
        Units of each of two hidden layers.
    lr : float, default=0.003
        Step size; it falls along half a cosine.
    seed : int, default=0
        Of first parameters and windows.

    Returns
    -------
    QuantileForecast
        To be used by `QuantilePolicy`.

    Raises
    ------
    ValueError
        If an argument is out of range, the weeks are too few, or a warehouse stands between.

    Examples
    --------
    >>> import datetime
    >>> from eluder.envs.inventory import setting
    >>> rng = np.random.default_rng(0)
    >>> sales = rng.poisson(20.0, (30, 60, 1)).astype(float)
    >>> week = np.datetime64("2013-01-01") + 7 * np.arange(60)
    >>> split = SalesSplit(sales[:, 16:], sales[:, :16], week[16:])
    >>> fit_quantiles(setting("favorita", sales=sales), split, steps=5).periods
    (5, 6, 7)
    """
    problem = Problem(setting)
    periods = _counts(problem)
    H, B = checks.integer("history", history), checks.integer("batch_size", batch_size)
    steps, lr = checks.integer("steps", steps), checks.number("lr", lr, 0.0, open_low=True)
    d = torch.as_tensor(np.concatenate([train.history, train.demand], axis=1), dtype=torch.float32)
    T = d.shape[1] - H - periods[-1]
    if T < 1:
        raise ValueError(f"train has {d.shape[1]} weeks, windows need {H + periods[-1] + 1}")
    weeks = train.week[0] - 7 * np.arange(train.history.shape[1], 0, -1)
    calendar = torch.as_tensor(calendar_features(np.concatenate([weeks, train.week])), dtype=torch.float32)
    keys = seed_keys([checks.integer("seed", seed, 0)])
    sizes = (H + 1 + NUM_FEATURES, checks.integer("hidden", hidden), hidden, len(periods) * len(TAUS))
    parameters = Parameters(mlp_shapes(sizes), 1)
    init_mlp(parameters, keys, FORECAST)
    adam, sums = Adam(parameters, lr), torch.cat([torch.zeros_like(d[:, :1]), d.cumsum(dim=1)], dim=1)
    counts = torch.tensor(periods)
    for u in range(steps):
        b, t, i = (integers(keys, u, WINDOWS + k, (B,), m)[0] for k, m in enumerate((len(d), T, d.shape[2])))
        past = d[b[:, None], t[:, None] + torch.arange(H), i[:, None]]
        unit = past.mean(dim=1).clamp_min(LEAST * problem.scale)
        total = sums[b[:, None], t[:, None] + H + counts, i[:, None]] - sums[b, t + H, i][:, None]
        ratio = total / (unit[:, None] * counts)
        parameters.zero_grad()
        found = forecast(parameters.tensors, past, calendar[t + H], unit, problem.scale, len(periods))
        weight = (unit / (unit + 0.05 * problem.scale))[:, None]  # ratios to next to nothing say little
        (weight * pinball(found, ratio)).mean().backward()
        adam.step(lr * 0.5 * (1.0 + math.cos(math.pi * u / steps)))
    return QuantileForecast(periods, H, {k: x.clone() for k, x in parameters.state().items()})


def _counts(problem: Problem) -> tuple[int, ...]:
    """Return the numbers of periods that orders must cover: lead times and one more."""
    s = problem.simulator
    if s.W or s.n != s.E:
        raise ValueError("setting must have a supplier for each store, no warehouse and no second way")
    return tuple(range(int(s.lead_time.min()) + 1, int(s.lead_time.max()) + 2))


def at_fractile(quantiles: Tensor, tau: Tensor) -> Tensor:
    """Return quantiles (..., 19) at fractiles (...) by lines between and beyond them, not below 0."""
    place = tau * 20.0 - 1.0  # in steps of 0.05
    low = place.detach().floor().clamp(0, len(TAUS) - 2).long()[..., None]
    left, right = quantiles.gather(-1, low)[..., 0], quantiles.gather(-1, low + 1)[..., 0]
    return (left + (place - low[..., 0]) * (right - left)).clamp_min(0.0)


@dataclass(frozen=True, eq=False)
class QuantilePolicy:
    """Order up to a quantile of the demand until the next order can arrive.

    Attributes
    ----------
    forecaster : QuantileForecast
        Frozen.
    fractile : {"shifted", "constant", "transformed"}
        What is learnt: a shift of the newsvendor's fractile on the scale of its logit, one fractile for all,
        or a shift that depends on the newsvendor's. Untrained, the first and the last are the newsvendor's.
    hidden : int
        Units of each of two layers of "transformed".
    """

    forecaster: QuantileForecast
    fractile: str = "shifted"
    hidden: int = 32

    def __post_init__(self) -> None:
        if self.fractile not in ("shifted", "constant", "transformed"):
            raise ValueError(f"fractile must be shifted, constant or transformed, got {self.fractile!r}")
        checks.integer("hidden", self.hidden)

    def init(self, problem: Problem, keys: Tensor) -> Parameters:
        """Draw the parameters."""
        if _counts(problem) != self.forecaster.periods:
            raise ValueError(f"forecaster tells {self.forecaster.periods} periods, not {_counts(problem)}")
        N, dtype = len(keys), problem.mean.dtype
        if self.fractile != "transformed":
            parameters = Parameters({"shift": (1, 1)}, N, keys.device, dtype)
            if self.fractile == "constant":
                with torch.no_grad():
                    parameters["shift"].fill_(float(self._newsvendor(problem).mean()))
            return parameters
        parameters = Parameters(mlp_shapes((1, self.hidden, self.hidden, 1)), N, keys.device, dtype)
        init_mlp(parameters, keys, LEVEL)
        with torch.no_grad():
            parameters["w2"].zero_()
            parameters["b2"].zero_()
        return parameters

    def orders(self, parameters: Mapping[str, Tensor], problem: Problem, seen: Seen) -> Tensor:
        """Return the orders (N, B, n)."""
        past, calendar = need_past(seen, self.forecaster.history)
        s, (N, B) = problem.simulator, seen.inventory.shape[:2]
        tau = torch.sigmoid(self._logit(parameters, problem, N, B))
        unit = units(problem, past)
        features = calendar.expand(*unit.shape, -1)
        Q = self.forecaster.quantiles(past.transpose(2, 3), features, unit, problem.scale)
        into = s.target.argsort()
        which = (s.lead_time[..., into] + 1 - self.forecaster.periods[0]).expand(N, B, -1)
        Q = Q.gather(3, which[..., None, None].expand(*which.shape, 1, len(TAUS)))[..., 0, :]
        want = torch.relu(at_fractile(Q, tau) - seen.inventory.sum(dim=-1))
        return want[..., s.target]

    def _newsvendor(self, problem: Problem) -> Tensor:
        """Return ``ln(p / h)``, the logit of the newsvendor's fractile, by store."""
        s = problem.simulator
        return (s.penalty / s.holding).log()

    def _logit(self, parameters: Mapping[str, Tensor], problem: Problem, N: int, B: int) -> Tensor:
        """Return the logit of the fractile, shape (N, B, n)."""
        base = self._newsvendor(problem).expand(N, B, -1)
        if self.fractile == "constant":
            return parameters["shift"].expand_as(base)
        if self.fractile == "shifted":
            return base + parameters["shift"]
        shift = mlp(parameters, base.reshape(N, -1, 1), torch.nn.functional.elu)
        return base + shift.view_as(base)
