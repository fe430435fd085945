"""Names and parameters: found in the library, checked against signatures, refused with the valid ones."""

import math
from typing import Literal

import numpy as np
import pytest

from eluder.core.guarantees import Paper
from eluder.envs import river_swim
from eluder.experiments.catalogue import (
    AREAS,
    algorithms,
    arguments,
    call_parameters,
    check_problem,
    cite,
    find,
    functions,
    refuse_unknown,
)
from eluder.tabular.exploration import ucbvi
from eluder.tabular.planning import backward_induction, value_iteration


def example(
    mdp,
    K,
    *,
    kind: Literal["a", "b"] = "a",
    scale: float = 1.0,
    count: int = 3,
    limit: int | None = None,
    flag: bool = False,
    table: dict[str, int] | None = None,
    name: str,
    rng: np.random.Generator,
):
    """Take one parameter of each kind."""


def test_functions_are_those_of_all_rooms():
    found = functions("eluder.tabular")
    assert found["ucbvi"] is ucbvi
    assert found["value_iteration"] is value_iteration
    assert not [name for name, f in found.items() if f.__name__ != name]
    assert set(found) | set(functions("eluder.linear")) == set(algorithms())
    assert AREAS == ("eluder.tabular", "eluder.linear")


def test_find_by_name_and_by_module():
    assert find("algorithm", "ucbvi", {"ucbvi": ucbvi}) is ucbvi
    assert find("algorithm", "math:sqrt", {}) is math.sqrt
    with pytest.raises(ValueError, match=r"unknown algorithm 'ucb', did you mean 'ucbvi'\? Valid: ucbvi"):
        find("algorithm", "ucb", {"ucbvi": ucbvi})
    for name in ("math:nothing", "no.such.module:f", ":f"):
        with pytest.raises(ValueError, match=f"algorithm '{name}' cannot be imported"):
            find("algorithm", name, {})


def test_refuse_unknown_names_the_first():
    refuse_unknown("key", ["b"], ["a", "b"])
    with pytest.raises(ValueError, match=r"unknown key 'zzz'. Valid: a, b"):
        refuse_unknown("key", ["b", "zzz", "y"], ["a", "b"])
    with pytest.raises(ValueError, match="Valid: none"):
        refuse_unknown("key", ["x"], [])


def test_parameters_are_those_plain_data_can_set():
    names = ["kind", "scale", "count", "limit", "flag", "table", "name"]
    assert list(call_parameters(example, skip=2)) == names
    assert list(call_parameters(example)) == ["mdp", "K", *names]


def test_arguments_are_completed_and_converted():
    given = {"name": "x", "scale": 2, "count": 4.0, "limit": 5}
    complete = arguments("E", example, given, skip=2)
    assert complete == {
        "kind": "a", "scale": 2.0, "count": 4, "limit": 5, "flag": False, "table": None, "name": "x",
    }  # fmt: skip
    assert type(complete["scale"]) is float
    assert type(complete["count"]) is int
    assert list(complete) == list(call_parameters(example, skip=2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"E: name is required \(example\(kind='a', scale=1.0, "),
        ({"name": "x", "nam": "x"}, "unknown parameter of E: 'nam', did you mean 'name'"),
        ({"name": "x", "rng": 3}, "unknown parameter of E: 'rng'"),
        ({"name": 3}, "E: name must be of type str, got 3"),
        ({"name": "x", "kind": "c"}, "E: kind must be one of 'a', 'b', got 'c'"),
        ({"name": "x", "scale": "big"}, "E: scale must be of type float, got 'big'"),
        ({"name": "x", "scale": True}, "E: scale must be of type float, got True"),
        ({"name": "x", "count": 2.5}, "E: count must be of type int, got 2.5"),
        ({"name": "x", "limit": "none"}, "E: limit must be of type int or None, got 'none'"),
        ({"name": "x", "flag": 1}, "E: flag must be of type bool, got 1"),
    ],
)
def test_arguments_refuse(given, message):
    with pytest.raises(ValueError, match=message):
        arguments("E", example, given, skip=2)


def test_what_is_not_plain_is_left_to_the_function():
    assert arguments("E", example, {"name": "x", "table": {"a": 1}}, skip=2)["table"] == {"a": 1}


def test_problems_fit_algorithms_or_are_refused():
    episodic, discounted = river_swim(H=3), river_swim(gamma=0.9)
    check_problem("b", backward_induction, "R", episodic)
    check_problem("v", value_iteration, "R", discounted)
    with pytest.raises(ValueError, match="b needs EpisodicMDP, R is DiscountedMDP: H makes the former"):
        check_problem("b", backward_induction, "R", discounted)
    with pytest.raises(ValueError, match="v needs DiscountedMDP, R is EpisodicMDP: gamma makes the former"):
        check_problem("v", value_iteration, "R", episodic)
    check_problem("e", example, "R", episodic)  # no annotation, no opinion


def test_papers_as_one_line():
    assert cite(Paper("A title", "Doe, Roe", "ICML", 2020)) == "Doe, Roe. A title. ICML, 2020."
    assert cite(Paper("Why?", "Doe", "ICML", 2020, "1.2")) == "Doe. Why? ICML, 2020. arXiv:1.2"
