"""Instances of problems with their exact tables, and the way to and from gymnasium.

Each instance takes `H` for an EpisodicMDP or `gamma` for a DiscountedMDP; bandits take neither. Importing
this package registers gymnasium ids such as "eluder/RiverSwim-v0".
"""

from eluder.envs._adversarial_linear import adversarial_linear_mdp, adversarial_mdp
from eluder.envs._adversaries import blockwise_adversary, lower_bound_bandit
from eluder.envs._bandits import (
    adversarial_bandit,
    bernoulli_bandit,
    bounded_bandit,
    exponential_bandit,
    gaussian_bandit,
    heavy_tailed_bandit,
    piecewise_bandit,
    poisson_bandit,
    stochastically_constrained_bandit,
)
from eluder.envs._chain import chain
from eluder.envs._combination_lock import combination_lock
from eluder.envs._combinatorial import semi_bandit, top_m_bandit
from eluder.envs._contextual import (
    contextual_bandit,
    finite_class_bandit,
    linear_class_bandit,
    logistic_bandit,
)
from eluder.envs._deep_sea import deep_sea
from eluder.envs._dueling import bradley_terry_bandit, cyclic_dueling_bandit, dueling_bandit
from eluder.envs._dynamical_linear_bandit import dynamical_linear_bandit, random_dynamical_bandit
from eluder.envs._feature_bandits import (
    answer_pool,
    feature_bandit,
    misspecified_linear_bandit,
    needle_bandit,
)
from eluder.envs._feature_mdp import feature_mdp
from eluder.envs._from_gymnasium import from_gymnasium
from eluder.envs._garnet import garnet
from eluder.envs._gridworld import four_rooms, grid, gridworld, n_room
from eluder.envs._inventory_control import inventory_control
from eluder.envs._linear_bandits import (
    contextual_linear_bandit,
    hypercube_bandit,
    linear_bandit,
    logistic_linear_bandit,
    random_linear_bandit,
)
from eluder.envs._linear_mdp import (
    hypercube_linear_mdp,
    misspecified_linear_mdp,
    one_hot_linear_mdp,
    random_linear_mdp,
)
from eluder.envs._linear_mixture import (
    hypercube_mixture_mdp,
    one_hot_mixture_mdp,
    random_linear_mixture_mdp,
    wait_or_take_mixture_mdp,
)
from eluder.envs._linear_q import linear_q_mdp
from eluder.envs._lower_bounds import lower_bound_average, lower_bound_episodic
from eluder.envs._multitask_linear_bandits import multitask_linear_bandits
from eluder.envs._queue_admission import queue_admission
from eluder.envs._random_ergodic import random_ergodic
from eluder.envs._recovering import recovering_bandit, saturating_bandit
from eluder.envs._register import register
from eluder.envs._replay import Log, read_log, replay_bandit
from eluder.envs._river_swim import river_swim
from eluder.envs._robust_linear import american_put, off_dynamics_linear_mdp, perturbed_linear_mdp
from eluder.envs._rotting import rotting_bandit
from eluder.envs._to_gymnasium import to_gymnasium

__all__ = [
    "Log",
    "adversarial_bandit",
    "adversarial_linear_mdp",
    "adversarial_mdp",
    "american_put",
    "answer_pool",
    "bernoulli_bandit",
    "blockwise_adversary",
    "bounded_bandit",
    "bradley_terry_bandit",
    "chain",
    "combination_lock",
    "contextual_bandit",
    "contextual_linear_bandit",
    "cyclic_dueling_bandit",
    "deep_sea",
    "dueling_bandit",
    "dynamical_linear_bandit",
    "exponential_bandit",
    "feature_bandit",
    "feature_mdp",
    "finite_class_bandit",
    "four_rooms",
    "from_gymnasium",
    "garnet",
    "gaussian_bandit",
    "grid",
    "gridworld",
    "heavy_tailed_bandit",
    "hypercube_bandit",
    "hypercube_linear_mdp",
    "hypercube_mixture_mdp",
    "inventory_control",
    "linear_bandit",
    "linear_class_bandit",
    "linear_q_mdp",
    "logistic_linear_bandit",
    "logistic_bandit",
    "lower_bound_average",
    "lower_bound_bandit",
    "lower_bound_episodic",
    "misspecified_linear_bandit",
    "misspecified_linear_mdp",
    "n_room",
    "multitask_linear_bandits",
    "needle_bandit",
    "off_dynamics_linear_mdp",
    "one_hot_linear_mdp",
    "perturbed_linear_mdp",
    "one_hot_mixture_mdp",
    "piecewise_bandit",
    "poisson_bandit",
    "queue_admission",
    "random_dynamical_bandit",
    "random_ergodic",
    "random_linear_bandit",
    "random_linear_mdp",
    "random_linear_mixture_mdp",
    "read_log",
    "recovering_bandit",
    "replay_bandit",
    "river_swim",
    "saturating_bandit",
    "semi_bandit",
    "rotting_bandit",
    "stochastically_constrained_bandit",
    "to_gymnasium",
    "top_m_bandit",
    "wait_or_take_mixture_mdp",
]

register()
del register
