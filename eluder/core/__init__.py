"""The vocabulary: problems, results, checks, kernels and exact answers. Imports nothing else of ours."""
