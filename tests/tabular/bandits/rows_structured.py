"""Contract rows of recovering, fair and contextual bandits, and of off-policy evaluation."""

ROWS = []
