"""Weekly sales from the files of the Favorita competition: read in pieces, filtered, as an array.

The competition "Corporacion Favorita Grocery Sales Forecasting" has `train.csv` (id, date, store_nbr,
item_nbr, unit_sales, onpromotion; 125 million rows), `items.csv` (item_nbr, family, class, perishable) and
`stores.csv` (store_nbr, city, state, type, cluster). They are not part of the library and are not downloaded.

As the study of Alvo, Russo, Kanoria and Lee (arXiv:2306.11246) prepared them, judging by its code::

    keep items that do not perish; drop everything from the week of the earthquake of 2016-04-16 on
    weeks of seven days from 2013-01-01 on; sales[item, store, week] <- sum of unit_sales, 0 if there is none
    keep pairs (item, store) with at most 10 % weeks without sales, and a sale in the first 16 weeks
    dense: the 21 stores with most such items, at most 7 of one city; the items that all of them keep

Deviations from the study: negative sales, which are returns, are set to zero unless `clip` is false (there
they add stock); its limit of 7 was for Quito only. Days from Christmas are those from the nearest one,
negative before it; this is not confirmed to be the study's count.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eluder.core import checks
from eluder.core.types import Array, BoolArray, IntArray

__all__ = ["SalesSplit", "WeeklySales", "read_favorita", "write_synthetic_favorita"]

TRAIN = ("date", "store_nbr", "item_nbr", "unit_sales")
ITEMS, STORES = ("item_nbr", "perishable"), ("store_nbr", "city")
SPLITS = {"train": (0, 111), "dev": (88, 141), "test": (118, 171)}  # weeks
HISTORY = 16  # weeks of each split that are seen but not played


class SalesSplit(NamedTuple):
    """Weeks to simulate.

    Attributes
    ----------
    demand : ndarray, shape (B, T, n)
        Sales of the weeks that are played.
    history : ndarray, shape (B, t, n)
        Sales of the weeks before.
    week : ndarray of datetime64[D], shape (T,)
        First days of the weeks that are played.
    """

    demand: Array
    history: Array
    week: Any


@dataclass(frozen=True, slots=True, eq=False)
class WeeklySales:
    """Weekly sales of items at stores.

    Attributes
    ----------
    sales : ndarray, shape (B, T, n)
        Units sold of each of B samples in each of T weeks at each of n stores.
    item : ndarray of int, shape (B,)
        Number of the item of each sample.
    store : ndarray of int, shape (B, n)
        Numbers of the stores.
    week : ndarray of datetime64[D], shape (T,)
        First day of each week.
    city : dict
        City of each store number.
    """

    sales: Array
    item: IntArray
    store: IntArray
    week: Any
    city: dict[int, str]

    def dense(self, *, stores: int | tuple[int, ...] = 21, per_city: int = 7) -> "WeeklySales":
        """Return the items that some stores all keep, as samples with n stores.

        `stores` are numbers of stores, or how many of those with most items to take, at most `per_city` of
        one city; of stores with equally many items that with the smaller number comes first.
        """
        if self.sales.shape[2] != 1:
            raise ValueError("sales are dense already, dense needs one store per sample")
        pairs = {
            (int(i), int(s)): k for k, (i, s) in enumerate(zip(self.item, self.store[:, 0], strict=True))
        }
        if isinstance(stores, tuple):
            chosen = [checks.integer(f"stores[{k}]", s, 0) for k, s in enumerate(stores)]
        else:
            chosen = self._busiest(checks.integer("stores", stores), checks.integer("per_city", per_city))
        items = [int(i) for i in np.unique(self.item) if all((int(i), s) in pairs for s in chosen)]
        if not items:
            raise ValueError(f"no item is sold at all of the stores {chosen}, take fewer")
        rows = np.array([[pairs[i, s] for s in chosen] for i in items])
        sales = np.ascontiguousarray(self.sales[rows, :, 0].transpose(0, 2, 1))
        store = np.tile(np.array(chosen, dtype=np.int64), (len(items), 1))
        return WeeklySales(sales, np.array(items, dtype=np.int64), store, self.week, self.city)

    def _busiest(self, count: int, per_city: int) -> list[int]:
        numbers, items = np.unique(self.store, return_counts=True)
        chosen: list[int] = []
        taken: dict[str, int] = {}
        for k in np.lexsort((numbers, -items)):
            city = self.city[int(numbers[k])]
            if len(chosen) < count and taken.get(city, 0) < per_city:
                chosen.append(int(numbers[k]))
                taken[city] = taken.get(city, 0) + 1
        if len(chosen) < count:
            raise ValueError(f"stores is {count}, there are {len(chosen)} with at most {per_city} of a city")
        return sorted(chosen)

    def split(self, weeks: str | tuple[int, int], *, history: int = HISTORY) -> SalesSplit:
        """Return weeks low, ..., high - 1 for (low, high), or those of the study's "train", "dev", "test".

        The first `history` of them are seen, not played; splits of the study overlap by more than these.
        """
        if isinstance(weeks, str) and weeks not in SPLITS:
            raise ValueError(f"weeks must be a pair or one of {tuple(SPLITS)}, got {weeks!r}")
        low, high = SPLITS[weeks] if isinstance(weeks, str) else weeks
        high = checks.integer("the end of weeks", high, 1, self.sales.shape[1])
        low = checks.integer("the start of weeks", low, 0, high - 1)
        start = low + checks.integer("history", history, 0, high - low - 1)
        return SalesSplit(self.sales[:, start:high], self.sales[:, low:start], self.week[start:high])

    def calendar(self) -> dict[str, IntArray]:
        """Return features of the weeks: year, month, day_of_month, days_from_christmas, christmas (0 or 1).

        Of the first day of the week, but for the last: whether 25 December is in it.
        """
        day = self.week.astype("datetime64[D]")
        year = day.astype("datetime64[Y]").astype(np.int64) + 1970
        to = np.stack(
            [
                (day - np.array([f"{y}-12-25" for y in year + k], "datetime64[D]")).astype(int)
                for k in (-1, 0, 1)
            ]
        )
        nearest = np.take_along_axis(to, np.abs(to).argmin(axis=0)[None], axis=0)[0]
        return {
            "year": year,
            "month": day.astype("datetime64[M]").astype(np.int64) % 12 + 1,
            "day_of_month": (day - day.astype("datetime64[M]")).astype(np.int64) + 1,
            "days_from_christmas": nearest,
            "christmas": ((to <= 0) & (to > -7)).any(axis=0).astype(np.int64),
        }


def read_favorita(
    folder: str | Path,
    *,
    start: str = "2013-01-01",
    end: str | None = "2016-04-16",
    perishable: bool | None = False,
    most_zero: float = 0.1,
    first_sale: int | None = 16,
    clip: bool = True,
    rows: int = 2**21,
) -> WeeklySales:
    """Read weekly sales from the files of the Favorita competition.

    Parameters
    ----------
    folder : str or path
        Holds `train.csv`, `items.csv` and `stores.csv`, unpacked.
    start : str, default="2013-01-01"
        First day of the first week; sales before are dropped.
    end : str, optional
        A day; its week and everything after it are dropped. None keeps all complete weeks.
    perishable : bool, optional
        Keep items that perish (True), that do not (False, the default), or all (None).
    most_zero : float, default=0.1
        Largest part of weeks without sales that a pair (item, store) may have.
    first_sale : int, optional
        Keep pairs with a sale in that many first weeks; None keeps all.
    clip : bool, default=True
        Set negative weekly sales, which are returns, to zero.
    rows : int, default=2**21
        Lines of `train.csv` held in memory at a time.

    Returns
    -------
    WeeklySales
        A sample for each pair of item and store, by item, then store: ``sales`` (B, T, 1). ``dense()`` puts
        stores side by side, ``split("train")`` takes weeks.

    Raises
    ------
    ValueError
        If a file or a column is missing, a line is not readable (the message has its number), an item or a
        store is unknown, nothing is left, or an argument is out of range.

    Notes
    -----
    One pass over `train.csv`, in pieces, with pandas; the promotion column, of mixed types, is not used.
    Weeks are summed per piece, so memory is one entry per item, store and week with sales. A week counts as
    one without sales if its sum, before clipping, is zero.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_synthetic_favorita(folder, items=4, stores=3, weeks=20, rng=np.random.default_rng(0))
    ...     record = read_favorita(folder, end=None, perishable=None, most_zero=1.0, first_sale=None)
    >>> record.sales.shape, record.dense(stores=3).sales.shape
    ((12, 20, 1), (4, 20, 3))
    """
    import pandas as pd

    folder = Path(folder)
    first = _day("start", start)
    weeks = None if end is None else int((_day("end", end) - first).astype(int)) // 7
    if weeks is not None and weeks < 1:
        raise ValueError(f"end must be at least a week after start, got {start} and {end}")
    most_zero = checks.number("most_zero", most_zero, 0.0, 1.0)
    rows = checks.integer("rows", rows)
    perishes = {i: p != "0" for i, p in _table(folder / "items.csv", ITEMS).items()}
    city = _table(folder / "stores.csv", STORES)
    kept = np.array(sorted(i for i, p in perishes.items() if perishable is None or p == perishable))
    known = np.array(sorted(perishes)), np.array(sorted(city))

    pieces = []
    last = np.int64(-1)
    for item, store, day, units in _lines(folder / "train.csv", rows, *known):
        week = (day - first).astype(np.int64) // 7
        last = max(last, (day - first).astype(np.int64).max())
        use = np.isin(item, kept) & (week >= 0)
        if weeks is not None:
            use &= week < weeks
        frame = pd.DataFrame({"item": item[use], "store": store[use], "week": week[use], "units": units[use]})
        pieces.append(frame.groupby(["item", "store", "week"], as_index=False).units.sum())
    T = int((last + 1) // 7) if weeks is None else weeks
    if T < 1:
        raise ValueError(f"train.csv has no complete week from {start} on")
    found = pd.concat(pieces, ignore_index=True)
    found = found[found.week < T]
    if found.empty:
        raise ValueError("no sales are left: widen start, end or perishable")

    pair, row = np.unique(found[["item", "store"]].to_numpy(), axis=0, return_inverse=True)
    sales = np.zeros((len(pair), T))
    np.add.at(sales, (row.ravel(), found.week.to_numpy()), found.units.to_numpy())
    good = (sales == 0).mean(axis=1) <= most_zero
    if first_sale is not None:
        good &= (sales[:, : checks.integer("first_sale", first_sale, 1, T)] > 0).any(axis=1)
    if not good.any():
        raise ValueError(f"none of {len(pair)} pairs of item and store passes most_zero and first_sale")
    sales, pair = sales[good], pair[good]
    if clip:
        sales = np.maximum(sales, 0.0)
    week_days = first + 7 * np.arange(T)
    cities = {int(s): c for s, c in city.items()}
    return WeeklySales(sales[:, :, None], pair[:, 0], pair[:, 1:2], week_days, cities)


def _day(name: str, x: str) -> Any:
    try:
        return np.datetime64(x, "D")
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a day such as 2013-01-01, got {x!r}") from None


def _header(path: Path, wanted: tuple[str, ...]) -> list[str]:
    """Return the column names of a file; refuse it if one is missing."""
    if not path.is_file():
        raise ValueError(f"folder has no {path.name}: {path.parent}")
    with path.open(newline="", encoding="utf-8") as file:
        names = next(csv.reader(file), [])
    for name in wanted:
        if name not in names:
            raise ValueError(f"{path.name} lacks the column {name!r}, it has {names}")
    return names


def _table(path: Path, wanted: tuple[str, str]) -> dict[int, str]:
    """Return the second column of a small file by the number in the first."""
    names = _header(path, wanted)
    key, value = (names.index(name) for name in wanted)
    result: dict[int, str] = {}
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        next(reader)
        for line in reader:
            where = f"{path.name} line {reader.line_num}"
            if len(line) != len(names):
                raise ValueError(f"{where} has {len(line)} fields, not {len(names)}")
            number = _number(where, wanted[0], line[key])
            if number in result:
                raise ValueError(f"{where}: {wanted[0]} {number} is there twice")
            if wanted == ITEMS and line[value] not in ("0", "1"):
                raise ValueError(f"{where}: perishable is {line[value]!r}, not 0 or 1")
            result[number] = line[value]
    if not result:
        raise ValueError(f"{path.name} has no rows")
    return result


def _number(where: str, name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{where}: {name} is {text!r}, not an integer") from None


def _lines(path: Path, rows: int, items: IntArray, stores: IntArray) -> Iterator[tuple[Any, Any, Any, Array]]:
    """Read the sales in pieces: item, store, day, units. What pandas refuses is looked for line by line."""
    import pandas as pd

    names = _header(path, TRAIN)
    types: Any = dict.fromkeys(
        names, str
    )  # all columns: only then does pandas refuse lines that are too long
    types |= {"store_nbr": np.int64, "item_nbr": np.int64, "unit_sales": np.float64}
    try:
        for piece in pd.read_csv(path, dtype=types, chunksize=rows):
            code, days = pd.factorize(piece["date"])
            item, store = piece["item_nbr"].to_numpy(), piece["store_nbr"].to_numpy()
            units = piece["unit_sales"].to_numpy()
            day = np.array(days, dtype="datetime64[D]")[code]
            whole = all(len(text) == 10 for text in days) and (code >= 0).all()
            if not whole or not np.isfinite(units).all() or not _known(item, store, items, stores):
                raise ValueError("a line is not as it should be")
            yield item, store, day, units
    except ValueError as error:  # of pandas' parser too
        _complain(path, names, set(items.tolist()), set(stores.tolist()))
        raise ValueError(f"{path.name}: {error}") from None


def _known(item: IntArray, store: IntArray, items: IntArray, stores: IntArray) -> bool:
    seen: BoolArray = np.isin(item, items)
    return bool(seen.all() and np.isin(store, stores).all())


def _complain(path: Path, names: list[str], items: set[int], stores: set[int]) -> None:
    """Raise for the first bad line of the sales."""
    place = {name: names.index(name) for name in TRAIN}
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        next(reader)
        for line in reader:
            where = f"{path.name} line {reader.line_num}"
            if len(line) != len(names):
                raise ValueError(f"{where} has {len(line)} fields, not {len(names)}")
            for name, numbers in (("item_nbr", items), ("store_nbr", stores)):
                if (number := _number(where, name, line[place[name]])) not in numbers:
                    other = "items.csv" if name == "item_nbr" else "stores.csv"
                    raise ValueError(f"{where}: {name} {number} is not in {other}")
            text = line[place["date"]]
            try:
                good = len(text) == 10 and np.isfinite(np.datetime64(text, "D").astype(np.int64))
            except ValueError:
                good = False
            if not good:
                raise ValueError(f"{where}: date is {text!r}, not a day such as 2013-01-01")
            text = line[place["unit_sales"]]
            try:
                finite = np.isfinite(float(text))
            except ValueError:
                finite = False
            if not finite:
                raise ValueError(f"{where}: unit_sales is {text!r}, not a number")


def write_synthetic_favorita(
    folder: str | Path,
    *,
    items: int = 20,
    stores: int = 6,
    weeks: int = 171,
    start: str = "2013-01-01",
    rng: np.random.Generator,
) -> None:
    """Write made-up files of the competition's form, for tests and trials.

    Parameters
    ----------
    folder : str or path
        Where `train.csv`, `items.csv` and `stores.csv` go.
    items, stores, weeks : int
        How many.
    start : str, default="2013-01-01"
        First day.
    rng : numpy.random.Generator
        Draws popularity, season, noise, returns, missing days and promotions.

    Raises
    ------
    ValueError
        If a number is less than one or `start` is no day.

    Notes
    -----
    Daily sales are Poisson with a Gamma mean per item and store, a peak in December and weekends; one line in
    500 is a return (negative). Every fifth item perishes; every third one is rarely sold.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_synthetic_favorita(folder, items=2, stores=1, weeks=1, rng=np.random.default_rng(0))
    ...     print((Path(folder) / "items.csv").read_text().splitlines()[1])
    1000,GROCERY I,1000,1
    """
    folder, first = Path(folder), _day("start", start)
    n, S = checks.integer("items", items), checks.integer("stores", stores)
    days = first + np.arange(7 * checks.integer("weeks", weeks))
    checks.generator(rng)
    cities = ("Quito", "Guayaquil", "Cuenca")
    with (folder / "stores.csv").open("w", encoding="utf-8") as file:
        file.write("store_nbr,city,state,type,cluster\n")
        file.writelines(f"{s + 1},{cities[s % 3]},State,{'ABC'[s % 3]},{s % 5 + 1}\n" for s in range(S))
    with (folder / "items.csv").open("w", encoding="utf-8") as file:
        file.write("item_nbr,family,class,perishable\n")
        file.writelines(f"{1000 + 7 * i},GROCERY I,{1000 + i // 4},{int(i % 5 == 0)}\n" for i in range(n))
    popular = rng.gamma(2.0, 4.0, (n, S)) * np.where(np.arange(n) % 3 == 2, 0.02, 1.0)[:, None]
    line = 0
    with (folder / "train.csv").open("w", encoding="utf-8") as file:
        file.write("id,date,store_nbr,item_nbr,unit_sales,onpromotion\n")
        for t, day in enumerate(days):
            season = (1.0 + 0.6 * (int(str(day)[5:7]) == 12)) * (1.0 + 0.4 * (t % 7 >= 5))
            units = rng.poisson(popular * season).astype(np.float64)
            units[rng.random((n, S)) < 0.002] = -1.0
            for i, s in np.argwhere(units != 0):
                promoted = "" if t < 7 else str(bool(rng.random() < 0.1))
                file.write(f"{line},{day},{s + 1},{1000 + 7 * i},{units[i, s]},{promoted}\n")
                line += 1
