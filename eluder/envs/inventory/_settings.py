"""Settings of published studies, by name: network, demand, horizons, and what is known of the optimum.

The settings, their parameters and the seeds that draw them are those of the code of Alvo, Russo, Kanoria and
Lee, Deep reinforcement learning for inventory networks (arXiv:2306.11246), as it was run for their tables.
Parameters are drawn with NumPy's legacy generator::

    mean[i] <- U(2.5, 7.5), seed 33, rounded to 3 digits;   sd[i] <- mean[i] U(0.25, 0.5), seed 92, rounded
    holding[i] <- U(0.7, 1.3), seed 73;   penalty[i] <- U(6.3, 11.7), seed 28
    lead_time[i] <- one of 2, 3, 4, 5, seed 41;   demand: seed 57 (train), 58 (dev), 65 (test)

Of recorded demand: where stores order from outside, a price from U(6.3, 11.7) and a lead time of 4, 5 or 6
for each item, holding 1; behind warehouses a price for each item and store, holding as above for each store,
lead times as above behind one warehouse, and fixed ones behind several (`RECORDED_LANES`; their columns are
the stores 3, 5, 8, 11, 23, 25, 27, 28, 31, 34, 37, 38, 39, 41, 44, 45, 47, 48, 49, 50, 51).

`fixed_cost` is one item in the middle of the ranges of the authors' later study, with backlog;
`dual_sourcing` holds the instances with demand uniform on 0, ..., 4 that studies of dual sourcing share.

Deviations from the study: first states are drawn from the caller's generator. The seed of the demand of a
single store is raised by ``int(lead_time + 10 penalty)``, as there; whether for the dev data too is not
confirmed, nor is how prices are drawn for recorded demand (here one per sample and store behind warehouses).
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.types import Array, IntArray
from eluder.envs.inventory._demand import (
    Demand,
    IntegerDemand,
    MultivariateNormal,
    Normal,
    Poisson,
    uniform_demand,
)
from eluder.envs.inventory._network import Edge, Network, Node, edge, store, supplier, warehouse

__all__ = ["Horizon", "Setting", "setting", "setting_names"]

SEEDS = {"mean": 33, "cv": 92, "holding": 73, "penalty": 28, "lead_time": 41}
DEMAND_SEEDS = {"train": 57, "dev": 58, "test": 65}
WAREHOUSE_HOLDING = (0.3, 0.4, 0.2, 0.5, 0.1, 0.6)
PROCUREMENT = (0.5, 1.5, 0.7, 1.3, 0.9, 1.1)
ECHELON_HOLDING = (0.1, 0.2, 0.25, 0.3, 0.4)
ECHELON_LEAD_TIMES = (2, 4, 1, 3, 2)
# Lead times from each warehouse (row) to each store (digit); 0 where there is no lane
LANES = {
    10: (
        "0066606560",
        "2122120222",
    ),
    20: (
        "00666005606506060060",
        "22222210212222100202",
        "50566606664605656560",
    ),
    30: (
        "665505560565506600666660066056",
        "202222220012020001112201010122",
        "060006056000000000006000000000",
        "000300300303002230000000202033",
    ),
    40: (
        "0000000606050060000000060060000600066606",
        "0000122202020020102210110020202120012102",
        "6005600656506664000600066560500056000600",
        "3230000003332330000003000001020002300033",
        "0540005500050050045004000005050505405034",
    ),
    50: (
        "00066600060000666056006606000005500606006000000060",
        "00000020001122000000000000200000020000020120000102",
        "00005060000000006005506664606060000565000005600006",
        "10130000000003300300000000000000033000000000022000",
        "04000000000055000500050000040500054000000040000000",
        "00004033303344004004000044303040000424430344200302",
    ),
}
# The same for the 21 stores of recorded demand, by the number of warehouses
RECORDED_LANES = {
    2: (
        "666065555555550666655",
        "111110221220201111112",
    ),
    3: (
        "666065555555550666655",
        "111110221200001111112",
        "555546555550565555545",
    ),
    4: (
        "000065555550550000065",
        "111110000000001111110",
        "555540555500505555545",
        "000000222211110000001",
    ),
    5: (
        "000065555550550000065",
        "111110000000001111110",
        "555540555500505555545",
        "000000020211110000001",
        "000000444434340000044",
    ),
}


class Horizon(NamedTuple):
    """How long to simulate.

    Attributes
    ----------
    periods : int
        Periods, the warm-up among them.
    warm_up : int
        Periods that do not count.
    """

    periods: int
    warm_up: int


TRAIN, DEV, TEST = Horizon(50, 30), Horizon(100, 60), Horizon(5000, 3000)
FIVE, TEN, UP_TO_FOUR = Poisson(5.0), Poisson(10.0), uniform_demand(0, 4)
NARROW, WIDE = Normal(5.0, 1.6), Normal(5.0, 2.0)


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """A problem of a published study.

    Attributes
    ----------
    name : str
        Of the setting.
    network : Network
        The network with its law of demand.
    mean, sd : ndarray, shape (n,)
        Of each store's demand (before it is clipped at 0, where it is), units per period.
    train, dev, test : Horizon
        Horizons of the study.
    kind : {"optimum", "lower bound"} or None
        What `reference` returns.
    demand_shift : int
        Added to the seeds of published demand.
    data : ndarray, shape (B, T, n), or None
        Recorded demand, where there is no law.
    options : mapping of str to Any
        What `setting` was told.
    """

    name: str
    network: Network
    mean: Array
    sd: Array
    train: Horizon = TRAIN
    dev: Horizon = DEV
    test: Horizon = TEST
    kind: str | None = None
    demand_shift: int = 0
    data: Array | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    _reference: Callable[[], float] | None = None

    def reference(self) -> float:
        """Return the optimal cost per period and store, or a bound that no policy undercuts; NaN if unknown.

        It is computed at the first call, in seconds at most for the published parameters.

        Raises
        ------
        ValueError
            If the setting's parameters allow none, such as a penalty of 0.
        """
        return float("nan") if self._reference is None else self._reference()

    def without_reference(self) -> "Setting":
        """Return the setting as one of which no optimum is known, for where it cannot be computed."""
        return replace(self, kind=None, _reference=None)

    def first_inventory(self, samples: int, *, rng: np.random.Generator) -> Array:
        """Draw first states (B, M, L): at stores ``mean U(0, 1)`` on hand and in each slot, else nothing.

        Slots are those within the longest lead time to a store. A setting of recorded demand starts empty.
        """
        net, n = self.network, len(self.network.stores)
        x = np.zeros((checks.integer("samples", samples), net.num_locations, net.longest))
        if self.data is None:
            W = net.num_locations - n
            slots = max(int(np.atleast_2d(net.lead_time)[:, net.target >= W].max()), 1)
            draws = checks.generator(rng).random((samples, n, slots))
            x[:, W:, :slots] = self.mean[:, None] * draws
        return np.rint(x) if net.orders == "integer" else x

    def published_demand(self, split: str, samples: int) -> Array:
        """Return the demand (B, T, n) that the study drew for "train", "dev" or "test", from NumPy's seeds.

        The first `samples` rows depend on their number, as they did there, except for a single store.
        """
        if split not in DEMAND_SEEDS:
            raise ValueError(f"split must be one of {tuple(DEMAND_SEEDS)}, got {split!r}")
        B, T, n = checks.integer("samples", samples), getattr(self, split).periods, len(self.mean)
        law = self.network.demand
        draw = np.random.RandomState(DEMAND_SEEDS[split] + self.demand_shift)
        if isinstance(law, Poisson):
            d = np.transpose(draw.poisson(law.mean, (B, n, T)), (0, 2, 1)).astype(np.float64)
        elif isinstance(law, Normal) and n == 1:
            d = draw.normal(law.mean, law.sd, (B, T, 1))
        elif isinstance(law, MultivariateNormal):
            d = draw.multivariate_normal(law.mean, law.covariance, (B, T))
        else:
            raise ValueError(f"the study drew no demand for {self.name} with {type(law).__name__} demand")
        clipped = getattr(law, "clipped", False)
        return np.maximum(d, 0.0) if clipped else d


def setting(name: str, **options: Any) -> Setting:
    """Return a setting of a published study.

    Parameters
    ----------
    name : str
        One of `setting_names()`.
    **options : Any
        What the setting takes, with the published value as default:

        - "lost_sales": lead_time=4, penalty=9, demand=Poisson(5), stores=1 (independent ones);
        - "backlogged": lead_time=4, penalty=9, demand=Normal(5, 1.6);
        - "serial": locations=4 (3 to 7), lead_time=4 (the store's), penalty=9, demand=Normal(5, 2);
        - "transshipment": stores=3, lead_time=4, penalty=9, correlation=0.5;
        - "one_warehouse": stores=10, correlation=0.5;
        - "many_warehouses": stores=10 (20, 30, 40, 50, with 3, 4, 5, 6 warehouses), correlation=0.5;
        - "fixed_cost": fixed_cost=64, penalty=9, lead_time=2, demand=Poisson(10);
        - "dual_sourcing": lead_times=(2, 0), unit_costs=(0, 5) (regular, express), penalty=495,
          holding=5, demand=uniform_demand(0, 4);
        - "favorita": sales (B, T, n), warehouses=0 (1; with the study's 21 stores 2 to 5), lanes=None:
          lead times (W, n) from up to 6 warehouses of your own, 0 where there is no lane.

    Returns
    -------
    Setting
        Network, demand, horizons and reference cost.

    Raises
    ------
    ValueError
        If the name or an option is unknown, or a value out of range.

    Notes
    -----
    Published costs are per period and store.

    References
    ----------
    .. [1] Alvo, Russo, Kanoria and Lee. Deep reinforcement learning for inventory networks: toward reliable
       policy optimization. arXiv:2306.11246.

    Examples
    --------
    >>> lost = setting("lost_sales", lead_time=1, penalty=4)
    >>> lost.kind, round(lost.reference(), 6)
    ('optimum', 4.040711)
    >>> setting("one_warehouse", stores=3).network.lead_time
    array([3, 2, 5, 2])
    """
    if name not in SETTINGS:
        raise ValueError(f"name must be one of {setting_names()}, got {name!r}")
    build = SETTINGS[name]
    known = tuple(inspect.signature(build).parameters)
    for option in options:
        if option not in known:
            raise ValueError(f"{name} has no option {option!r}, it has {known}")
    made = build(**options)
    once = None if made._reference is None else functools.cache(made._reference)
    return replace(made, options=options, _reference=once)


def setting_names() -> tuple[str, ...]:
    """Return the names that `setting` knows.

    Returns
    -------
    tuple of str
        In the order of its docstring.

    Examples
    --------
    >>> setting_names()[:2]
    ('lost_sales', 'backlogged')
    """
    return tuple(SETTINGS)


def _draw(seed: str, low: float, high: float, n: int) -> Array:
    return np.random.RandomState(SEEDS[seed]).uniform(low, high, n)


def _normals(n: int, correlation: float, clipped: bool) -> MultivariateNormal:
    """Return the joint demand that the study drew for n stores."""
    mean = _draw("mean", 2.5, 7.5, n).round(3)
    sd = (mean * _draw("cv", 0.25, 0.5, n)).round(3)
    return MultivariateNormal(mean, sd, correlation, clipped)


def _moments(law: Demand, n: int) -> tuple[Array, Array]:
    if isinstance(law, Normal | MultivariateNormal):
        mean, sd = np.atleast_1d(law.mean), np.atleast_1d(law.sd)
    else:
        assert isinstance(law, IntegerDemand)
        p = law.pmf()
        k = np.arange(len(p))
        mean = np.atleast_1d(p @ k)
        sd = np.sqrt(p @ (k - mean) ** 2)
    return np.broadcast_to(mean, (n,)).copy(), np.broadcast_to(sd, (n,)).copy()


def _law(demand: Any, kinds: Any, what: str) -> Any:
    if not isinstance(demand, kinds):
        raise ValueError(f"demand must be {what}, got {demand!r}")
    return demand


def _rounding(law: Demand) -> str:
    return "integer" if isinstance(law, IntegerDemand) else "continuous"


def _lost_sales(lead_time: int = 4, penalty: float = 9.0, demand: Demand = FIVE, stores: int = 1) -> Setting:
    n = checks.integer("stores", stores)
    law = _law(demand, IntegerDemand, "a law on the integers")
    parts: list[Node | Edge] = [supplier("supplier")]
    for i in range(n):
        parts += [store(f"store {i}", holding=1.0, penalty=penalty)]
        parts += [edge("supplier", f"store {i}", lead_time=lead_time)]
    network = Network.build(*parts, unmet="lost", orders="integer", demand=law)

    def reference() -> float:
        from eluder.envs.inventory._lost_sales import lost_sales_optimum

        return lost_sales_optimum(law, lead_time=lead_time, penalty=penalty, holding=1.0)

    shift = int(lead_time + 10 * penalty) if n == 1 else 0
    return Setting(
        "lost_sales",
        network,
        *_moments(law, n),
        kind="optimum",
        demand_shift=shift,
        _reference=reference,
    )


def _backlogged(lead_time: int = 4, penalty: float = 9.0, demand: Demand = NARROW) -> Setting:
    law = _law(demand, IntegerDemand | Normal, "Normal or a law on the integers")
    network = Network.build(
        supplier("supplier"),
        store("store", holding=1.0, penalty=penalty),
        edge("supplier", "store", lead_time=lead_time),
        unmet="backlog",
        orders=_rounding(law),
        demand=law,
    )

    def reference() -> float:
        from eluder.envs.inventory._newsvendor import backlogged_optimum

        return backlogged_optimum(law, lead_time=lead_time, penalty=penalty, holding=1.0).cost

    return Setting(
        "backlogged",
        network,
        *_moments(law, 1),
        kind="optimum",
        demand_shift=int(lead_time + 10 * penalty),
        _reference=reference,
    )


def _serial(locations: int = 4, lead_time: int = 4, penalty: float = 9.0, demand: Demand = WIDE) -> Setting:
    k = checks.integer("locations", locations, 3, 7) - 2
    law = _law(demand, IntegerDemand | Normal, "Normal or a law on the integers")
    holding = [*ECHELON_HOLDING[:k], 0.5, 1.0]
    lead_times = [*ECHELON_LEAD_TIMES[:k], 3, lead_time]
    names = ["supplier", *(f"echelon {i}" for i in range(k)), "warehouse", "store"]
    network = Network.build(
        supplier("supplier"),
        *(warehouse(name, holding=h) for name, h in zip(names[1:-1], holding[:-1], strict=True)),
        store("store", holding=1.0, penalty=penalty),
        *(edge(names[i], names[i + 1], lead_time=L) for i, L in enumerate(lead_times)),
        unmet="backlog",
        orders=_rounding(law),
        demand=law,
    )

    def reference() -> float:
        from eluder.envs.inventory._clark_scarf import clark_scarf

        return clark_scarf(law, lead_times=lead_times[::-1], holding=holding[::-1], penalty=penalty).cost

    return Setting("serial", network, *_moments(law, 1), kind="optimum", _reference=reference)


def _transshipment(
    stores: int = 3, lead_time: int = 4, penalty: float = 9.0, correlation: float = 0.5
) -> Setting:
    n = checks.integer("stores", stores)
    law = _normals(n, correlation, clipped=False)
    network = Network.build(
        supplier("supplier"),
        warehouse("warehouse", holds=False),
        *(store(f"store {i}", holding=1.0, penalty=penalty) for i in range(n)),
        edge("supplier", "warehouse", lead_time=3),
        *(edge("warehouse", f"store {i}", lead_time=lead_time) for i in range(n)),
        unmet="backlog",
        demand=law,
    )

    def reference() -> float:
        from eluder.envs.inventory._transshipment import transshipment_bound

        known: dict[str, Any] = {"lead_time": lead_time, "warehouse_lead_time": 3, "penalty": penalty}
        return transshipment_bound(law.mean, law.sd, correlation, **known, holding=1.0)

    return Setting("transshipment", network, law.mean, law.sd, kind="lower bound", _reference=reference)


def _priced_stores(n: int) -> list[Node]:
    h, p = _draw("holding", 0.7, 1.3, n), _draw("penalty", 6.3, 11.7, n)
    return [store(f"store {i}", holding=h[i], penalty=p[i]) for i in range(n)]


def _store_lead_times(n: int) -> IntArray:
    """Return the lead times from the one warehouse, shape (1, n)."""
    return np.asarray(np.random.RandomState(SEEDS["lead_time"]).randint(2, 6, (1, n)), dtype=np.int64)


def _through(ways: IntArray, stores: Sequence[Node]) -> list[Node | Edge]:
    """Return warehouses between a supplier and stores: lead times `ways` (W, n), 0 where there is no lane."""
    one = len(ways) == 1
    names = ["warehouse"] if one else [f"warehouse {w}" for w in range(len(ways))]
    return [
        supplier("supplier"),
        *(warehouse(name, holding=WAREHOUSE_HOLDING[w]) for w, name in enumerate(names)),
        *stores,
        *(
            edge("supplier", name, lead_time=3, unit_cost=0.0 if one else PROCUREMENT[w])
            for w, name in enumerate(names)
        ),
        *(edge(names[w], stores[i].name, lead_time=ways[w, i]) for w, i in np.argwhere(ways)),
    ]


def _published(rows: Sequence[str]) -> IntArray:
    return np.array([[int(digit) for digit in row] for row in rows])


def _one_warehouse(stores: int = 10, correlation: float = 0.5) -> Setting:
    n = checks.integer("stores", stores)
    law = _normals(n, correlation, clipped=True)
    network = Network.build(*_through(_store_lead_times(n), _priced_stores(n)), unmet="lost", demand=law)
    return Setting("one_warehouse", network, law.mean, law.sd)


def _many_warehouses(stores: int = 10, correlation: float = 0.5) -> Setting:
    n = checks.integer("stores", stores)
    if n not in LANES:
        raise ValueError(f"stores must be one of {tuple(LANES)}, got {stores}")
    law = _normals(n, correlation, clipped=True)
    network = Network.build(*_through(_published(LANES[n]), _priced_stores(n)), unmet="lost", demand=law)
    short, long = Horizon(50, 30), Horizon(500, 300)
    return Setting("many_warehouses", network, law.mean, law.sd, short, short, long)


def _fixed_cost(
    fixed_cost: float = 64.0, penalty: float = 9.0, lead_time: int = 2, demand: Demand = TEN
) -> Setting:
    law = _law(demand, IntegerDemand, "a law on the integers")
    network = Network.build(
        supplier("supplier"),
        store("store", holding=1.0, penalty=penalty),
        edge("supplier", "store", lead_time=lead_time, fixed_cost=fixed_cost),
        unmet="backlog",
        orders="integer",
        demand=law,
    )

    def reference() -> float:
        from eluder.envs.inventory._s_S import s_S_optimum

        return s_S_optimum(law, lead_time=lead_time, setup=fixed_cost, penalty=penalty, holding=1.0).cost

    return Setting("fixed_cost", network, *_moments(law, 1), kind="optimum", _reference=reference)


def _dual_sourcing(
    lead_times: tuple[int, int] = (2, 0),
    unit_costs: tuple[float, float] = (0.0, 5.0),
    penalty: float = 495.0,
    holding: float = 5.0,
    demand: Demand = UP_TO_FOUR,
) -> Setting:
    law = _law(demand, IntegerDemand, "a law on the integers")
    for name, pair in (("lead_times", lead_times), ("unit_costs", unit_costs)):
        if np.shape(pair) != (2,):
            raise ValueError(f"{name} must be a pair (regular, express), got {pair!r}")
    (slow, fast), (low, high) = lead_times, unit_costs
    network = Network.build(
        supplier("regular"),
        supplier("express"),
        store("store", holding=holding, penalty=penalty),
        edge("regular", "store", lead_time=slow, unit_cost=low),
        edge("express", "store", lead_time=fast, unit_cost=high),
        unmet="backlog",
        orders="integer",
        demand=law,
    )

    def reference() -> float:
        from eluder.envs.inventory._dual_sourcing import dual_sourcing_optimum

        known: dict[str, Any] = {"lead_times": (slow, fast), "unit_costs": (low, high), "penalty": penalty}
        return dual_sourcing_optimum(law, **known, holding=holding).cost

    return Setting("dual_sourcing", network, *_moments(law, 1), kind="optimum", _reference=reference)


def _favorita(sales: ArrayLike, warehouses: int = 0, lanes: ArrayLike | None = None) -> Setting:
    d = checks.finite("sales", sales, (None, None, None))
    B, _, n = d.shape
    ways = _recorded_lanes(checks.integer("warehouses", warehouses, 0), n, lanes)
    parts: list[Node | Edge]
    if len(ways):
        h = _draw("holding", 0.7, 1.3, n)
        p = np.random.RandomState(SEEDS["penalty"]).uniform(6.3, 11.7, (B, n))
        parts = _through(ways, [store(f"store {i}", holding=h[i], penalty=p[:, i]) for i in range(n)])
    else:
        price = _draw("penalty", 6.3, 11.7, B)
        L = np.asarray(np.random.RandomState(SEEDS["lead_time"]).randint(4, 7, B), dtype=np.int64)
        parts = [supplier("supplier")]
        for i in range(n):
            parts += [store(f"store {i}", holding=1.0, penalty=price)]
            parts += [edge("supplier", f"store {i}", lead_time=L)]
    network = Network.build(*parts, unmet="lost", objective="profit")
    mean, sd = d.mean(axis=(0, 1)), d.std(axis=(0, 1))
    return Setting("favorita", network, mean, sd, Horizon(95, 16), Horizon(37, 16), Horizon(37, 16), data=d)


def _recorded_lanes(W: int, n: int, lanes: ArrayLike | None) -> IntArray:
    """Return lead times from W warehouses to n stores, those given or the study's, checked."""
    most = len(WAREHOUSE_HOLDING)
    if lanes is not None:
        ways = checks.finite("lanes", lanes, (W or None, n), low=0.0)
        if len(ways) > most:
            raise ValueError(f"lanes has {len(ways)} warehouses, there are prices for {most}")
        if (bad := ways != np.round(ways)).any():
            raise ValueError(f"{checks.entry('lanes', checks.first(bad))} is no whole number of periods")
        return ways.astype(np.int64)
    if W == 0:
        return np.zeros((0, n), dtype=np.int64)
    if W == 1:
        return _store_lead_times(n)
    if W not in RECORDED_LANES or n != 21:
        raise ValueError(
            f"lanes are known for 21 stores and {tuple(RECORDED_LANES)} warehouses, not {n} and {W}"
        )
    return _published(RECORDED_LANES[W])


SETTINGS: dict[str, Callable[..., Setting]] = {
    "lost_sales": _lost_sales,
    "backlogged": _backlogged,
    "serial": _serial,
    "transshipment": _transshipment,
    "one_warehouse": _one_warehouse,
    "many_warehouses": _many_warehouses,
    "fixed_cost": _fixed_cost,
    "dual_sourcing": _dual_sourcing,
    "favorita": _favorita,
}
