"""Full information: a round in which the whole distribution is played, and all rewards are seen."""

import numpy as np

from eluder.core.bandits import Bandit, Ledger, advance, draw, record
from eluder.core.kernels import kernel, sample
from eluder.core.types import Array


@kernel
def observe_all(
    bandit: Bandit, books: Ledger, t: int, p: Array, rewards: Array, rng: np.random.Generator
) -> None:
    """See the rewards of all arms, written into `rewards`; `books` get the mean reward under `p`.

    An arm is drawn from `p` for the count of pulls; it has no influence on anything else, so that the regret
    kept is that of the distributions, of which the theorems speak, without the noise of the draw.
    """
    m = advance(bandit, books, t)
    mean = 0.0
    for a in range(rewards.size):
        mean += p[a] * bandit.means[m, a]
        rewards[a] = draw(bandit.law, bandit.means[m, a], bandit.scale[a], rng)
    record(books, t, sample(p, rng), mean)  # measurement
