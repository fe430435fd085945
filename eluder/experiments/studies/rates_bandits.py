"""The declared exponents of the stochastic bandits, and the constant of Lai and Robbins, on one easy bandit.

A million rounds: where an exponent of 0 is declared (a regret of order ln T), the slope of the last decade is
near 1 / ln T = 0.07; where 0.5 is declared, that is for the worst bandit and not for this one.
"""

problems = {"Bernoulli": ("bernoulli_bandit", {"means": [0.3, 0.45, 0.6, 0.5]})}
algorithms = {
    "UCB1": "ucb1",
    "UCB-V": "ucb_v",
    "MOSS": "moss",
    "KL-UCB, 3 ln ln t": ("kl_ucb", {"loglog": 3.0}),
    "KL-UCB": "kl_ucb",
    "KL-UCB++": "kl_ucb_plus_plus",
    "IMED": "imed",
    "Thompson": "thompson",
    "Thompson, Gaussian": ("thompson", {"prior": "gaussian"}),
    "Bayes-UCB": "bayes_ucb",
    "epsilon-greedy, decaying": ("epsilon_greedy", {"gap": 0.1}),
    "epsilon-greedy": "epsilon_greedy",
    "successive elimination": ("successive_elimination", {"delta": 1e-6}),
    "Tsallis-INF": "tsallis_inf",
    "EXP3++": "exp3_plus_plus",
}
seeds = 20
budget = 1_000_000
