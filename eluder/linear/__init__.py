"""Algorithms for problems that are linear in features."""
