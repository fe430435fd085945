"""The kit of the deep agents: random numbers, networks, densities, checkpoints; seeds are a leading axis."""
