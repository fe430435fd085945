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
from eluder.envs.inventory._dual_index import (
    DualIndex,
    DualSourcingCost,
    DualSourcingHeuristic,
    TailoredBaseSurge,
    best_dual_index,
    best_tailored_base_surge,
    dual_sourcing_cost,
)
from eluder.envs.inventory._dual_sourcing import (
    DualSourcingResult,
    dual_sourcing_optimum,
)
from eluder.envs.inventory._dynamics import Period, initial_inventory, step
from eluder.envs.inventory._favorita import SalesSplit, WeeklySales, read_favorita, write_synthetic_favorita
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
from eluder.envs.inventory._r_Q import (
    BatchPolicy,
    r_Q_optimum,
)
from eluder.envs.inventory._s_S import (
    ReorderPolicy,
    s_S_optimum,
)
from eluder.envs.inventory._settings import Horizon, Setting, setting, setting_names
from eluder.envs.inventory._shang_song import (
    SerialBounds,
    shang_song,
)
from eluder.envs.inventory._simulate import SimulationResult, Trajectories, simulate
from eluder.envs.inventory._store_chain import StoreCost, evaluate_store, store_policy_cost
from eluder.envs.inventory._store_policies import (
    BaseStock,
    BestPolicy,
    CappedBaseStock,
    ConstantOrder,
    MyopicOrder,
    ProjectedInventory,
    StorePolicy,
    best_store_policy,
)
from eluder.envs.inventory._tables import period_table
from eluder.envs.inventory._transshipment import (
    transshipment_bound,
)
from eluder.envs.inventory._wagner_whitin import (
    LotSizes,
    wagner_whitin,
)

__all__ = [
    "BaseStock",
    "BatchPolicy",
    "BestPolicy",
    "CappedBaseStock",
    "Categorical",
    "ConstantOrder",
    "Demand",
    "DualIndex",
    "DualSourcingCost",
    "DualSourcingHeuristic",
    "DualSourcingResult",
    "Edge",
    "Geometric",
    "Horizon",
    "IntegerDemand",
    "InventoryEnv",
    "JustInTime",
    "LostSalesPlan",
    "LotSizes",
    "MultivariateNormal",
    "MyopicOrder",
    "NegativeBinomial",
    "Network",
    "NetworkState",
    "NewsvendorResult",
    "Node",
    "Normal",
    "OrderUpTo",
    "Period",
    "Poisson",
    "ProjectedInventory",
    "ReorderPolicy",
    "SalesSplit",
    "SerialBounds",
    "SerialResult",
    "Setting",
    "SimulationResult",
    "StoreCost",
    "StorePolicy",
    "TailoredBaseSurge",
    "Trace",
    "Trajectories",
    "WeeklySales",
    "backlogged_optimum",
    "best_dual_index",
    "best_store_policy",
    "best_tailored_base_surge",
    "clark_scarf",
    "critical_ratio",
    "dual_sourcing_cost",
    "dual_sourcing_optimum",
    "edge",
    "empirical_levels",
    "evaluate_store",
    "initial_inventory",
    "inventory_env",
    "lost_sales_optimum",
    "lost_sales_plan",
    "newsvendor",
    "order_up_to",
    "period_table",
    "r_Q_optimum",
    "read_favorita",
    "s_S_optimum",
    "setting",
    "setting_names",
    "shang_song",
    "simulate",
    "step",
    "store",
    "store_policy_cost",
    "supplier",
    "transshipment_bound",
    "uniform_demand",
    "wagner_whitin",
    "warehouse",
    "write_synthetic_favorita",
]
