"""Weekly sales from files of the competition's form, against plain Python; bad files by line."""

import csv
from datetime import date, timedelta

import numpy as np
import pytest

from eluder.envs.inventory import (
    JustInTime,
    SalesSplit,
    WeeklySales,
    inventory_env,
    order_up_to,
    read_favorita,
    setting,
    simulate,
    write_synthetic_favorita,
)

ALL = {"end": None, "perishable": None, "most_zero": 1.0, "first_sale": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("favorita")
    write_synthetic_favorita(path, items=15, stores=7, weeks=30, rng=np.random.default_rng(0))
    return path


def naive(
    folder, *, weeks, start=date(2013, 1, 1), perishable=False, most_zero=0.1, first_sale=16, clip=True
):
    """Return sales by (item, store), line by line."""
    with (folder / "items.csv").open() as file:
        perishes = {row["item_nbr"]: row["perishable"] == "1" for row in csv.DictReader(file)}
    total = {}
    with (folder / "train.csv").open() as file:
        for row in csv.DictReader(file):
            week = (date.fromisoformat(row["date"]) - start).days // 7
            if 0 <= week < weeks and (perishable is None or perishes[row["item_nbr"]] == perishable):
                series = total.setdefault((int(row["item_nbr"]), int(row["store_nbr"])), [0.0] * weeks)
                series[week] += float(row["unit_sales"])
    return {
        pair: [max(u, 0.0) if clip else u for u in series]
        for pair, series in sorted(total.items())
        if sum(u == 0 for u in series) <= most_zero * weeks
        and (first_sale is None or any(u > 0 for u in series[:first_sale]))
    }


@pytest.mark.parametrize(
    ("options", "plain"),
    [
        ({"end": None}, {"weeks": 30}),
        ({"end": None, "rows": 97}, {"weeks": 30}),
        ({"end": "2013-06-20"}, {"weeks": 24}),
        ({"end": "2013-06-18"}, {"weeks": 24}),
        ({"end": "2013-06-17"}, {"weeks": 23}),
        ({"end": None, "perishable": True}, {"weeks": 30, "perishable": True}),
        (
            {"end": None, "start": "2013-01-10", "clip": False},
            {"weeks": 28, "start": date(2013, 1, 10), "clip": False},
        ),
        (
            {"end": None, "perishable": None, "most_zero": 0.5, "first_sale": 1},
            {"weeks": 30, "perishable": None, "most_zero": 0.5, "first_sale": 1},
        ),
        (
            ALL | {"clip": False},
            {"weeks": 30, "perishable": None, "most_zero": 1.0, "first_sale": None, "clip": False},
        ),
    ],
)
def test_sales_are_those_of_plain_python(folder, options, plain):
    record = read_favorita(folder, **options)
    truth = naive(folder, **plain)
    assert isinstance(record, WeeklySales)
    assert list(zip(record.item.tolist(), record.store[:, 0].tolist(), strict=True)) == list(truth)
    np.testing.assert_allclose(record.sales[:, :, 0], list(truth.values()))
    assert record.week[0] == np.datetime64(options.get("start", "2013-01-01"))
    assert (np.diff(record.week).astype(int) == 7).all()
    assert len(record.week) == record.sales.shape[1] == plain["weeks"]


def test_the_filters_leave_something_out(folder):
    everything = read_favorita(folder, **ALL)
    assert len(everything.item) > len(read_favorita(folder, end=None).item) > 0
    assert read_favorita(folder, **(ALL | {"clip": False})).sales.min() < 0
    assert everything.sales.min() == 0


def test_dense_puts_stores_side_by_side(folder):
    pairs = read_favorita(folder, end=None)
    dense = pairs.dense(stores=4, per_city=2)
    assert dense.sales.shape[1:] == (30, 4)
    by_pair = {(i, s): x for i, s, x in zip(pairs.item, pairs.store[:, 0], pairs.sales[:, :, 0], strict=True)}
    for b, i in enumerate(dense.item):
        for k, s in enumerate(dense.store[b]):
            np.testing.assert_array_equal(dense.sales[b, :, k], by_pair[i, s])
    chosen = dense.store[0].tolist()
    cities = [dense.city[s] for s in chosen]
    assert max(map(cities.count, cities)) <= 2
    counts = {s: int((pairs.store == s).sum()) for s in pairs.city}
    # greedy: no store left out, of a city that is not full, has more items than one that was taken
    for s in set(counts) - set(chosen):
        if cities.count(pairs.city[s]) < 2:
            assert counts[s] <= min(counts[c] for c in chosen)
    by_number = pairs.dense(stores=(5, 1))
    assert by_number.store[0].tolist() == [5, 1]
    keep = set.intersection(*({i for i, t in by_pair if t == s} for s in (5, 1)))
    assert set(by_number.item.tolist()) == keep


def test_a_return_is_no_first_sale(tmp_path):
    (tmp_path / "items.csv").write_text("item_nbr,perishable\n1,0\n2,0\n")
    (tmp_path / "stores.csv").write_text("store_nbr,city\n5,Quito\n")
    lines = [
        f"{t},2013-01-{1 + 7 * t:02d},5,{i},{-3 if (i, t) == (1, 0) else 2}" for i in (1, 2) for t in range(4)
    ]
    (tmp_path / "train.csv").write_text("id,date,store_nbr,item_nbr,unit_sales\n" + "\n".join(lines) + "\n")
    options = {"end": "2013-01-29", "clip": False}
    np.testing.assert_array_equal(read_favorita(tmp_path, first_sale=1, **options).item, [2])
    both = read_favorita(tmp_path, first_sale=2, **options)
    np.testing.assert_array_equal(both.sales[:, :, 0], [[-3, 2, 2, 2], [2, 2, 2, 2]])


def record_of(weeks, first="2013-01-01"):
    first = np.datetime64(first)
    return WeeklySales(
        np.arange(float(weeks)).reshape(1, weeks, 1),
        np.array([1]),
        np.array([[1]]),
        first + 7 * np.arange(weeks),
        {1: "Quito"},
    )


def test_splits_of_the_study():
    record = record_of(171)
    sizes = {}
    for name in ("train", "dev", "test"):
        part = record.split(name)
        assert isinstance(part, SalesSplit)
        assert part.history.shape == (1, 16, 1)
        assert part.demand[0, 0, 0] == part.history[0, -1, 0] + 1
        assert part.week[0] == record.week[int(part.demand[0, 0, 0])]
        sizes[name] = (part.history[0, 0, 0], part.demand.shape[1])
    assert sizes == {"train": (0, 95), "dev": (88, 37), "test": (118, 37)}
    own = record.split((3, 10), history=2)
    np.testing.assert_array_equal(own.demand[0, :, 0], np.arange(5, 10))
    np.testing.assert_array_equal(own.history[0, :, 0], [3, 4])
    assert record.split((3, 10), history=0).history.shape == (1, 0, 1)


def test_171_weeks_before_the_earthquake():
    assert (date(2016, 4, 16) - date(2013, 1, 1)).days // 7 == 171


def test_calendar():
    record = record_of(171)
    features = record.calendar()
    for t in range(171):
        day = date(2013, 1, 1) + timedelta(7 * t)
        near = min(((day - date(y, 12, 25)).days for y in range(2012, 2018)), key=abs)
        assert features["days_from_christmas"][t] == near
        week = [day + timedelta(k) for k in range(7)]
        assert features["christmas"][t] == any((d.month, d.day) == (12, 25) for d in week)
        assert (features["year"][t], features["month"][t], features["day_of_month"][t]) == (
            day.year,
            day.month,
            day.day,
        )
    assert features["christmas"].sum() == 3
    tuesdays = record_of(5, "2012-12-04").calendar()["christmas"]
    np.testing.assert_array_equal(tuesdays, [0, 0, 0, 1, 0])
    mondays = record_of(4, "2012-12-12").calendar()["christmas"]
    np.testing.assert_array_equal(mondays, [0, 1, 0, 0])


@pytest.mark.parametrize("lanes", [None, [[1, 2, 0], [3, 0, 1]]])
def test_sales_are_simulated(folder, lanes):
    record = read_favorita(folder, end=None).dense(stores=3)
    it = setting("favorita", sales=record.sales, warehouses=0 if lanes else 1, lanes=lanes)
    part = record.split((0, 30), history=8)
    result = simulate(
        it.network,
        order_up_to(it.network, 4 * it.mean.sum(), echelon=True),
        demand=part.demand,
        history=part.history,
        warm_up=4,
    )
    assert result.cost.shape == (len(record.item),)
    assert simulate(it.network, JustInTime(), demand=part.demand, warm_up=4).mean < result.mean < 0
    env = inventory_env(it, periods=10)
    assert env.reset(seed=0)[0].shape == env.observation_space.shape


# --- bad files ---


@pytest.fixture
def broken(folder, tmp_path):
    """Copy the files, with a line replaced."""

    def make(name=None, number=1, text=""):
        for file in folder.iterdir():
            lines = file.read_text().splitlines()
            if file.name == name:
                lines[number - 1 : number] = [] if text is None else [text]
            (tmp_path / file.name).write_text("\n".join(lines) + "\n")
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("name", "number", "text", "message"),
    [
        (
            "train.csv",
            1,
            "id,date,store_nbr,item_nbr,sales,onpromotion",
            "train.csv lacks the column 'unit_sales'",
        ),
        ("items.csv", 1, "item_nbr,family,class", "items.csv lacks the column 'perishable', it has"),
        (
            "train.csv",
            300,
            "1,2013-01-02,1,1000,many,",
            "train.csv line 300: unit_sales is 'many', not a number",
        ),
        ("train.csv", 300, "1,2013-01-02,1,1000,,", "train.csv line 300: unit_sales is '', not a number"),
        (
            "train.csv",
            300,
            "1,2013-01-02,1,1000,inf,",
            "train.csv line 300: unit_sales is 'inf', not a number",
        ),
        ("train.csv", 41, "1,2013-13-02,1,1000,2,", "train.csv line 41: date is '2013-13-02', not a day"),
        ("train.csv", 41, "1,2013-12,1,1000,2,", "train.csv line 41: date is '2013-12', not a day"),
        ("train.csv", 41, "1,,1,1000,2,", "train.csv line 41: date is '', not a day"),
        ("train.csv", 5, "1,2013-01-02,x,1000,2,", "train.csv line 5: store_nbr is 'x', not an integer"),
        ("train.csv", 5, "1,2013-01-02,1,1.5,2,", "train.csv line 5: item_nbr is '1.5', not an integer"),
        ("train.csv", 5, "1,2013-01-02,1,77,2,", "train.csv line 5: item_nbr 77 is not in items.csv"),
        ("train.csv", 5, "1,2013-01-02,99,1000,2,", "train.csv line 5: store_nbr 99 is not in stores.csv"),
        ("train.csv", 5, "1,2013-01-02,1", "train.csv line 5 has 3 fields, not 6"),
        ("train.csv", 5, "1,2013-01-02,1,1000,2,,,9", "train.csv line 5 has 8 fields, not 6"),
        ("items.csv", 3, "1007,GROCERY I,1000,yes", "items.csv line 3: perishable is 'yes', not 0 or 1"),
        ("items.csv", 3, "1000,GROCERY I,1000,1", "items.csv line 3: item_nbr 1000 is there twice"),
        ("items.csv", 3, "1000,GROCERY", "items.csv line 3 has 2 fields, not 4"),
        ("stores.csv", 2, "one,Quito,State,A,1", "stores.csv line 2: store_nbr is 'one', not an integer"),
    ],
)
def test_bad_lines_are_named(broken, name, number, text, message):
    with pytest.raises(ValueError, match=message):
        read_favorita(broken(name, number, text), end=None)


def test_missing_and_empty_files(broken, tmp_path):
    broken()
    (tmp_path / "stores.csv").write_text("store_nbr,city\n")
    with pytest.raises(ValueError, match=r"stores.csv has no rows"):
        read_favorita(tmp_path)
    (tmp_path / "stores.csv").unlink()
    with pytest.raises(ValueError, match=r"folder has no stores.csv"):
        read_favorita(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "soon"}, "start must be a day such as 2013-01-01, got 'soon'"),
        ({"end": "2013-01-05"}, "end must be at least a week after start"),
        ({"start": "2014-01-01", "end": None}, "train.csv has no complete week from 2014-01-01 on"),
        ({"start": "2014-01-01"}, "no sales are left"),
        ({"most_zero": 2}, "most_zero must be in"),
        ({"end": None, "first_sale": 31}, r"first_sale must be in \[1, 30\]"),
        ({"rows": 0}, "rows must be at least 1"),
        ({}, "none of .* pairs of item and store passes most_zero and first_sale"),
    ],
)
def test_bad_options_are_named(folder, options, message):
    with pytest.raises(ValueError, match=message):
        read_favorita(folder, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.split("tset"), "weeks must be a pair or one of"),
        (lambda r: r.split((0, 31)), r"the end of weeks must be in \[1, 30\]"),
        (lambda r: r.split((9, 9)), r"the start of weeks must be in \[0, 8\]"),
        (lambda r: r.split((0, 9), history=9), r"history must be in \[0, 8\]"),
        (lambda r: r.dense(stores=8), "stores is 8, there are 7 with at most 7 of a city"),
        (lambda r: r.dense(stores=(1, 99)), r"no item is sold at all of the stores \[1, 99\]"),
        (lambda r: r.dense(stores=2).dense(), "sales are dense already"),
    ],
)
def test_bad_uses_are_named(folder, call, message):
    with pytest.raises(ValueError, match=message):
        call(read_favorita(folder, end=None))


def test_bad_sizes_are_named(tmp_path):
    with pytest.raises(ValueError, match="weeks must be at least 1"):
        write_synthetic_favorita(tmp_path, weeks=0, rng=np.random.default_rng(0))
