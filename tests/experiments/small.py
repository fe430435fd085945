"""A study that takes a second, shared by the tests of experiments."""

import hashlib

from eluder.experiments import Study

PROBLEMS = {
    "River": ("river_swim", {"S": 4, "H": 5}),
    "Garnet": ("garnet", {"S": 5, "A": 2, "branching": 2, "H": 4}),
}
ALGORITHMS = {
    "Hoeffding": ("ucbvi", {"c": 0.02}),
    "Bernstein": ("ucbvi", {"bonus": "bernstein", "c": 0.02}),
}


def small(**changes):
    data = {
        "problems": PROBLEMS,
        "algorithms": ALGORITHMS,
        "budget": 300,
        "seeds": 3,
        "epsilons": (0.5, 0.01),
    }
    return Study(**{**data, "name": "small", **changes})


def fingerprints(out):
    """Hash of every cell's numbers, by file name."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (out / "cells").glob("*.npz")}


def numbers(table):
    """The table of cells without what may differ between two runs of the same code."""
    return table.cells.drop(columns=["seconds", "commit"])
