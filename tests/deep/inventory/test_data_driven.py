"""Policies for recorded demand: what they see, order and earn against plain NumPy; the oracle above them."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from eluder.deep.common.networks import Parameters
from eluder.deep.common.random import seed_keys, uniform
from eluder.deep.common.training import Schedule
from eluder.deep.inventory import (
    DataConfig,
    DataDrivenPolicy,
    Problem,
    QuantileForecast,
    QuantilePolicy,
    Seen,
    calendar_features,
    fit_quantiles,
    hdpo_on_data,
    recorded_cost,
)
from eluder.deep.inventory import _data_driven as driven
from eluder.deep.inventory import _hdpo_on_data as data
from eluder.deep.inventory._hdpo import digest
from eluder.envs.inventory import (
    JustInTime,
    WeeklySales,
    read_favorita,
    setting,
    simulate,
    step,
    write_synthetic_favorita,
)

NONE = Schedule(evaluate_every=0, log_every=0, save_every=0)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sales")
    write_synthetic_favorita(folder, items=24, stores=5, weeks=171, rng=np.random.default_rng(0))
    return read_favorita(folder, end=None)


def short(record, weeks=(0, 30), history=8):
    """A split that plays few weeks."""
    return record.split(weeks, history=history)


def doubled(parameters, by=0.05):
    """In float64, moved from where they start."""
    wide = Parameters(parameters.shapes, parameters.N, dtype=torch.float64)
    wide.load({k: x.double() for k, x in parameters.state().items()})
    with torch.no_grad():
        noise = torch.randn(wide.flat.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        wide.flat += by * noise
    return wide


def logistic(x):
    return 1 / (1 + np.exp(-x))


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def test_the_calendar_is_that_of_the_record(record):
    features, wanted = calendar_features(record.week), record.calendar()
    np.testing.assert_allclose(features[:, 0] * 100, wanted["days_from_christmas"])
    day = (record.week - record.week.astype("datetime64[Y]")).astype(int)
    np.testing.assert_allclose(features[:, 1], np.sin(2 * np.pi * day / 365.25))
    np.testing.assert_allclose(features[:, 2], np.cos(2 * np.pi * day / 365.25))


@pytest.mark.parametrize("lanes", [np.zeros((0, 1)), [[2, 3, 4]], [[2, 3, 0], [0, 1, 5]]])
def test_traces_are_played_as_in_the_definition(record, lanes):
    """Two seeds with rows of their own: each with its prices and lead times, and what it could know."""
    W = len(lanes)
    if W:
        record = record.dense(stores=3, per_city=2)
    it = setting("favorita", sales=record.sales, lanes=lanes if W else None)
    policy = DataDrivenPolicy(5, (6,), "tanh")
    problem, split = Problem(it, dtype=torch.float64), short(record, (0, 20))
    parameters, traces = (
        doubled(policy.init(problem, seed_keys([1, 2])), 0.2),
        data.Traces(split, problem, "s"),
    )
    rows = torch.tensor([[3, 0, 5], [1, 4, 2]])
    demand, history = (x[:, rows].permute(1, 2, 0, 3) for x in (traces.demand, traces.history))
    costs = data.trace_costs(
        policy, parameters.tensors, data.taken(problem, rows), demand, history, traces.calendar, rounded=True
    )
    n, T = record.sales.shape[2], 12
    M, mean, behind = n + W, record.sales.mean(axis=(0, 1)), np.array(lanes) > 0
    share = behind / behind.sum(axis=0)
    into = np.append(np.ones(W), share[behind]) if W else np.ones(n)
    p = {k: x.detach().numpy() for k, x in parameters.tensors.items()}
    prices = it.network.penalty.mean()
    for s in range(2):
        for b in range(3):
            row = int(rows[s, b])
            network = it.network.take([row])
            x = np.zeros((1, M, network.longest))
            for t in range(T):
                past = record.sales[row, 8 + t - 5 : 8 + t]
                unit = np.maximum(past.mean(axis=0), 1e-3 * problem.scale)
                below = np.concatenate([behind @ unit * (share @ mean) / (behind @ mean), unit])
                inventory = (x[0] / below[:, None])[problem.slots.numpy()]
                see = [
                    inventory, (past / unit).ravel(), np.log(unit / problem.scale),
                    network.penalty.ravel() / prices, np.ravel(network.holding) / prices,
                    network.lead_time.ravel() / network.longest, calendar_features(split.week)[t],
                ]  # fmt: skip
                hidden = np.tanh(np.concatenate(see) @ p["w0"][s] + p["b0"][s, 0])
                out = hidden @ p["w1"][s] + p["b1"][s, 0]
                q = into * below[network.target] * np.maximum(1 + out, 0)
                outcome = step(network, x, q[None], record.sales[row, 8 + t][None])
                assert costs[s, t, b].item() == pytest.approx(outcome.cost[0] / n, rel=1e-9, abs=1e-9)
                x = outcome.inventory


def test_gradients_are_those_of_differences(record):
    it, policy = setting("favorita", sales=record.sales[:6]), DataDrivenPolicy(5, (4,), "tanh")
    problem, split = Problem(it, dtype=torch.float64), short(record, (0, 24))
    split = split._replace(demand=split.demand[:6], history=split.history[:6])
    parameters, traces = doubled(policy.init(problem, seed_keys([1]))), data.Traces(split, problem, "s")
    demand, history = (x.transpose(0, 1)[None] for x in (traces.demand, traces.history))

    def total():
        return data.trace_costs(policy, parameters.tensors, problem, demand, history, traces.calendar).sum()

    parameters.zero_grad()
    total().backward()
    direction, slopes = torch.as_tensor(np.random.default_rng(0).normal(size=len(parameters.flat))), []
    for sign in (1e-6, -1e-6):
        with torch.no_grad():
            parameters.flat += sign * direction
            slopes.append(total().item())
            parameters.flat -= sign * direction
    slope = (slopes[0] - slopes[1]) / 2e-6
    assert (parameters.grad @ direction).item() == pytest.approx(slope, rel=1e-4)


def test_units_do_not_matter(record):
    """Ten times the sales: ten times the orders, up to the logarithm of the unit, which is relative."""
    seen, orders = [], []
    for factor in (1.0, 10.0):
        it, policy = setting("favorita", sales=factor * record.sales), DataDrivenPolicy(5, (6,))
        problem = Problem(it, dtype=torch.float64)
        parameters = doubled(policy.init(problem, seed_keys([1])), 0.2)
        B, s = len(record.sales), problem.simulator
        x = torch.as_tensor(np.random.default_rng(0).uniform(0, 9, (1, B, s.M, s.L)))
        past = torch.as_tensor(record.sales[None, :, :5])
        seen = Seen(factor * x, factor * past, torch.zeros(3, dtype=torch.float64))
        orders.append(policy.orders(parameters.tensors, problem, seen))
    torch.testing.assert_close(10 * orders[0], orders[1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("fractile", ["shifted", "constant", "transformed"])
def test_quantile_orders_are_those_written_row_by_row(record, fractile):
    it = setting("favorita", sales=record.sales)
    problem = Problem(it, dtype=torch.float64)
    forecaster = fit_quantiles(it, short(record, (0, 60)), history=6, steps=3, batch_size=32, hidden=8)
    assert isinstance(forecaster, QuantileForecast)
    assert forecaster.periods == (5, 6, 7)
    policy = QuantilePolicy(forecaster, fractile, hidden=4)
    parameters = doubled(policy.init(problem, seed_keys([1, 2])), 0.3)
    B, s, rng = len(record.sales), problem.simulator, np.random.default_rng(3)
    x, past = rng.uniform(0, 9, (2, B, 1, s.L)), record.sales[None, :, :6].repeat(2, axis=0)
    week = calendar_features(record.week)[6]
    got = policy.orders(parameters.tensors, problem, Seen(*(torch.as_tensor(y) for y in (x, past, week))))
    f = {k: v.double().numpy()[0] for k, v in forecaster.parameters.items()}
    p = {k: v.detach().numpy() for k, v in parameters.tensors.items()}
    for n in range(2):
        for b in range(0, B, 7):
            d = past[n, b, :, 0]
            unit = max(d.mean(), 1e-3 * problem.scale)
            hidden = np.concatenate([d / unit, [np.log(unit / problem.scale)], week])
            hidden = elu(elu(hidden @ f["w0"] + f["b0"][0]) @ f["w1"] + f["b1"][0])
            out = (hidden @ f["w2"] + f["b2"][0]).reshape(3, 19)
            L = int(it.network.lead_time[b, 0])
            raw = np.concatenate([out[L - 4, :1] + 0.3, np.log1p(np.exp(out[L - 4, 1:] - 2.5))]).cumsum()
            Q = raw * unit * (L + 1)
            logit = np.log(it.network.penalty[b, 0] / 1.0)
            if fractile == "constant":
                logit = p["shift"][n, 0, 0]
            elif fractile == "shifted":
                logit += p["shift"][n, 0, 0]
            else:
                h = elu(elu(logit * p["w0"][n, 0] + p["b0"][n, 0]) @ p["w1"][n] + p["b1"][n, 0])
                logit += (h @ p["w2"][n] + p["b2"][n, 0])[0]
            tau = logistic(logit)
            k = min(max(int(np.floor(20 * tau - 1)), 0), 17)
            level = max(Q[k] + (20 * tau - 1 - k) * (Q[k + 1] - Q[k]), 0.0)
            assert got[n, b, 0].item() == pytest.approx(max(level - x[n, b].sum(), 0.0), rel=1e-5, abs=1e-5)


def test_forecasts_are_calibrated():
    """Poisson demand: a part tau of the sums is below the quantile tau."""
    rng = np.random.default_rng(1)
    sales = rng.poisson(rng.uniform(5, 40, (60, 1, 1)), (60, 120, 1)).astype(float)
    week = np.datetime64("2013-01-01") + 7 * np.arange(120)
    record = WeeklySales(sales, np.arange(60), np.zeros((60, 1), int), week, {0: "Quito"})
    it = setting("favorita", sales=sales)
    forecaster = fit_quantiles(it, record.split((0, 80)), steps=300)
    past = torch.as_tensor(np.stack([sales[:, t : t + 16, 0] for t in range(80, 97)], 1), dtype=torch.float32)
    calendar = torch.as_tensor(calendar_features(week)[96:113], dtype=torch.float32).expand(60, -1, -1)
    Q = forecaster.quantiles(past, calendar, past.mean(-1), Problem(it).scale)
    assert (Q.diff(dim=-1) > 0).all()
    for k, count in enumerate(forecaster.periods):
        total = np.stack([sales[:, t + 16 : t + 16 + count, 0].sum(1) for t in range(80, 97)], 1)
        below = (torch.as_tensor(total)[..., None] <= Q[:, :, k]).float().mean(dim=(0, 1))
        np.testing.assert_allclose(below, driven.TAUS, atol=0.12)


def test_hand_values():
    Q = torch.arange(1.0, 20.0)
    tau = torch.tensor([0.05, 0.5, 0.525, 0.95, 0.99, 0.01])
    got = driven.at_fractile(Q.expand(6, 19), tau)
    np.testing.assert_allclose(got, [1.0, 10.0, 10.5, 19.0, 19.8, 0.2], atol=1e-5)
    loss = driven.pinball(torch.full((19,), 3.0), torch.tensor(5.0))
    assert loss.item() == pytest.approx(2 * sum(driven.TAUS))
    assert driven.pinball(torch.full((19,), 5.0), torch.tensor(3.0)).item() == pytest.approx(2 * 9.5)


def test_training_earns_more_and_less_than_the_oracle(record):
    it = setting("favorita", sales=record.sales)
    train, dev, test = (record.split(name) for name in ("train", "dev", "test"))
    best = -simulate(it.network, JustInTime(), demand=test.demand, warm_up=16).mean_per_store
    forecaster = fit_quantiles(it, train, steps=150, batch_size=256)
    schedule = Schedule(evaluate_every=10, log_every=0, save_every=0)
    for policy, steps in ((DataDrivenPolicy(hidden=(32,)), 40), (QuantilePolicy(forecaster), 10)):
        start = policy.init(Problem(it), seed_keys([0])).tensors
        before = -recorded_cost(policy, start, it, dev)[0].cost
        config = DataConfig(batch_size=32, lr=0.02, average=0.1)
        result = hdpo_on_data(it, train, dev, steps, policy=policy, config=config, schedule=schedule)
        kept = {k.removeprefix("policy/"): torch.as_tensor(x) for k, x in result.parameters.items()}
        assert -recorded_cost(policy, kept, it, dev)[0].cost == pytest.approx(result.returns.max(), rel=1e-6)
        assert result.returns.max() > before
        assert 0.8 * best < -recorded_cost(policy, kept, it, test)[0].cost < best


def test_learns_behind_several_warehouses(record):
    """A store's two ways share what it wants; a chain that may order from either earns more with training."""
    few = record.dense(stores=4, per_city=2)
    it = setting("favorita", sales=few.sales, lanes=[[1, 2, 0, 3], [4, 0, 1, 1]])
    train, dev = few.split((0, 70)), few.split((60, 110))
    policy, schedule = DataDrivenPolicy(8, (16,)), Schedule(evaluate_every=10, log_every=0, save_every=0)
    problem = Problem(it)
    start = policy.init(problem, seed_keys([0])).tensors
    past = torch.as_tensor(train.history, dtype=torch.float32)[None]
    seen = Seen(torch.zeros(1, *past.shape[1:2], 6, 4), past, torch.zeros(3))
    q, unit = policy.orders(start, problem, seen)[0], past[0, :, -8:].mean(dim=1)
    into = [q[:, it.network.target == j].sum(dim=1) for j in range(6)]  # at first, the recent mean
    torch.testing.assert_close(torch.stack(into[2:], dim=1), unit)
    torch.testing.assert_close(into[0] + into[1], unit.sum(dim=1), rtol=0.2, atol=0.0)
    config = DataConfig(batch_size=16, lr=0.02)
    result = hdpo_on_data(it, train, dev, 30, policy=policy, config=config, schedule=schedule)
    before = -recorded_cost(policy, start, it, dev)[0].cost
    assert result.returns.max() > 1.02 * before > 0
    again = hdpo_on_data(it, train, dev, 30, policy=policy, config=config, schedule=schedule, seeds=(3, 0))
    np.testing.assert_allclose(again.returns[:, 1], result.returns[:, 0], rtol=1e-3)


def test_costs_are_those_of_simulate(record):
    """The policy as a callable of the simulator of networks."""
    it = setting("favorita", sales=record.sales)
    policy, split = DataDrivenPolicy(8, (4,)), short(record)
    problem = Problem(it)
    parameters = policy.init(problem, seed_keys([3])).tensors
    features = calendar_features(split.week)

    def order(state):
        x, past = (
            torch.as_tensor(y, dtype=torch.float32)[None] for y in (state.inventory, state.past[:, -8:])
        )
        with torch.no_grad():
            seen = Seen(x, past, torch.as_tensor(features[state.period], dtype=torch.float32))
            return policy.orders(parameters, problem, seen)[0].numpy()

    wanted = simulate(it.network, order, demand=split.demand, history=split.history, warm_up=10)
    got = recorded_cost(policy, parameters, it, split, warm_up=10)[0]
    assert got.cost == pytest.approx(wanted.mean_per_store, rel=1e-5)
    assert got.error == pytest.approx(wanted.standard_error_per_store, rel=1e-4)


def test_an_update_plays_its_rows_with_their_prices_and_lead_times(record):
    it, policy, keys = setting("favorita", sales=record.sales), DataDrivenPolicy(8, (4,)), seed_keys([3, 5])
    problem, config = Problem(it), DataConfig(batch_size=3)
    parameters, traces = policy.init(problem, keys), data.Traces(short(record), problem, "s")
    with torch.no_grad():
        demand, history = (x.transpose(0, 1).expand(2, -1, -1, -1) for x in (traces.demand, traces.history))
        costs = data.trace_costs(policy, parameters.tensors, problem, demand, history, traces.calendar)
    update, _ = data.make_update(config, policy, problem, parameters, 10, keys)
    loss = update(traces, 4)["loss"]
    rows = uniform(keys, 4, data.ROWS, (len(record.sales),)).argsort(dim=1)[:, :3]
    assert rows[0].tolist() != rows[1].tolist()
    for n in range(2):
        assert loss[n].item() == pytest.approx(costs[n][:, rows[n]].mean().item(), rel=1e-5)


def test_seeds_side_by_side_are_those_alone(record):
    it, split = setting("favorita", sales=record.sales), short(record)
    options = {"policy": DataDrivenPolicy(8, (4,)), "config": DataConfig(batch_size=7), "schedule": NONE}
    both = hdpo_on_data(it, split, split, 4, seeds=(3, 5), **options)
    alone = hdpo_on_data(it, split, split, 4, seeds=(5,), **options)
    for k, x in alone.parameters.items():
        np.testing.assert_allclose(both.parameters[k][1:], x, atol=1e-5)
    orders = both.policy(
        np.zeros((2, len(record.sales), 1, 6)), np.ones((2, len(record.sales), 8, 1)), np.zeros(3)
    )
    assert orders.shape == (2, len(record.sales), 1)


def test_a_run_that_is_cut_goes_on_to_the_same_numbers(record, tmp_path):
    it, split = setting("favorita", sales=record.sales), short(record)
    schedule = Schedule(evaluate_every=2, log_every=0, save_every=3)
    options = {"policy": DataDrivenPolicy(8, (4,)), "config": DataConfig(batch_size=7), "schedule": schedule}
    whole = hdpo_on_data(it, split, split, 6, out=tmp_path, **options)
    shutil.rmtree(sorted((tmp_path / "checkpoints").iterdir())[-1])
    again = hdpo_on_data(it, split, split, 6, out=tmp_path, resume=True, **options)
    for k, x in whole.parameters.items():
        np.testing.assert_array_equal(again.parameters[k], x)
    np.testing.assert_array_equal(again.returns, whole.returns)


def test_what_is_asked_for_less_or_as_much_ends_where_it_is(record, tmp_path):
    """No evaluation is due where the checkpoint is: there is one all the same, and the average is kept."""
    it, split = setting("favorita", sales=record.sales), short(record)
    options = {"policy": DataDrivenPolicy(8, (4,)), "config": DataConfig(batch_size=7), "out": tmp_path}
    for every in (0, 2):
        folder = tmp_path / f"{every}"
        options |= {"schedule": Schedule(evaluate_every=every, log_every=0, save_every=3), "out": folder}
        hdpo_on_data(it, split, split, 6, **options)
        shutil.rmtree(sorted((folder / "checkpoints").iterdir())[-1])
        several = [hdpo_on_data(it, split, split, steps, resume=True, **options) for steps in (1, 3, 2)]
        for again in several:
            assert again.steps.tolist() == ([3] if every == 0 else [2, 3])
            kept = {k.removeprefix("policy/"): torch.as_tensor(x) for k, x in again.parameters.items()}
            cost = recorded_cost(options["policy"], kept, it, split, warm_up=16)[0].cost
            assert -cost == pytest.approx(again.returns.max(), rel=1e-6)
            np.testing.assert_array_equal(again.returns, several[0].returns)


def test_a_run_that_is_made_longer_is_the_longer_run(record, tmp_path, monkeypatch):
    """What the shorter one kept at its end, where no evaluation was due, does not count."""
    monkeypatch.setattr(data, "step_size", lambda *arguments: 0.5)  # so that the end is seldom the best
    it, split = setting("favorita", sales=record.sales), short(record)
    schedule = Schedule(evaluate_every=4, log_every=0, save_every=0)
    options = {"policy": DataDrivenPolicy(8, (4,)), "config": DataConfig(batch_size=7), "schedule": schedule}
    whole = hdpo_on_data(it, split, split, 8, **options, seeds=(0, 1, 2))
    cut = hdpo_on_data(it, split, split, 1, **options, seeds=(0, 1, 2), out=tmp_path)
    again = hdpo_on_data(it, split, split, 8, **options, seeds=(0, 1, 2), out=tmp_path, resume=True)
    assert (cut.returns[-1] > whole.returns.max(axis=0)).any()
    assert again.steps.tolist() == whole.steps.tolist() == [4, 8]
    for k, x in whole.parameters.items():
        np.testing.assert_array_equal(again.parameters[k], x)


def test_a_folder_goes_on_with_no_other_record_or_policy(record, tmp_path):
    it, split, other = setting("favorita", sales=record.sales), short(record), short(record, (1, 31))
    forecasters = [fit_quantiles(it, split, history=6, steps=1, seed=seed) for seed in (0, 1)]
    policy = QuantilePolicy(forecasters[0], "transformed", 4)
    hdpo_on_data(it, split, split, 1, policy=policy, schedule=NONE, out=tmp_path)
    changed = split.demand.copy()
    changed[3, 5, 0] += 1.0
    later = split._replace(week=split.week + 1)
    for train, dev, name in [
        (other, split, "env"), (split, other, "env"), (later, split, "env"), (split, later, "env"),
        (split._replace(demand=changed), split, "env"), (split, split._replace(demand=changed), "env"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=f"holds another run: {name} is"):
            hdpo_on_data(it, train, dev, 1, policy=policy, schedule=NONE, out=tmp_path, resume=True)
    far = replace(it, dev=it.dev._replace(warm_up=3))
    with pytest.raises(ValueError, match="holds another run: env is"):
        hdpo_on_data(far, split, split, 1, policy=policy, schedule=NONE, out=tmp_path, resume=True)
    often = replace(NONE, evaluate_every=1)
    for other_policy, schedule in [
        (QuantilePolicy(forecasters[1], "transformed", 4), NONE),
        (QuantilePolicy(forecasters[0], "transformed", 5), NONE),
        (policy, often),
    ]:
        with pytest.raises(ValueError, match="holds another run: config is"):
            hdpo_on_data(
                it, split, split, 1, policy=other_policy, schedule=schedule, out=tmp_path, resume=True
            )
    same = QuantilePolicy(fit_quantiles(it, short(record), history=6, steps=1, seed=0), "transformed", 4)
    hdpo_on_data(it, short(record), short(record), 2, policy=same, schedule=NONE, out=tmp_path, resume=True)


def test_digests_differ_where_anything_does():
    x = np.arange(6.0)
    things = [
        (), (1,), (1.0,), (True,), ("1",), (None,), (1, 2), ((1, 2),), ([1, 2],),
        ({"a": 1},), ({"a": 2},), ({"b": 1},), (DataDrivenPolicy(),), (DataDrivenPolicy(8),),
        (x,), (x.reshape(2, 3),), (x.astype(np.float32),), (x[::-1],),
        (torch.arange(3),), (Other(1),), (Other(2),),
    ]  # fmt: skip
    assert len({digest(*thing) for thing in things}) == len(things)
    assert digest({"a": 1, "b": 2}, x[::2]) == digest({"b": 2, "a": 1}, x[::2].copy())


class Other:
    """Something that is no dataclass."""

    def __init__(self, x):
        self.x = x


def test_the_best_of_each_seed_is_kept():
    parameters = Parameters({"x": (1,)}, 2)
    best = data.Best(parameters)
    for value, earned in ((0.5, [np.nan, np.nan]), (1.0, [-5.0, -3.0]), (2.0, [-4.0, np.nan])):
        with torch.no_grad():
            parameters["x"].fill_(value)
        best.offer(parameters, np.array(earned)[:, None])
        if value == 0.5:
            assert best.parameters["x"].flatten().tolist() == [0.5, 0.5]
    assert best.parameters["x"].flatten().tolist() == [2.0, 1.0]
    assert best.cost.tolist() == [4.0, 3.0]


def test_seeds_that_diverge_are_named(record):
    it, split = setting("favorita", sales=record.sales), short(record)
    with pytest.warns(RuntimeWarning, match=r"training of seeds \[0, 1\] diverged"):
        hdpo_on_data(
            it, split, split, 3, policy=DataDrivenPolicy(8, (4,)), config=DataConfig(lr=1e38), seeds=(0, 1),
            schedule=NONE,
        )  # fmt: skip


class Wrong:
    """A policy whose orders are changed."""

    def __init__(self, policy, change):
        self.policy, self.change = policy, change

    def init(self, problem, keys):
        return self.policy.init(problem, keys)

    def orders(self, parameters, problem, seen):
        return self.change(self.policy.orders(parameters, problem, seen))


def test_bad_input(record):
    it, split = setting("favorita", sales=record.sales), short(record)
    with pytest.raises(ValueError, match="setting lost_sales has no recorded demand: train it by hdpo"):
        hdpo_on_data(setting("lost_sales"), split, split, 2)
    with pytest.raises(ValueError, match=r"train.week has 3 entries for 22 weeks"):
        hdpo_on_data(it, split._replace(week=split.week[:3]), split, 2)
    with pytest.raises(ValueError, match=r"dev.history must have shape"):
        hdpo_on_data(it, split, split._replace(history=split.history[:, :0]), 2)
    with pytest.raises(ValueError, match=r"dev.demand"):
        hdpo_on_data(it, split, split._replace(demand=split.demand[:2]), 2)
    for name, splits in (
        ("train", (few := split._replace(history=split.history[:, 1:]), split)),
        ("dev", (split, few)),
    ):
        with pytest.raises(
            ValueError, match=f"policy cannot order in {name}: history is 7 periods, the policy sees 8"
        ):
            hdpo_on_data(it, *splits, 2, policy=DataDrivenPolicy(8, (4,)))
    policy = DataDrivenPolicy(8, (4,))
    parameters = policy.init(Problem(it), seed_keys([0])).tensors
    for wrong, message in [
        (lambda q: q[..., :0], r"policy must give train orders \(1, \d+, 1\), got \(1, \d+, 0\)"),
        (lambda q: q @ torch.zeros(3, 1), "policy cannot order in train: "),
    ]:
        with pytest.raises(ValueError, match=message):
            hdpo_on_data(it, split, split, 2, policy=Wrong(policy, wrong))
    with pytest.raises(ValueError, match="warm_up"):
        recorded_cost(policy, parameters, it, split, warm_up=22)
    with pytest.raises(ValueError, match="seen has no past or calendar"):
        DataDrivenPolicy().orders({}, Problem(it), Seen(torch.zeros(1, 1, 1, 6)))
    with pytest.raises(ValueError, match="train has 30 weeks, windows need 32"):
        fit_quantiles(it, split, history=24)
    with pytest.raises(ValueError, match="no warehouse and no second way"):
        fit_quantiles(setting("favorita", sales=record.sales, warehouses=1), split)
    forecaster = fit_quantiles(it, split, history=6, steps=1)
    with pytest.raises(ValueError, match="fractile must be shifted, constant or transformed, got 'best'"):
        QuantilePolicy(forecaster, "best")
    one = setting("favorita", sales=record.sales[:1])
    with pytest.raises(ValueError, match=r"forecaster tells \(5, 6, 7\) periods"):
        QuantilePolicy(forecaster).init(Problem(one), seed_keys([0]))
    with pytest.raises(ValueError, match="history"):
        DataDrivenPolicy(history=0)
    with pytest.raises(ValueError, match="batch_size"):
        DataConfig(batch_size=0)
