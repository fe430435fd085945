"""Arguments of the explorers of linear problems: defaults are those documented, extremes are refused."""

import dataclasses
import inspect
import re

import numpy as np
import pytest

from eluder.linear.exploration._lsvi_phe import samples
from tests.linear.exploration import rows_exploration
from tests.linear.mixture import rows_mixture
from tests.linear.reward_free import rows_reward_free

ROWS = [*rows_exploration.ROWS, *rows_mixture.ROWS, *rows_reward_free.ROWS]
IDS = [row.name for row in ROWS]


def by_name(name):
    return next(row for row in ROWS if row.name.endswith(f".{name}"))


def arrays(result):
    found = {f.name: np.asarray(getattr(result, f.name)) for f in dataclasses.fields(result)}
    if hasattr(result, "plan"):
        plan = result.plan(np.full(result.N.shape, 1 / len(result.N)))
        found |= {"V": plan.V, "gap": np.asarray(plan.gap)}
    return {name: np.where(np.isneginf(x), 0.0, x) for name, x in found.items() if x.dtype.kind in "fi"}


def same(a, b):
    a, b = arrays(a), arrays(b)
    return all(np.array_equal(a[name], b[name]) for name in a)


# --- defaults ---


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_defaults_are_those_of_the_docstring(row):
    """``name : type, default=x``; the failure probability is 0.05 and the scale 1 in all of the library."""
    doc, parameters = inspect.getdoc(row.function), inspect.signature(row.function).parameters
    for name, parameter in parameters.items():
        (line,) = re.findall(rf"^{name} : (.*)$", doc, re.MULTILINE)
        documented = re.search(r"default=(\S+)$", line)
        if documented:
            assert repr(parameter.default).replace("'", '"') == documented[1]
        elif line.endswith("optional"):
            assert parameter.default is None
        else:
            assert parameter.default is inspect.Parameter.empty
    assert parameters["c"].default == 1.0
    assert "delta" not in parameters or parameters["delta"].default == 0.05


# What an argument that is left out stands for, and another value.
OPTIONAL = [
    ("ucrl_vtr", "lam", lambda mdp: 1 / mdp.B**2),
    ("ucrl_vtr_plus", "lam", lambda mdp: 1 / mdp.B**2),
    ("hf_ucrl_vtr_plus", "lam", lambda mdp: mdp.phi.shape[-4] / mdp.B**2),
    ("ucrl_rfe", "lam", lambda mdp: 1 / mdp.B**2),
    ("ucrl_rfe_plus", "lam", lambda mdp: 1 / mdp.B**2),
    ("hf_ucrl_rfe_plus_plus", "lam", lambda mdp: mdp.phi.shape[-4] / mdp.B**2),
    ("lsvi_ucb_plus_plus", "lam", lambda mdp: 1 / mdp.H**2),
    ("lsvi_ucb_plus_plus", "d3", lambda mdp: float(mdp.phi.shape[2] ** 3)),
    ("lsvi_phe", "num_samples", lambda mdp: samples(mdp.phi.shape[2], 0.05)),
    ("oppo", "rewards", lambda mdp: np.broadcast_to(mdp.r, (1, mdp.H, *mdp.mask.shape))),
]


@pytest.mark.parametrize(("name", "argument", "value"), OPTIONAL, ids=[f"{n}-{a}" for n, a, _ in OPTIONAL])
def test_what_is_left_out_is_what_the_docstring_says(name, argument, value):
    row = by_name(name)
    problem, left_out = row.problem(), dataclasses.replace(row)
    left_out.kwargs = {key: x for key, x in row.kwargs.items() if key != argument} | {"c": 0.001}
    if argument == "d3":  # with the theorem's a plan comes late, unless the ridge is small
        left_out.kwargs |= {"lam": 1e-8, "c": 0.0}
    stated = value(problem)
    other = np.asarray(stated) / 2 if name == "oppo" else 2 * stated
    assert same(left_out.call(problem=problem), left_out.call(problem=problem, **{argument: stated}))
    assert not same(left_out.call(problem=problem), left_out.call(problem=problem, **{argument: other}))
    assert re.search(rf"^{argument} : .*optional$", inspect.getdoc(row.function), re.MULTILINE)


def test_every_optional_argument_is_listed():
    listed = {(name, argument) for name, argument, _ in OPTIONAL}
    listed |= {("hf_ucrl_rfe_plus_plus", x) for x in ("rewards", "models")}  # sets of their own, tested there
    for row in ROWS:
        for name, parameter in inspect.signature(row.function).parameters.items():
            assert parameter.default is not None or (row.name.rpartition(".")[2], name) in listed


# --- extremes ---

EXTREMES = [5e-324, 1e-150, 1e-12, 1e12, 1e90, 1e150, 1.7e308]


@pytest.mark.filterwarnings("ignore:the gap is trivial")
@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_extreme_arguments_give_an_error_or_numbers(row):
    refused = 0
    for argument in {"c", "lam", "delta", "d3"} & set(inspect.signature(row.function).parameters):
        for x in EXTREMES:
            message, found = "", {}
            try:
                found = arrays(row.call(**{argument: x}))
            except ValueError as error:
                message = str(error)
                refused += 1
            assert found or re.search(rf"\b{argument}\b", message), message
            for name, numbers in found.items():
                assert np.isfinite(numbers).all(), f"{argument} = {x}: {name}"
    assert refused > 0


@pytest.mark.parametrize("row", rows_mixture.ROWS + rows_reward_free.ROWS[1:], ids=lambda row: row.name)
@pytest.mark.parametrize("B", [1e60, 1e200])
def test_bounds_that_are_too_large_are_named(row, B):
    with pytest.raises(ValueError, match=r"\bB is"):
        row.call(problem=row.problem()._replace(B=B))
