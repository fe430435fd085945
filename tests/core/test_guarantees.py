"""Guarantees as data."""

import dataclasses
import inspect
import sys
import types

import numpy as np
import pytest

from eluder.core.guarantees import Guarantee, Paper, guarantee, guarantees
from eluder.core.kernels import sample
from eluder.experiments.catalogue import algorithms
from eluder.tabular.exploration import ucbvi

PAPER = Paper("Title", "Author", "Venue", 2000)


@pytest.fixture
def algorithm(monkeypatch):
    """An algorithm in a module of its own, with two variants."""
    module = types.ModuleType("made_for_this_test")
    exec("def learner(mdp, K, *, kind='a', c=1.0, rng): ...", module.__dict__)
    module.GUARANTEES = tuple(
        Guarantee(PAPER, "episodic regret", f"statement {kind}", when={"kind": kind}) for kind in "ab"
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.learner


def test_defaults_and_arguments_choose_the_variant(algorithm):
    assert len(guarantees(algorithm)) == 2
    assert guarantee(algorithm).statement == "statement a"
    assert guarantee(algorithm, kind="b", c=0.1).statement == "statement b"
    assert guarantee(algorithm, kind="c") is None


def test_without_a_declaration_there_is_an_error():
    with pytest.raises(ValueError, match="sample declares no GUARANTEES"):
        guarantees(getattr(sample, "py_func", sample))


def test_a_declaration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        guarantees(ucbvi)[0].exponent = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        PAPER.year = 1


# What a bound may depend on, beside the budget; 2 for what is not here.
SIZES = {
    "A": 3,
    "delta": 0.1,
    "gaps": np.array([0.0, 0.2, 0.3]),
    "advice": np.eye(3),
    "graph": np.eye(3, dtype=bool),
}


def declared():
    """Every guarantee of the library that has a bound and an exponent."""
    for algorithm in algorithms().values():
        for g in guarantees(algorithm):
            if g.bound is not None and g.exponent is not None:
                yield pytest.param(g, id=f"{algorithm.__name__} {dict(g.when)}")


@pytest.mark.parametrize("g", list(declared()))
def test_a_bound_grows_with_its_exponent(g):
    """The declared exponent of K (or T) is that of the bound itself, logarithms aside."""
    parameters = inspect.signature(g.bound).parameters
    budget = "K" if "K" in parameters else "T"
    needed = [name for name, p in parameters.items() if p.default is p.empty]
    values = {name: SIZES.get(name, 2) for name in needed}
    low, high = (g.bound(**{**values, budget: n}) for n in (10**14, 10**16))
    assert np.isclose(np.log(high / low) / np.log(100), g.exponent, atol=0.06)
