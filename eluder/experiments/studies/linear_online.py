"""Explorers of linear MDPs: by a bonus, by noise, by the greatest of several noises, by weighted regressions.

The first problem is random, with features in the simplex; in the second, which is as hard as linear MDPs get,
every stage hides a corner of a cube; the third is the first but for what is not linear in it. Radii and noise
are scaled by `c`, by what suits each (the labels say so): with the constants of the theorems (c = 1) all of
them act at random, or always alike, for longer than this study lasts. A tabular learner is there to compare:
it cannot use the features.
"""

_SIZE = {"S": 20, "A": 5, "d": 4, "H": 5, "seed": 1}
problems = {
    "Random linear MDP": ("random_linear_mdp", _SIZE),
    "Hypercube": ("hypercube_linear_mdp", {"d": 6, "H": 5, "gap": 0.15, "seed": 0}),
    "Misspecified": ("misspecified_linear_mdp", {**_SIZE, "zeta": 0.05}),
}
algorithms = {
    "LSVI-UCB (c=0.05)": ("lsvi_ucb", {"c": 0.05}),
    "LSVI-UCB, rare (c=0.05)": ("lsvi_ucb", {"c": 0.05, "rare": True}),
    "RLSVI (c=0.2)": ("rlsvi", {"c": 0.2}),
    "LSVI-PHE (c=0.05, M=5)": ("lsvi_phe", {"c": 0.05, "num_samples": 5}),
    "LSVI-UCB++ (c=0.02, d3=0)": ("lsvi_ucb_plus_plus", {"c": 0.02, "d3": 0.0}),
}
seeds = 20
budget = 100_000
