"""Contract rows of the adversarial bandits."""

ROWS = []
