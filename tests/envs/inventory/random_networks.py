"""Random networks for the tests."""

import numpy as np

from eluder.envs.inventory import Network


def random_network(rng, *, batch=None, **options):
    """Draw a network with up to three warehouses and four stores; some parameters by sample if `batch`."""
    W, n = int(rng.integers(0, 4)), int(rng.integers(1, 5))
    K, M = 2, W + n
    pairs = set()
    for j in range(M):
        sources = [-1, -2, *range(min(j, W))]
        for i in rng.choice(sources, size=min(len(sources), int(rng.integers(1, 3))), replace=False):
            pairs.add((int(i), j))
    for i in range(W):
        pairs.add((i, W + int(rng.integers(n))))
    pairs = [list(pairs)[k] for k in rng.permutation(len(pairs))]
    E = len(pairs)
    holds = rng.random(W) < 0.7
    source = np.array([i for i, _ in pairs])
    capacity = np.where(rng.random(E) < 0.3, rng.uniform(1, 9, E), np.inf)
    capacity[[e for e in range(E) if source[e] >= 0 and not holds[source[e]]]] = np.inf

    def maybe(draw, size):
        return draw((batch, size)) if batch and rng.random() < 0.7 else draw(size)

    settings = {
        "unmet": str(rng.choice(["lost", "backlog"])),
        "objective": str(rng.choice(["cost", "profit"])),
        "orders": str(rng.choice(["continuous", "integer"])),
    } | options
    lead_time = maybe(lambda size: rng.integers(1, 5, size), E)
    direct = (source < 0) & (np.array([j for _, j in pairs]) >= W)
    lead_time = np.where(direct & (rng.random(lead_time.shape) < 0.3), 0, lead_time)
    return Network(
        suppliers=tuple(f"s{k}" for k in range(K)),
        warehouses=tuple(f"w{k}" for k in range(W)),
        stores=tuple(f"m{k}" for k in range(n)),
        holding=maybe(lambda size: rng.uniform(0, 2, size), M),
        penalty=maybe(lambda size: rng.uniform(0, 9, size), n),
        initial=rng.integers(0, 9, M).astype(float),
        holds=holds,
        source=source,
        target=np.array([j for _, j in pairs]),
        lead_time=lead_time,
        unit_cost=maybe(lambda size: rng.uniform(0, 1, size), E),
        fixed_cost=rng.uniform(0, 3, E) * (rng.random(E) < 0.5),
        capacity=capacity,
        **settings,
    )
