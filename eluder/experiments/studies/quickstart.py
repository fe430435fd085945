"""A first regret study: optimism, posterior sampling and epsilon-greedy on two small problems.

The constants of the theorems (c = 1) keep the bonuses at their ceiling for many more episodes than a first
look should take; `c` scales them down, as is common in practice, and the labels say so. Scaled bonuses are
no longer covered by the theorems.
"""

problems = {
    "RiverSwim": ("river_swim", {"S": 6, "H": 20}),
    "FrozenLake-v1": ("gymnasium", {"id": "FrozenLake-v1", "H": 40}),
}
algorithms = {
    "UCBVI Hoeffding (c=0.02)": ("ucbvi", {"bonus": "hoeffding", "c": 0.02}),
    "UCBVI Bernstein (c=0.02)": ("ucbvi", {"bonus": "bernstein", "c": 0.02}),
}
seeds = 20
budget = 2000
