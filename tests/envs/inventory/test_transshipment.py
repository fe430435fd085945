"""The bound for stores behind a warehouse that keeps nothing: published values, simulated policies."""

import numpy as np
import pytest

from eluder.envs.inventory import MultivariateNormal, Normal, backlogged_optimum, transshipment_bound
from eluder.envs.inventory._transshipment import costly_variance

PUBLISHED = {3: 8.533674, 5: 7.902133, 10: 8.296968, 20: 8.731082, 30: 8.377328, 50: 8.118102}


def published(n):
    """The stores of the published study, from its own seeds."""
    mean = np.random.RandomState(33).uniform(2.5, 7.5, n).round(3)
    return mean, (mean * np.random.RandomState(92).uniform(0.25, 0.5, n)).round(3)


@pytest.mark.parametrize("n", PUBLISHED)
def test_published_values(n):
    bound = transshipment_bound(*published(n), 0.5, lead_time=4, warehouse_lead_time=3, penalty=9)
    assert bound == pytest.approx(PUBLISHED[n], abs=6e-7)


@pytest.mark.parametrize(("correlation", "bound"), [(0.5, 5.753735), (0.0, 5.151388)])
def test_published_values_for_three_stores(correlation, bound):
    got = transshipment_bound(*published(3), correlation, lead_time=2, warehouse_lead_time=3, penalty=4)
    assert got == pytest.approx(bound, abs=6e-7)


def test_one_store_is_a_newsvendor():
    bound = transshipment_bound([5.0], [1.6], 0.0, lead_time=2, warehouse_lead_time=3, penalty=9, holding=2)
    law = Normal(5.0, 1.6, clipped=False)
    assert bound == pytest.approx(backlogged_optimum(law, lead_time=5, penalty=9, holding=2).cost)


def test_variance_by_hand():
    assert costly_variance(np.array([1.0, 2.0]), np.array([[1.0, 0.5], [0.5, 4.0]]), 3, 2) == 4 * 9 + 2 * 6


def test_a_matrix_of_correlations():
    mean, sd = published(4)
    options = {"lead_time": 1, "warehouse_lead_time": 2, "penalty": 4}
    R = np.full((4, 4), 0.3) + 0.7 * np.eye(4)
    assert transshipment_bound(mean, sd, R, **options) == pytest.approx(
        transshipment_bound(mean, sd, 0.3, **options)
    )
    R[0, 1] = R[1, 0] = -0.2
    assert transshipment_bound(mean, sd, R, **options) < transshipment_bound(mean, sd, 0.3, **options)


def simulate(law, level, z, L, W, penalty, chains=1000, periods=150):
    """Order up to `level` in total; ship all, so that stores run short with equal probability if they can."""
    rng = np.random.default_rng(0)
    n = len(law.mean)
    stock = np.tile(law.mean * (L + 1), (chains, 1))
    way, supply = [np.zeros((chains, n))] * (L - 1), [np.full(chains, law.mean.sum())] * (W - 1)
    arrived = np.full(chains, law.mean.sum())
    costs = np.zeros(chains)
    for t in range(periods):
        position = stock + sum(way)
        order = level - position.sum(axis=1) - arrived - sum(supply)
        aim = law.mean * (L + 1) + z * law.sd * np.sqrt(L + 1)
        lack = aim - position
        share = law.sd / law.sd.sum()
        ship = (
            lack + (arrived - lack.sum(axis=1))[:, None] * share
        )  # may be negative: seldom, and allowed here
        stock = stock - law.sample(rng, (chains, n))
        if t >= 50:
            costs += (np.maximum(stock, 0) + penalty * np.maximum(-stock, 0)).mean(axis=1)
        way = [*way, ship]
        supply = [*supply, order]
        stock, way = stock + way[0], way[1:]
        arrived, supply = supply[0], supply[1:]
    costs /= periods - 50
    return costs.mean(), costs.std() / np.sqrt(chains)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_balancing_policies_come_close_from_above(correlation):
    law = MultivariateNormal([5.0, 4.0, 6.0], [1.5, 1.0, 2.0], correlation, clipped=False)
    L, W, penalty = 2, 3, 4.0
    bound = transshipment_bound(
        law.mean, law.sd, correlation, lead_time=L, warehouse_lead_time=W, penalty=penalty
    )
    z = 0.8416212335729143  # of the critical ratio 4/5
    spread = np.sqrt(costly_variance(law.sd, law.covariance, L, W))
    cost, error = simulate(law, law.mean.sum() * (L + W + 1) + z * spread, z, L, W, penalty)
    assert bound - 4 * error < cost < bound + 4 * error  # rebalancing for nothing attains the relaxation


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sd": [1.0, 0.0]}, r"sd\[1\] is 0"),
        ({"mean": [1.0, np.inf]}, r"mean\[1\] is inf"),
        ({"correlation": 2.0}, "correlation must be in"),
        ({"correlation": [[1.0, 0.2], [0.1, 1.0]]}, r"correlation\[0, 1\] is not symmetric"),
        ({"correlation": [[1.0, 0.2], [0.2, 0.9]]}, r"correlation\[1, 1\] must be 1"),
        ({"correlation": [[1.0, 3.0], [3.0, 1.0]]}, r"correlation\[0, 1\] is 3"),
        ({"lead_time": -1}, "lead_time must be at least 0"),
        ({"warehouse_lead_time": 0.5}, "warehouse_lead_time must be an integer"),
        ({"penalty": 0.0}, "penalty must be in"),
        ({"holding": 0.0}, "holding must be in"),
    ],
)
def test_bad_arguments_are_named(change, message):
    given = {"mean": [1.0, 2.0], "sd": [1.0, 1.0], "correlation": 0.0}
    given |= {"lead_time": 1, "warehouse_lead_time": 1, "penalty": 1.0} | change
    with pytest.raises(ValueError, match=message):
        transshipment_bound(given.pop("mean"), given.pop("sd"), given.pop("correlation"), **given)


def test_three_stores_cannot_all_be_opposed():
    R = np.where(np.eye(3), 1.0, -0.9)
    with pytest.raises(ValueError, match=r"correlation has the negative eigenvalue -0.8"):
        transshipment_bound([1.0] * 3, [1.0] * 3, R, lead_time=1, warehouse_lead_time=1, penalty=1.0)
