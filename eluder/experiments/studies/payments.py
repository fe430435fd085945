"""Payments: logs come in batches, late, and only recent ones are used for the next regression.

Synthetic transactions with 2 to 6 ways to process each. Inverse-gap weighting explores where predictions are
close, uniform exploration everywhere. With a memory of one batch a table forgets what it does not play, and
its value swings from batch to batch (the oscillation effect); a longer memory, or a regression that shares
what it learns between transactions, does not.
"""

T = 150_000  # rounds: 30 batches of 5,000
problems = {"Payments": ("logistic_bandit", {"X": 200, "A": 6, "d": 10, "seed": 1})}
algorithms = {
    "inverse gap, linear": ("batched_regression", {"oracle": "linear", "memory": 1, "gamma": 1000.0}),
    "uniform 10%, linear": ("batched_regression", {"oracle": "linear", "memory": 1, "explore": "uniform"}),
    "inverse gap, table, all logs": ("batched_regression", {"gamma": 1000.0}),
    "inverse gap, table, last log": ("batched_regression", {"memory": 1, "gamma": 1000.0}),
    "uniform 10%, table, all logs": ("batched_regression", {"explore": "uniform"}),
    "uniform 10%, table, last log": ("batched_regression", {"memory": 1, "explore": "uniform"}),
}
seeds = 20
budget = T
