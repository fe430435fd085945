"""Algorithms for finite problems."""
