"""Stochastic and adversarial learners on the same bandits, with the lower bounds that none of them can beat.

The first problem is easy, the second has small means, where divergences matter most; in the third the means
move and only the gaps stay, so that learners which trust averages of the past are fooled.
"""

T = 100_000  # rounds
problems = {
    "Bernoulli .1 to .9": ("bernoulli_bandit", {"means": [0.1, 0.3, 0.5, 0.7, 0.9]}),
    "Bernoulli, small means": (
        "bernoulli_bandit",
        {"means": [0.1, 0.05, 0.05, 0.05, 0.02, 0.02, 0.02, 0.01]},
    ),
    "Constrained adversary": ("stochastically_constrained_bandit", {"A": 4, "T": T, "gap": 0.1}),
}
algorithms = {
    "UCB1": "ucb1",
    "MOSS": "moss",
    "KL-UCB": "kl_ucb",
    "IMED": "imed",
    "Thompson": "thompson",
    "Tsallis-INF": "tsallis_inf",
    "EXP3": "exp3",
    "EXP3-IX": "exp3_ix",
}
seeds = 40
budget = T
