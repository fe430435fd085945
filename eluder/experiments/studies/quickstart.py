"""A first regret study: optimism, posterior sampling and epsilon-greedy on two small problems.

With the constants of the theorems (c = 1) the bonuses stay at their ceiling, H, for far more episodes than a
first look should take. `c` scales them down, as is common in practice, by the same factor everywhere; the
labels say so, and the theorems no longer cover such runs. Both kernels are the same at all stages, so that
UCBVI (as in its paper) and PSRL share their counts between stages; Q-learning cannot.
"""

problems = {
    "RiverSwim": ("river_swim", {"S": 6, "H": 20}),
    "FrozenLake-v1": ("gymnasium", {"id": "FrozenLake-v1", "H": 20}),
}
algorithms = {
    "UCBVI Hoeffding (c=0.003)": ("ucbvi", {"bonus": "hoeffding", "stationary": True, "c": 0.003}),
    "UCBVI Bernstein (c=0.003)": ("ucbvi", {"bonus": "bernstein", "stationary": True, "c": 0.003}),
    "UCB-H Q-learning (c=0.003)": ("ucb_q_learning", {"bonus": "hoeffding", "c": 0.003}),
    "PSRL": ("psrl", {"sampling": "full", "stationary": True}),
    "epsilon-greedy (epsilon=0.1)": ("epsilon_greedy_q_learning", {"epsilon": 0.1}),
}
seeds = 20
budget = 30_000
