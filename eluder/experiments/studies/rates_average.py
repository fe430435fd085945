"""The declared exponents of the average-reward learners, with the constants of their papers."""

problems = {"RiverSwim": ("river_swim", {"S": 6, "gamma": 1.0})}
algorithms = {"UCRL2": "ucrl2", "KL-UCRL": "kl_ucrl"}
seeds = 20
budget = 4_000_000
