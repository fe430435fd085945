"""Contract rows of best-arm identification, changing rewards, combinatorial and duelling bandits."""

ROWS = []
