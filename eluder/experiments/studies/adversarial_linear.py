"""Learners against adversarial losses: with the theorems' rates, tuned, and without the bonus.

Regret is exact and against the best fixed policy in hindsight. Losses take turns every 32 episodes; against
"adaptive" the adversary reacts as well: it charges the feature that the last policy saw most. In the last
problem every policy has linear action values, but the kernels are not linear: all learners but the one
without a simulator keep their guarantee. The theorems' learning rates are so small that K = 2^16 episodes are
hardly enough to leave the uniform policy; the tuned ones are larger, with a tenth of the bonus or none.
MDP-LinExp3 has no bonus and mixes in the uniform policy.
"""

_SIZE = {"S": 4, "A": 3, "d": 3, "H": 2, "concentration": 0.1, "seed": 3}
problems = {
    "Tables": ("adversarial_mdp", {"S": 2, "A": 2, "H": 2, "seed": 1}),
    "Linear, switching": ("adversarial_linear_mdp", _SIZE),
    "Linear, stochastic": ("adversarial_linear_mdp", {**_SIZE, "law": "stochastic"}),
    "Linear, adaptive": ("adversarial_linear_mdp", {**_SIZE, "law": "adaptive"}),
    "Linear values, kernels not": ("linear_q_mdp", {**_SIZE, "S": 8, "seed": 1}),
}
algorithms = {
    "dilated bonus": "dilated_exp_po",
    "dilated bonus (eta=0.01, c=0.1)": ("dilated_exp_po", {"eta": 0.01, "c": 0.1}),
    "log-barrier": "log_barrier_po",
    "log-barrier (eta=0.005, c=0.1)": ("log_barrier_po", {"eta": 0.005, "c": 0.1}),
    "magnitude-reduced": "magnitude_reduced_po",
    "magnitude-reduced (eta=0.002, c=0.1)": ("magnitude_reduced_po", {"eta": 0.002, "c": 0.1}),
    "magnitude-reduced, no bonus (eta=0.002)": ("magnitude_reduced_po", {"eta": 0.002, "c": 0.0}),
    "MDP-LinExp3 (eta=0.01, 20 terms)": ("mdp_linexp3", {"eta": 0.01, "explore": 0.025, "num_terms": 20}),
    "no simulator (c=0.001)": (
        "simulator_free_po",
        {"eta": 0.05, "c": 0.001, "explore": 0.1, "window": 41},
    ),
}
seeds = 10
budget = 65_536
