"""Networks behind gymnasium, and tables of what happened."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import eluder.envs
from eluder.envs.inventory import (
    InventoryEnv,
    Network,
    Trace,
    edge,
    inventory_env,
    order_up_to,
    period_table,
    setting,
    setting_names,
    simulate,
    step,
    store,
    supplier,
    warehouse,
)

SALES = np.random.default_rng(0).uniform(0, 9, (5, 40, 3))


def chain(**options):
    return Network.build(
        supplier("s"),
        warehouse("w", holding=[0.5, 0.25], initial=20),
        store("a", holding=1, penalty=9, initial=4),
        store("b", holding=2, penalty=5),
        edge("s", "w", lead_time=2, unit_cost=1),
        edge("w", "a", lead_time=1, fixed_cost=3),
        edge("w", "b", lead_time=[1, 3]),
        **options,
    )


@pytest.mark.parametrize("name", setting_names())
def test_the_checker_accepts_every_setting(name):
    options = {"sales": SALES, "periods": 20} if name == "favorita" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(inventory_env(name, **options), skip_render_check=True)


def test_made_by_gymnasium():
    assert eluder.envs
    env = gymnasium.make("eluder/InventoryNetwork-v0", problem="serial", locations=3, periods=7)
    assert isinstance(env.unwrapped, InventoryEnv)
    env.reset(seed=1)
    ends = [env.step(env.action_space.sample())[2:4] for _ in range(7)]
    assert ends == [(False, False)] * 6 + [(False, True)]
    default = gymnasium.make("eluder/InventoryNetwork-v0")
    assert default.action_space.shape == (11,)


def test_an_episode_is_the_simulation():
    network = chain(demand=Trace(np.random.default_rng(1).uniform(0, 9, (30, 2))), unmet="backlog")
    env = inventory_env(network, periods=30, render_mode="ansi")
    assert env.observation_space.low.reshape(3, 3)[:, 0].tolist() == [0, -np.inf, -np.inf]
    seen, total = set(), []
    for seed in range(6):
        observation, _ = env.reset(seed=seed)
        x = env._x
        sample = next(b for b in (0, 1) if network.take([b]).holding[0, 0] == env._net.holding[0, 0])
        np.testing.assert_array_equal(observation.reshape(3, 3), x[0])
        seen.add(sample)
        costs, rng = [], np.random.default_rng(seed)
        while True:
            q = rng.uniform(0, 9, 3).astype(np.float32)
            period = step(env._net, x, q[None].astype(float), env._demand[:, len(costs)])
            observation, reward, _, truncated, info = env.step(q)
            assert reward == -period.cost[0] == -info["cost"]
            np.testing.assert_allclose(observation.reshape(3, 3), period.inventory[0], rtol=1e-6)
            np.testing.assert_array_equal(info["shipped"], period.shipped[0])
            np.testing.assert_array_equal(info["short"], period.short[0])
            np.testing.assert_array_equal(info["location_cost"], period.location_cost[0])
            np.testing.assert_array_equal(info["edge_cost"], period.edge_cost[0])
            assert info["period"] == len(costs)
            x = period.inventory
            costs.append(reward)
            if truncated:
                break
        total.append(sum(costs))
        assert len(costs) == 30
        assert "last demand" in env.render()
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(q)
    assert seen == {0, 1}


def test_recorded_demand_starts_anywhere():
    env = inventory_env("favorita", sales=SALES, periods=39)
    seen = set()
    for seed in range(80):
        env.reset(seed=seed)
        d = env.step(np.zeros(3))[4]["demand"]
        seen |= {(b, t) for b in range(5) for t in (0, 1) if (d == SALES[b, t]).all()}
    assert seen == {(b, t) for b in range(5) for t in (0, 1)}


def test_same_seed_same_episode():
    def play(seed):
        env = inventory_env("one_warehouse", stores=3)
        observations = [env.reset(seed=seed)[0]]
        for _ in range(5):
            observations.append(env.step(np.full(4, 5.0))[0])
        return np.array(observations)

    np.testing.assert_array_equal(play(3), play(3))
    assert (play(3) != play(4)).any()


def test_the_largest_order_follows_demand():
    env = inventory_env("one_warehouse", stores=3)
    mean = env.setting.mean
    np.testing.assert_allclose(env.action_space.high, 4 * np.array([mean.sum(), *mean]), rtol=1e-6)
    assert inventory_env("lost_sales", largest=7).action_space.high == 7
    recorded = setting("favorita", sales=SALES)
    np.testing.assert_allclose(
        inventory_env(recorded, periods=20).action_space.high, 4 * SALES.mean((0, 1)), rtol=1e-6
    )
    assert inventory_env("lost_sales").render() is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: inventory_env(3), "problem must be a Network, a Setting or a name, got 3"),
        (lambda: inventory_env("lost"), "name must be one of"),
        (lambda: inventory_env(chain()), "problem must have a law of demand"),
        (lambda: inventory_env(setting("serial"), lead_time=3), r"options \['lead_time'\] are for the name"),
        (lambda: inventory_env("serial", periods=0), "periods must be at least 1"),
        (lambda: inventory_env("favorita", sales=SALES), r"periods must be in \[1, 40\], got 95"),
        (lambda: inventory_env("serial", largest=-1), "largest is -1"),
        (lambda: inventory_env("serial", render_mode="human"), "render_mode must be None or 'ansi'"),
        (lambda: started().step([1.0, 2.0]), r"action must have shape \(1,\), got \(2,\)"),
        (lambda: started().step([-1.0]), r"orders\[0, 0\] is -1"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def started():
    env = inventory_env("lost_sales")
    env.reset(seed=0)
    return env


def test_a_law_without_a_mean_needs_a_largest_order():
    class Law:
        def sample(self, rng, shape):
            return np.ones(shape)

    with pytest.raises(ValueError, match="largest must be given, the law of demand does not tell its mean"):
        inventory_env(chain(demand=Law()))
    assert inventory_env(chain(demand=Law()), largest=9).action_space.shape == (3,)


# --- tables ---


@pytest.mark.parametrize("unmet", ["lost", "backlog"])
def test_a_table_balances(unmet):
    network = chain(unmet=unmet)
    d = np.random.default_rng(2).uniform(0, 9, (2, 12, 2))
    result = simulate(network, order_up_to(network, [30, 15, 25]), demand=d, record=True)
    table = period_table(network, result, sample=1)
    assert list(table.columns[:2]) == ["period", "location"]
    assert table.shape == (36, 11)
    assert table["cost"].sum() / 12 == pytest.approx(result.cost[1])
    for name in network.locations:
        rows = table[table.location == name]
        arrived = (rows.on_hand.shift(-1) - rows.on_hand_after)[:-1]
        assert (arrived >= -1e-9).all()
        stock = rows.on_hand + rows.under_way
        change = rows.coming - rows.sent - rows.demand + (rows.short if unmet == "lost" else 0)
        np.testing.assert_allclose(stock.shift(-1)[:-1], (stock + change)[:-1], atol=1e-9)
    store_a = table[table.location == "a"]
    np.testing.assert_array_equal(store_a.demand, d[1, :, 0])
    np.testing.assert_allclose(store_a.short, np.maximum(-(store_a.on_hand - store_a.demand), 0))
    np.testing.assert_array_equal(table[table.location == "w"].ordered, result.trajectories.orders[1, :, 0])
    again = period_table(network, result.trajectories, sample=1)
    assert again.equals(table)


def test_a_table_of_orders_that_arrive_at_once():
    network = setting("dual_sourcing").network
    d = np.full((1, 3, 1), 2.0)
    result = simulate(network, order_up_to(network, 3), demand=d, record=True)
    table = period_table(network, result)
    np.testing.assert_array_equal(table.on_hand_after, [1, 1, 1])
    np.testing.assert_array_equal(table.on_hand, [0, 1, 1])


def test_bad_tables_are_named():
    network = chain(unmet="lost")
    d = np.ones((2, 3, 2))
    policy = order_up_to(network, 5)
    with pytest.raises(ValueError, match="result holds no trajectories: simulate with record=True"):
        period_table(network, simulate(network, policy, demand=d))
    kept = simulate(network, policy, demand=d, record=True)
    with pytest.raises(ValueError, match=r"sample must be in \[0, 1\]"):
        period_table(network, kept, sample=2)
    with pytest.raises(ValueError, match="result is of 3 locations and 3 edges, network has others"):
        period_table(setting("lost_sales").network, kept)
