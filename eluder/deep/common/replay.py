"""Replay of experience: each observation stored once, each seed its own, on any device.

Frames of one environment follow one another in a ring: the successor of frame j is frame j + 1, so an
observation is stored once and not again as "next observation". Where an episode ends, its last observation
takes a frame of its own from which no transition starts. A second ring lists the frames from which one does,
and sampling draws from that list: every stored transition has the same probability, and nothing is drawn
again::

    frames    o0 a0 r0 | o1 a1 r1 | o2 (end) | o0' a0' r0' | ...
    order     0          1                     3
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from eluder.core import checks
from eluder.core.kernels import kernel
from eluder.deep.common import devices
from eluder.deep.common.devices import Mailbox, repeated
from eluder.deep.common.environments import Step
from eluder.deep.common.random import bits, integers

__all__ = ["Batch", "Replay"]


class Batch(NamedTuple):
    """Transitions of N seeds, B of each.

    Attributes
    ----------
    obs : Tensor of float32, shape (N, B, ...)
        Observations.
    action : Tensor, shape (N, B, A) of float32, or (N, B) of int64
        What was done there.
    reward : Tensor of float32, shape (N, B)
        The reward, or ``sum_k gamma^k r_k`` over n steps.
    next_obs : Tensor of float32, shape (N, B, ...)
        Where the last of these steps led.
    discount : Tensor of float32, shape (N, B)
        ``gamma^n (1 - terminated)``: what the value of `next_obs` is multiplied with.
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    discount: Tensor


class Replay:
    """The experience of N seeds with E environments each.

    Parameters
    ----------
    capacity : int
        Frames of one seed: one per transition and one per episode.
    obs_shape : tuple of int
        Shape of one observation.
    action_dim : int
        Numbers of one action; 0 for discrete actions.
    N : int
        Number of seeds.
    per_seed : int, default=1
        E, environments of each seed; every one has ``capacity // E`` frames.
    device : str or torch.device, default="cpu"
        Where the tensors live.

    Raises
    ------
    ValueError
        If a size is out of range.

    Notes
    -----
    ``N capacity (4 obs + 4 A + 10)`` bytes, taken from the system as they fill: 1.5 GB for 10^6 frames of
    Humanoid-v5.

    Examples
    --------
    >>> replay = Replay(100, (3,), 2, N=1)
    >>> replay.begin(np.zeros((1, 3), np.float32))
    >>> one, no = np.ones(1, np.float32), np.zeros(1, bool)
    >>> step = Step(np.ones((1, 3), np.float32), one, np.ones((1, 3), np.float32), no, no, ~no)
    >>> replay.add(np.zeros((1, 2), np.float32), step)
    >>> len(replay), replay.sample(4, torch.zeros(1, dtype=torch.int64), 0).obs.shape
    (1, torch.Size([1, 4, 3]))
    """

    def __init__(
        self,
        capacity: int,
        obs_shape: tuple[int, ...],
        action_dim: int,
        N: int,
        per_seed: int = 1,
        device: str | torch.device = "cpu",
    ) -> None:
        N, E = checks.integer("N", N), checks.integer("per_seed", per_seed)
        self.N, self.E = N, E
        self.L = L = checks.integer("capacity", capacity, 4 * E) // E  # frames of one environment
        self.device = torch.device(device)
        rows, n = N * E * L, N * E
        self.obs = _zeros((rows, *obs_shape), np.float32, device)
        shape, kind = ((rows, action_dim), np.float32) if action_dim else ((rows,), np.int64)
        self.action = _zeros(shape, kind, device)
        self.reward = _zeros((rows,), np.float32, device)
        self.terminated, self.ended = (_zeros((rows,), np.bool_, device) for _ in range(2))
        self.order = torch.zeros(n, L, dtype=torch.int32, device=device)
        self._order = self.order.numpy() if self.device.type == "cpu" else np.zeros((n, L), np.int32)
        # Of each environment: frame of the newest observation, first entry and number of entries of `order`.
        self.head, self.first, self.count = (np.zeros(n, np.int64) for _ in range(3))
        self.where = torch.zeros(3, n, dtype=torch.int64, device=device)  # the same three, for sampling
        if devices.has_kernels(self.device):
            stores = (self.obs.view(rows, -1), self.action.view(rows, -1), self.reward, self.terminated)
            rings = (self.ended, self.order, *self.where)
            self._arrays = [x.numpy() for x in (*stores, *rings)]  # the same memory, for loops
        self._discounts: dict[tuple[float, int], Tensor] = {}
        self.base = np.arange(n) * L
        self.written = np.zeros(n, np.int64)  # frames in use, for checkpoints
        kinds: dict[str, tuple[Any, tuple[int, ...]]] = {
            **dict.fromkeys(("now", "then", "fresh", "slot"), (np.int64, (n,))),
            "where": (np.int64, (3, n)),
            "entry": (np.int32, (n,)),
            "action": (np.float32, (n, action_dim)) if action_dim else (np.int64, (n,)),
            "reward": (np.float32, (n,)),
            **dict.fromkeys(("follow", "obs"), (np.float32, (n, *obs_shape))),
            **dict.fromkeys(("terminated", "ended"), (np.bool_, (n,))),
        }
        self._mail = mail = Mailbox(kinds, self.device)
        self._letters = [
            mail[name] for name in ("now", "then", "fresh", "where", "reward", "terminated", "ended")
        ]
        self._letters += [mail[name].reshape(n, -1) for name in ("action", "follow", "obs")]
        self._storing = repeated(lambda u, n: self._store(), self.device)

    def __len__(self) -> int:
        """Return the least number of transitions of a seed."""
        return int(self.count.reshape(self.N, self.E).sum(axis=1).min())

    def begin(self, obs: np.ndarray) -> None:
        """Store the observations with which the first episodes begin: N E of them, of any shape."""
        rows = torch.from_numpy(self.base + self.head).to(self.device)
        x = torch.from_numpy(np.ascontiguousarray(obs, np.float32)).to(self.device)
        self.obs.index_copy_(0, rows, x.view(-1, *self.obs.shape[1:]))
        self.written[:] = 1

    def add(self, action: np.ndarray, step: Step) -> None:
        """Store one transition of each environment; where `step` is no transition, only its observation.

        Parameters
        ----------
        action : ndarray, shape (N E, A) or (N E,)
            What was done.
        step : Step
            What followed.
        """
        ended, done = step.terminated | step.truncated, step.valid
        mail = self._mail
        places = (self.head, self.first, self.count, self.written)
        rows = (mail["now"], mail["then"], mail["slot"], mail["entry"])
        _advance(done, ended, self.L, *places, self._order, *rows)
        mail["fresh"][:] = self.base + self.head
        mail["where"][:] = self.head, self.first, self.count
        mail["action"][:], mail["reward"][:] = action, step.reward
        mail["terminated"][:], mail["ended"][:] = step.terminated, ended
        mail["follow"][:] = np.where(_as(done, step), step.next_obs, step.obs)
        mail["obs"][:] = step.obs
        self._mail.send()
        self._storing(0)

    def _store(self) -> None:
        """Write what the mail holds: one row of each environment, in place."""
        if devices.has_kernels(self.device):
            _write(*self._letters, *self._arrays)
            return
        x = self._mail.there
        for store in ("action", "reward", "terminated", "ended"):
            getattr(self, store).index_copy_(0, x["now"], x[store])
        self.obs.index_copy_(0, x["then"], x["follow"])
        self.obs.index_copy_(0, x["fresh"], x["obs"])  # the same row again where no episode begins
        self.order.view(-1).index_copy_(0, x["slot"], x["entry"])
        self.where.copy_(x["where"])

    def sample(
        self,
        B: int,
        keys: Tensor,
        counter: Tensor | int,
        *,
        gamma: float = 0.99,
        n_step: int = 1,
        stream: int = 0,
    ) -> Batch:
        """Draw B transitions of each seed, with replacement, each with the same probability.

        Parameters
        ----------
        B : int
            How many.
        keys : Tensor of int64, shape (N,)
            Keys of the seeds.
        counter : Tensor of int64 (scalar) or int
            Number of the draw.
        gamma : float, default=0.99
            Discount factor.
        n_step : int, default=1
            Rewards in a row; fewer where the episode or the store ends before.
        stream : int, default=0
            Stream of the draw.

        Returns
        -------
        Batch
            The transitions.
        """
        n_step = min(n_step, self.L)  # no more rewards in a row are kept
        powers = self._powers(gamma, n_step)
        if devices.has_kernels(self.device):
            return self._sample_on_cpu(bits(keys, counter, stream, B).numpy(), powers.numpy())
        head, first, count = self.where
        counts = count.view(self.N, self.E)
        k = integers(keys, counter, stream, (B,), counts.sum(dim=1))
        env = torch.arange(self.N, device=self.device)[:, None] * self.E
        if self.E > 1:
            ends = counts.cumsum(dim=1)
            inner = (k[:, :, None] >= ends[:, None, :]).sum(dim=2)
            k = k - torch.where(inner > 0, ends.gather(1, (inner - 1).clamp_min(0)), 0)
            env = env + inner
        env = env.expand(self.N, B).reshape(-1)
        slot = (first[env] + k.reshape(-1)) % self.L
        frame = self.order.view(-1)[env * self.L + slot].long()
        start, base = env * self.L + frame, env * self.L
        reward = self.reward[start]
        terminated = self.terminated[start]
        steps = torch.ones_like(frame)
        running = ~self.ended[start]
        for i in range(1, n_step):
            at = (frame + i) % self.L
            row = base + at
            running = running & (at != head[env])
            reward = torch.where(running, reward + gamma**i * self.reward[row], reward)
            terminated = torch.where(running, self.terminated[row], terminated)
            steps = steps + running
            running = running & ~self.ended[row]
        last = base + (frame + steps) % self.L
        return self._batch(start, reward.view(self.N, B), last, (powers[steps] * ~terminated).view(self.N, B))

    def _sample_on_cpu(self, words: Any, powers: Any) -> Batch:
        """Return the transitions that words of random bits, shape (N, B), stand for, in one pass."""
        reward, discount = np.empty(words.shape, np.float32), np.empty(words.shape, np.float32)
        obs, follow = (np.empty((words.size, self._arrays[0].shape[1]), np.float32) for _ in range(2))
        action = np.empty((words.size, self._arrays[1].shape[1]), self._arrays[1].dtype)
        _follow(self.E, words, powers, obs, action, reward, follow, discount, *self._arrays)
        shape = (*words.shape, *self.obs.shape[1:])
        return Batch(
            torch.from_numpy(obs).view(shape),
            torch.from_numpy(action).view(*words.shape, *self.action.shape[1:]),
            torch.from_numpy(reward),
            torch.from_numpy(follow).view(shape),
            torch.from_numpy(discount),
        )

    def _batch(self, start: Tensor, reward: Tensor, last: Tensor, discount: Tensor) -> Batch:
        """Gather the transitions between two frames each."""
        lead = reward.shape
        return Batch(
            self.obs.index_select(0, start).view(*lead, *self.obs.shape[1:]),
            self.action.index_select(0, start).view(*lead, *self.action.shape[1:]),
            reward,
            self.obs.index_select(0, last).view(*lead, *self.obs.shape[1:]),
            discount,
        )

    def _powers(self, gamma: float, n_step: int) -> Tensor:
        """Return ``gamma^i`` for i up to n_step; made once, since copies to the device cannot be captured."""
        if (gamma, n_step) not in self._discounts:
            powers = torch.tensor([gamma**i for i in range(n_step + 1)], device=self.device)
            self._discounts[gamma, n_step] = powers
        return self._discounts[gamma, n_step]

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps: the frames in use and the places in the rings."""
        most = int(self.written.max())
        out = {name: self._rings(name)[:, :most] for name in _STORES}
        out["order"] = self.order[:, : min(self.L, int((self.first + self.count).max()))]
        out["where"] = torch.from_numpy(np.stack([self.head, self.first, self.count, self.written]))
        return out

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`, in place.

        Parameters
        ----------
        state : mapping of str to Tensor
            From a Replay of the same sizes.

        Raises
        ------
        ValueError
            If it does not fit.
        """
        places = state.get("where", torch.empty(0))
        if places.shape != (4, len(self.base)) or bool((places < 0).any()):
            raise ValueError(f"where of the checkpoint has shape {tuple(places.shape)} or negative entries")
        if bool((places[:2] >= self.L).any()) or bool((places[2:] > self.L).any()):
            raise ValueError(f"where of the checkpoint has entries beyond the {self.L} frames of a ring")
        for name in (*_STORES, "order"):
            if name not in state:
                raise ValueError(f"the checkpoint has no {name}")
            ours, kept = self._rings(name), state[name]
            if kept.shape[0] != ours.shape[0] or kept.shape[1] > self.L or kept.shape[2:] != ours.shape[2:]:
                raise ValueError(
                    f"{name} of the checkpoint has shape {tuple(kept.shape)}, needed {tuple(ours.shape)}"
                )
            ours[:, : kept.shape[1]] = kept.to(self.device)
        if bool((self.order < 0).any()) or bool((self.order >= self.L).any()):
            raise ValueError(f"order of the checkpoint has entries beyond the {self.L} frames of a ring")
        self._order[:] = self.order.cpu().numpy()
        self.head, self.first, self.count, self.written = state["where"].numpy().copy()
        self.where.copy_(state["where"][:3])

    def _rings(self, name: str) -> Tensor:
        """Return a store as rings of the environments: shape (N E, L, ...)."""
        store: Tensor = getattr(self, name)
        return store if name == "order" else store.view(self.N * self.E, self.L, *store.shape[1:])


@kernel
def _advance(
    done: Any,
    ended: Any,
    L: int,
    head: Any,
    first: Any,
    count: Any,
    written: Any,
    order: Any,
    now: Any,
    then: Any,
    slot: Any,
    entry: Any,
) -> None:
    """Move every environment one transition on, in place; say which rows are written, and what of `order`."""
    for e in range(head.size):
        follow = (head[e] + 1) % L
        fresh = (follow + 1) % L  # where the next episode begins
        now[e] = e * L + head[e]
        then[e] = e * L + (follow if done[e] else head[e])
        if done[e]:
            _drop(e, follow, L, first, count, order)
            if ended[e]:
                _drop(e, fresh, L, first, count, order)
        slot[e] = (first[e] + count[e]) % L
        if done[e]:
            order[e, slot[e]] = head[e]
            count[e] += 1
            head[e] = fresh if ended[e] else follow
            written[e] = max(written[e], min(L, max(follow, head[e]) + 1))
        entry[e] = order[e, slot[e]]
        slot[e] += e * L


@kernel
def _write(
    now: Any,
    then: Any,
    fresh: Any,
    where: Any,
    r: Any,
    terminal: Any,
    end: Any,
    act: Any,
    follow: Any,
    start: Any,
    obs: Any,
    action: Any,
    reward: Any,
    terminated: Any,
    ended: Any,
    order: Any,
    head: Any,
    first: Any,
    count: Any,
) -> None:
    """Write one row of each environment, in place: what came in the mail, into the store."""
    for e in range(now.size):
        row = now[e]
        action[row], reward[row], terminated[row], ended[row] = act[e], r[e], terminal[e], end[e]
        obs[then[e]] = follow[e]
        obs[fresh[e]] = start[e]  # the same row again where no episode begins
        head[e], first[e], count[e] = where[0, e], where[1, e], where[2, e]


@kernel
def _drop(e: int, frame: int, L: int, first: Any, count: Any, order: Any) -> None:
    """Take from a list the transitions that begin or end in an overwritten frame, the oldest ones, in
    place."""
    for _ in range(2):
        oldest = order[e, first[e]]
        if count[e] > 0 and (oldest == frame or (oldest + 1) % L == frame):
            first[e] = (first[e] + 1) % L
            count[e] -= 1


@kernel
def _follow(
    E: int,
    words: Any,
    powers: Any,
    start: Any,
    act: Any,
    total: Any,
    follow: Any,
    discount: Any,
    obs: Any,
    action: Any,
    reward: Any,
    terminated: Any,
    ended: Any,
    order: Any,
    head: Any,
    first: Any,
    count: Any,
) -> None:
    """Fill first observations, actions, rewards, last observations and discounts of the transitions that
    random words stand for, in place: those of `integers`."""
    L = order.shape[1]
    for n in range(words.shape[0]):
        counts = count[n * E : (n + 1) * E].sum()
        for b in range(words.shape[1]):
            e, rest = n * E, ((words[n, b] >> 24) & 0xFFFFFFFFFF) * counts >> 40
            while rest >= count[e]:
                rest -= count[e]
                e += 1
            frame, i = order[e, (first[e] + rest) % L], n * words.shape[1] + b
            row, steps = e * L + frame, 1
            start[i], act[i], total[n, b] = obs[row], action[row], reward[row]
            while steps < powers.size - 1 and not ended[row] and (frame + steps) % L != head[e]:
                row = e * L + (frame + steps) % L
                total[n, b] += powers[steps] * reward[row]
                steps += 1
            follow[i] = obs[e * L + (frame + steps) % L]
            discount[n, b] = ZERO if terminated[row] else powers[steps]


def _zeros(shape: tuple[int, ...], kind: Any, device: str | torch.device) -> Tensor:
    """Return zeros, on the CPU in memory that is taken as it fills; `torch.zeros` would take it at once."""
    return torch.from_numpy(np.zeros(shape, kind)).to(device)


def _as(mask: np.ndarray, step: Step) -> np.ndarray:
    """Return a mask of environments with axes that the observations broadcast against."""
    return mask.reshape(-1, *[1] * (step.obs.ndim - 1))


ZERO = np.float32(0.0)
_STORES = ("obs", "action", "reward", "terminated", "ended")
