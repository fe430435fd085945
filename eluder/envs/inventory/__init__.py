"""Inventory control: laws of demand, networks and their simulator, exact optima and heuristics."""

from eluder.envs.inventory._clark_scarf import (
    SerialResult,
    clark_scarf,
)
from eluder.envs.inventory._demand import (
    Categorical,
    Demand,
    Geometric,
    IntegerDemand,
    MultivariateNormal,
    NegativeBinomial,
    Normal,
    Poisson,
    Trace,
    uniform_demand,
)
from eluder.envs.inventory._dynamics import Period, initial_inventory, step
from eluder.envs.inventory._gym import InventoryEnv, inventory_env
from eluder.envs.inventory._lost_sales import LostSalesPlan, lost_sales_optimum, lost_sales_plan
from eluder.envs.inventory._network import Edge, Network, Node, edge, store, supplier, warehouse
from eluder.envs.inventory._newsvendor import (
    NewsvendorResult,
    backlogged_optimum,
    critical_ratio,
    newsvendor,
)
from eluder.envs.inventory._policies import JustInTime, NetworkState, OrderUpTo, empirical_levels, order_up_to
from eluder.envs.inventory._settings import Horizon, Setting, setting, setting_names
from eluder.envs.inventory._shang_song import (
    SerialBounds,
    shang_song,
)
from eluder.envs.inventory._simulate import SimulationResult, Trajectories, simulate
from eluder.envs.inventory._tables import period_table
from eluder.envs.inventory._transshipment import (
    transshipment_bound,
)

__all__ = [
    "Categorical",
    "Demand",
    "Edge",
    "Geometric",
    "Horizon",
    "IntegerDemand",
    "InventoryEnv",
    "JustInTime",
    "LostSalesPlan",
    "MultivariateNormal",
    "NegativeBinomial",
    "Network",
    "NetworkState",
    "NewsvendorResult",
    "Node",
    "Normal",
    "OrderUpTo",
    "Period",
    "Poisson",
    "SerialBounds",
    "SerialResult",
    "Setting",
    "SimulationResult",
    "Trace",
    "Trajectories",
    "backlogged_optimum",
    "clark_scarf",
    "critical_ratio",
    "edge",
    "empirical_levels",
    "initial_inventory",
    "inventory_env",
    "lost_sales_optimum",
    "lost_sales_plan",
    "newsvendor",
    "order_up_to",
    "period_table",
    "setting",
    "setting_names",
    "shang_song",
    "simulate",
    "step",
    "store",
    "supplier",
    "transshipment_bound",
    "uniform_demand",
    "warehouse",
]
