"""The declared exponents of the episodic learners, measured on a problem small enough to show them.

Bonuses are scaled by `c` until they fall below the horizon within the budget, for otherwise the regret is
still linear; the labels say so, and the theorems are for c = 1.
"""

problems = {"Garnet": ("garnet", {"S": 3, "A": 2, "branching": 3, "H": 3, "seed": 5})}
algorithms = {
    "UCBVI Hoeffding (c=0.02)": ("ucbvi", {"bonus": "hoeffding", "stationary": True, "c": 0.02}),
    "UCBVI Bernstein (c=0.02)": ("ucbvi", {"bonus": "bernstein", "stationary": True, "c": 0.02}),
    "UCB-H Q-learning (c=0.1)": ("ucb_q_learning", {"bonus": "hoeffding", "c": 0.1}),
    "UCB-B Q-learning (c=0.1)": ("ucb_q_learning", {"bonus": "bernstein", "c": 0.1}),
    "EULER (c=0.1)": ("euler", {"stationary": True, "c": 0.1}),
    "PSRL": ("psrl", {"sampling": "full", "stationary": True}),
    "random": "random_policy",
}
seeds = 20
budget = 500_000
