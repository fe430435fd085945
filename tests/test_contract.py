"""What every public algorithm keeps: one row each, and none can be forgotten."""

import dataclasses
import importlib
import inspect
import json
import os
import pkgutil
import subprocess
import sys

import numpy as np
import pytest

from eluder.core.guarantees import guarantees
from eluder.core.results import BanditResult, IdentificationResult, OnlineResult, PlanResult
from eluder.experiments.catalogue import AREAS
from tests.contract import BUDGET, DELTA, RNG, SCALE, STEPS, Row
from tests.instances import random_discounted, random_episodic
from tests.linear.adversarial import rows_adversarial as rows_losses
from tests.linear.bandits import rows_linear
from tests.linear.exploration import rows_exploration
from tests.linear.mixture import rows_mixture
from tests.linear.offline import rows_offline
from tests.linear.reward_free import rows_reward_free
from tests.linear.robust import rows_robust
from tests.tabular.bandits import rows_adversarial, rows_identification, rows_stochastic, rows_structured


def episodic():
    return random_episodic(S=4, A=3, H=3, seed=1, masked=True, bernoulli=True)


def discounted():
    return random_discounted(S=4, A=3, gamma=0.9, seed=1, masked=True)


def average():
    return random_discounted(S=4, A=3, gamma=1.0, seed=1, masked=True, bernoulli=True)


PLAN = (
    ({"tol": 0.0}, r"tol must be in \(0, inf"),
    ({"tol": float("nan")}, "tol must be in"),
    ({"max_iter": 0}, "max_iter must be at least 1"),
)
TAU = (({"tau": 0.0}, r"tau must be in \(0, 1e"), ({"ref": [[2.0] * 3] * 4}, r"ref\[0\] sums to 6, not 1"))

ALGORITHMS = [
    # --- tabular.exploration ---
    Row(
        "tabular.exploration.ucbvi",
        episodic,
        args=(200,),
        kwargs={"c": 0.02, "bonus": "bernstein"},
        errors=(*BUDGET, *RNG, *DELTA, *SCALE, ({"bonus": "x"}, "bonus must be 'hoeffding' or")),
    ),
    Row(
        "tabular.exploration.epsilon_greedy_q_learning",
        episodic,
        args=(200,),
        kwargs={"epsilon": 0.3},
        errors=(
            *BUDGET,
            *RNG,
            ({"epsilon": 1.5}, r"epsilon must be in \[0, 1\]"),
            ({"decay": -1.0}, r"decay must be in \[0, inf"),
        ),
    ),
    Row(
        "tabular.exploration.boltzmann_q_learning",
        episodic,
        args=(200,),
        kwargs={"decay": 0.5},
        errors=(
            *BUDGET,
            *RNG,
            ({"temperature": 0.0}, r"temperature must be in \(0, inf"),
            ({"decay": float("nan")}, "decay must be in"),
        ),
    ),
    Row("tabular.exploration.greedy_certainty_equivalence", episodic, args=(200,), errors=(*BUDGET, *RNG)),
    Row("tabular.exploration.random_policy", episodic, args=(200,), errors=(*BUDGET, *RNG)),
    Row("tabular.exploration.oracle_policy", episodic, args=(200,), errors=(*BUDGET, *RNG)),
    Row(
        "tabular.exploration.kl_ucrl",
        average,
        args=(3000,),
        errors=(*STEPS, *RNG, *DELTA),
    ),
    Row(
        "tabular.exploration.ucrl2",
        average,
        args=(3000,),
        errors=(*STEPS, *RNG, *DELTA),
    ),
    Row(
        "tabular.exploration.euler",
        episodic,
        args=(200,),
        kwargs={"c": 0.02},
        errors=(*BUDGET, *RNG, *DELTA, *SCALE),
    ),
    Row(
        "tabular.exploration.psrl",
        episodic,
        args=(50,),
        errors=(
            *BUDGET,
            *RNG,
            ({"prior": 0.0}, r"prior must be in \(0, 1e\+100\]"),
            ({"prior": 1e308}, "prior must be in"),
            ({"sampling": "x"}, "sampling must be 'lumped' or 'full'"),
        ),
    ),
    Row(
        "tabular.exploration.ucb_q_learning",
        episodic,
        args=(200,),
        kwargs={"c": 0.02, "bonus": "bernstein"},
        errors=(*BUDGET, *RNG, *DELTA, *SCALE, ({"bonus": "x"}, "bonus must be 'hoeffding' or")),
    ),
    # --- tabular.planning ---
    *(
        Row(
            f"tabular.planning.{name}",
            discounted,
            kwargs=kwargs,
            result=PlanResult,
            seeded=False,
            errors=errors,
        )
        for name, kwargs, errors in (
            ("value_iteration", {}, (*PLAN, ({"sweep": "x"}, "sweep must be 'jacobi' or 'gauss_seidel'"))),
            ("modified_policy_iteration", {}, (*PLAN, ({"sweeps": -1}, "sweeps must be at least 0"))),
            ("policy_iteration", {}, PLAN),
            ("anderson_value_iteration", {}, (*PLAN, ({"memory": 0}, "memory must be at least 1"))),
            ("prioritized_sweeping", {}, PLAN),
            ("linear_program", {}, (*PLAN, ({"form": "x"}, "form must be 'primal' or 'dual'"))),
            ("relative_value_iteration", {}, (*PLAN, ({"step": 0.0}, r"step must be in \(0, 1\]"))),
            ("average_policy_iteration", {}, PLAN),
            ("soft_value_iteration", {"tau": 0.1}, (*PLAN, *TAU)),
        )
    ),
    Row("tabular.planning.backward_induction", episodic, result=PlanResult, seeded=False),
    Row(
        "tabular.planning.soft_backward_induction",
        episodic,
        kwargs={"tau": 0.1},
        result=PlanResult,
        seeded=False,
        errors=TAU,
    ),
    # --- tabular.bandits ---
    *rows_stochastic.ROWS,
    *rows_identification.ROWS,
    *rows_adversarial.ROWS,
    *rows_structured.ROWS,
    # --- linear.adversarial ---
    *rows_losses.ROWS,
    # --- linear.bandits ---
    *rows_linear.ROWS,
    # --- linear.exploration ---
    *rows_exploration.ROWS,
    # --- linear.mixture ---
    *rows_mixture.ROWS,
    # --- linear.offline ---
    *rows_offline.ROWS,
    # --- linear.robust ---
    *rows_robust.ROWS,
    # --- linear.reward_free ---
    *rows_reward_free.ROWS,
]
IDS = [row.name for row in ALGORITHMS]


def public_algorithms():
    """Every name in the `__all__` of the sub-areas."""
    for room in AREAS:
        for _, module, is_package in pkgutil.walk_packages(
            importlib.import_module(room).__path__, f"{room}."
        ):
            for name in importlib.import_module(module).__all__ if is_package else []:
                yield f"{module.removeprefix('eluder.')}.{name}"


def arrays(result):
    return {
        f.name: np.asarray(getattr(result, f.name))
        for f in dataclasses.fields(result)
        if f.name != "status" and getattr(result, f.name) is not None
    }


def test_no_algorithm_is_forgotten():
    assert sorted(set(IDS)) == sorted(public_algorithms())


@pytest.mark.parametrize("row", ALGORITHMS, ids=IDS)
def test_types_and_shapes(row):
    problem = row.problem()
    result = row.call(problem=problem)
    assert isinstance(result, row.result)
    kinds = {BanditResult: check_bandit, IdentificationResult: check_identification}
    check = row.check or kinds.get(row.result, check_policy)
    check(row, problem, result)


def check_bandit(row, problem, result):
    T = row.args[0]
    assert result.checkpoints.dtype == result.pulls.dtype == np.int64
    assert result.checkpoints[0] == 1
    assert result.checkpoints[-1] == T
    assert (np.diff(result.checkpoints) > 0).all()
    assert result.regret.shape == result.value.shape == result.checkpoints.shape
    assert np.isfinite(result.regret).all()
    assert np.isfinite(result.value).all()
    assert (result.pulls >= 0).all()


def check_identification(row, problem, result):
    (A,) = result.pulls.shape
    assert isinstance(result.arm, int)
    assert 0 <= result.arm < A
    assert result.pulls.dtype == np.int64
    assert result.means.shape == (A,)
    assert np.isfinite(result.means[result.pulls > 0]).all()
    assert result.status == "stopped"


def check_policy(row, problem, result):
    S, A = problem.mask.shape
    lead = (problem.H,) if hasattr(problem, "H") else ()
    assert result.Q.shape == (*lead, S, A)
    assert result.pi.shape[: len(lead) + 1] == (*lead, S)
    available = np.broadcast_to(problem.mask, (*lead, S, A))
    if result.pi.ndim == len(lead) + 1:
        assert result.pi.dtype == np.int64
        assert np.take_along_axis(available, result.pi[..., None], -1).all()
    else:
        assert (result.pi[~available] == 0).all()
        np.testing.assert_allclose(result.pi.sum(axis=-1), 1)
    if isinstance(result, OnlineResult):
        assert result.value.shape == result.upper.shape == (row.args[0],)
        assert np.isfinite(result.value).all()
        assert result.N.dtype == np.int64
        by_stage = result.N.sum(axis=(-2, -1))
        assert (by_stage == row.args[0]).all(), "each stage is played once per episode"
        assert (result.N[~available] == 0).all(), "an unavailable action was played"
    if isinstance(result, PlanResult):
        assert result.V.shape == (*lead, S)
        assert result.status == "converged"
        assert result.gap >= 0


@pytest.mark.parametrize("row", [r for r in ALGORITHMS if r.seeded], ids=lambda r: r.name)
def test_same_seed_same_run(row):
    a, b = arrays(row.call(seed=3)), arrays(row.call(seed=3))
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.parametrize("row", ALGORITHMS, ids=IDS)
def test_inputs_unmodified(row):
    problem = row.problem()
    before = [np.array(x) for x in problem]
    row.call(problem=problem)
    for x, y in zip(problem, before, strict=True):
        np.testing.assert_array_equal(np.array(x), y)


@pytest.mark.parametrize(
    ("row", "change", "message"),
    [pytest.param(r, *e, id=f"{r.name}-{i}") for r in ALGORITHMS for i, e in enumerate(r.errors)],
)
def test_errors_by_message(row, change, message):
    with pytest.raises(ValueError, match=message):
        row.call(**change)


@pytest.mark.parametrize("row", ALGORITHMS, ids=IDS)
def test_refuses_another_kind_of_problem(row):
    """A problem of another kind has the same fields: read silently, it would give a wrong number."""
    other = discounted() if hasattr(row.problem(), "H") else episodic()
    first = next(iter(inspect.signature(row.function).parameters))
    with pytest.raises(ValueError, match=rf"^{first} must be an? {type(row.problem()).__name__}"):
        row.call(problem=other)


@pytest.mark.parametrize("row", ALGORITHMS, ids=IDS)
def test_declares_its_guarantee(row):
    assert guarantees(row.function)
    for g in guarantees(row.function):
        assert g.statement
        assert g.paper.title
        assert set(g.when) <= set(inspect.signature(row.function).parameters)


def all_runs():
    """Every row's result as lists, for the comparison with plain Python."""
    return {row.name: {k: v.tolist() for k, v in arrays(row.call()).items()} for row in ALGORITHMS}


def test_jit_equals_python():
    """The compiled kernels give the numbers of the Python functions they were made from."""
    code = "import json; from tests.test_contract import all_runs; print(json.dumps(all_runs()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    python = json.loads(done.stdout.splitlines()[-1])
    for name, compiled in all_runs().items():
        for key, x in compiled.items():
            np.testing.assert_allclose(
                np.array(python[name][key], float), np.array(x, float), rtol=1e-9, atol=1e-12,
                err_msg=f"{name}.{key}",
            )  # fmt: skip
