"""Every planner for discounted problems against linear programs, enumeration and hand-worked answers."""

import itertools
import warnings
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given

from eluder.core.problems import DiscountedMDP
from eluder.envs import from_gymnasium
from eluder.tabular.planning import (
    _anderson_value_iteration,
    _policy_iteration,
    anderson_value_iteration,
    linear_program,
    modified_policy_iteration,
    policy_iteration,
    prioritized_sweeping,
    value_iteration,
)
from eluder.tabular.planning._policy_iteration import policy_system
from tests.instances import random_discounted
from tests.tabular.planning import naive, problems

PLANNERS = {
    "value_iteration": value_iteration,
    "gauss_seidel": lambda mdp, **kw: value_iteration(mdp, sweep="gauss_seidel", **kw),
    "modified_policy_iteration": modified_policy_iteration,
    "no_sweeps": lambda mdp, **kw: modified_policy_iteration(mdp, sweeps=0, **kw),
    "policy_iteration": policy_iteration,
    "anderson_value_iteration": anderson_value_iteration,
    "prioritized_sweeping": prioritized_sweeping,
    "primal": lambda mdp, **kw: linear_program(mdp, form="primal", **kw),
    "dual": lambda mdp, **kw: linear_program(mdp, form="dual", **kw),
}
SWEEPING = [name for name in PLANNERS if name not in ("primal", "dual")]


def check(result, mdp, V_star, tol, slack=0.0):
    """The certificate is true, reached `tol`, and Q and pi belong to V."""
    assert result.status == "converged"
    assert np.abs(result.V - V_star).max() <= result.gap + slack
    assert result.gap <= tol
    np.testing.assert_allclose(result.Q.max(axis=1), result.V, atol=1e-12 * max(1, np.abs(V_star).max()))
    np.testing.assert_array_equal(np.isneginf(result.Q), ~mdp.mask)
    loss = V_star - naive.policy_value(mdp, result.pi)
    assert loss.max() <= 2 * result.gap / (1 - mdp.gamma) + slack


# --- theorem: |V - V*| <= gap <= tol ---


@pytest.mark.parametrize("planner", PLANNERS)
@pytest.mark.parametrize("tol", [1e-1, 1e-6, 1e-9])
@pytest.mark.parametrize("sparse", [False, True])
def test_certificate_is_true(planner, tol, sparse):
    for seed, gamma in enumerate((0.0, 0.3, 0.9, 0.99)):
        mdp = random_discounted(4, 3, gamma, seed, masked=True, sparse=sparse, branching=2)
        check(PLANNERS[planner](mdp, tol=tol), mdp, naive.enumerated_value(mdp), tol, 1e-13 / (1 - gamma))


@pytest.mark.parametrize("sparse", [False, True])
def test_planners_agree_on_random_problems(sparse):
    """100 random problems dense, 100 sparse: all within the promised accuracy of one another."""
    for seed in range(100):
        S, A, gamma = (6, 3, 0.9) if seed % 2 else (8, 2, 0.97)
        mdp = random_discounted(S, A, gamma, seed, masked=seed % 3 == 0, sparse=sparse, branching=3)
        results = [planner(mdp, tol=1e-7) for planner in PLANNERS.values()]
        V = naive.policy_value(mdp, results[0].pi)
        for result in results:
            assert result.gap <= 1e-7
            assert np.abs(result.V - results[0].V).max() <= result.gap + results[0].gap
        assert np.abs(V - naive.action_values(mdp, V).max(axis=1)).max() < 1e-7


@pytest.mark.parametrize("env", ["FrozenLake-v1", "Taxi-v4", "CliffWalking-v1"])
def test_planners_agree_with_the_linear_program_on_gymnasium(env):
    gymnasium = pytest.importorskip("gymnasium")
    mdp = from_gymnasium(gymnasium.make(env), gamma=0.99, sparse=True)
    V_star = naive.optimal_value(mdp) if mdp.r.shape[0] < 100 else linear_program(mdp).V
    for name, planner in PLANNERS.items():
        if name not in ("primal", "dual"):
            result = planner(mdp, tol=1e-6)
            assert result.status == "converged"
            assert np.abs(result.V - V_star).max() <= result.gap + 1e-8


@pytest.mark.parametrize("planner", PLANNERS)
@pytest.mark.parametrize("gamma", [0.95, 0.5])
def test_puterman_example_6_2_1(planner, gamma):
    """V* = ((5 - 5.5 g)/((1 - g/2)(1 - g)), -1/(1-g)) if g > 10/11, else the first is 10 - g/(1-g)."""
    second = -1 / (1 - gamma)
    first = (5 - 5.5 * gamma) / ((1 - 0.5 * gamma) * (1 - gamma)) if gamma > 10 / 11 else 10 + gamma * second
    result = PLANNERS[planner](problems.puterman(gamma), tol=1e-9)
    np.testing.assert_allclose(result.V, [first, second], atol=1e-9)
    np.testing.assert_array_equal(result.pi, [0 if gamma > 10 / 11 else 1, 0])


@pytest.mark.parametrize("planner", PLANNERS)
def test_corridor_by_hand(planner):
    """One reward, L - 2 - s steps away."""
    result = PLANNERS[planner](problems.corridor(12, 0.9), tol=1e-9)
    np.testing.assert_allclose(result.V, [*(0.9 ** np.arange(10, -1, -1)), 0.0], atol=1e-9)


@pytest.mark.parametrize("planner", SWEEPING)
def test_near_one(planner):
    """gamma = 0.9999: far from 0 by a constant, and no sweep alone removes it."""
    mdp = random_discounted(4, 2, 0.9999, 0)
    V_star = naive.enumerated_value(mdp)
    result = PLANNERS[planner](mdp, tol=1e-5)
    check(result, mdp, V_star, 1e-5, 1e-8)
    assert result.num_iter < 2000


# --- peers' defects ---


@pytest.mark.parametrize("n", [5, 12])
@pytest.mark.parametrize("sparse", [False, True])
def test_policy_iteration_ends_with_ties(n, sparse):
    """Symmetric grids: comparing policies for equality cycles for ever here."""
    result = policy_iteration(problems.grid(n, 0.95, sparse=sparse), max_iter=100)
    assert result.status == "converged"
    assert np.isclose(result.V[0], 0.95 ** (2 * n - 2) / 0.05)


def test_policy_iteration_ends_with_ties_60x60():
    result = policy_iteration(problems.grid(60, 0.999, slip=0.1), tol=1e-6, max_iter=200)
    assert result.status == "converged"


def test_value_iteration_returns_the_midpoint():
    """A stop by span leaves the plain iterate far away by a constant; what is returned is not."""
    mdp = random_discounted(6, 3, 0.999, 1)
    result = value_iteration(mdp, tol=1e-3)
    V = np.zeros(6)
    for _ in range(result.num_iter):
        V = naive.action_values(mdp, V).max(axis=1)
    V_star = naive.enumerated_value(mdp)
    assert np.abs(result.V - V_star).max() <= 1e-3
    assert np.abs(V - V_star).max() > 100


@pytest.mark.parametrize("gamma", [0.9, 0.99, 0.999])
def test_gauss_seidel_has_the_right_value(gamma):
    mdp = random_discounted(10, 3, gamma, 3, branching=3, sparse=True)
    check(value_iteration(mdp, sweep="gauss_seidel"), mdp, policy_iteration(mdp).V, 1e-8, 1e-10)


def test_gauss_seidel_is_no_trap():
    """With a stop by maximum norm this takes 1/(1-gamma) times as many sweeps."""
    mdp = random_discounted(50, 3, 0.999, 3, branching=10, sparse=True)
    assert value_iteration(mdp, sweep="gauss_seidel", tol=1e-6).num_iter < 500


@pytest.mark.parametrize("form", ["primal", "dual"])
def test_solver_status_is_not_swallowed(form):
    mdp = random_discounted(30, 4, 0.99, 0)
    with pytest.warns(RuntimeWarning, match="the linear program was not solved"):
        result = linear_program(mdp, form=form, max_iter=1)
    assert "raise max_iter" in result.status
    assert np.abs(result.V - policy_iteration(mdp).V).max() <= result.gap


@pytest.mark.parametrize("planner", ["value_iteration", "gauss_seidel", "modified_policy_iteration"])
def test_not_converged_is_said(planner):
    mdp = problems.grid(8, 0.99, slip=0.1)
    with pytest.warns(RuntimeWarning, match="not converged"):
        result = PLANNERS[planner](mdp, max_iter=2)
    assert "raise max_iter" in result.status
    assert result.num_iter == 2
    assert np.abs(result.V - policy_iteration(mdp).V).max() <= result.gap


@pytest.mark.parametrize("planner", SWEEPING)
def test_too_small_a_tolerance_is_said(planner):
    mdp = random_discounted(5, 2, 0.999, 0)
    with pytest.warns(RuntimeWarning, match="ask for a larger tol"):
        result = PLANNERS[planner](mdp, tol=1e-15)
    assert np.abs(result.V - naive.enumerated_value(mdp)).max() <= result.gap < 1e-7


@pytest.mark.parametrize("planner", ["value_iteration", "gauss_seidel"])
def test_periodic_problems_near_one(planner):
    """A large constant in V costs digits: here the certificate then stops at 7e-8 for ever."""
    mdp = random_discounted(10, 2, 0.999, 2, branching=1)
    result = PLANNERS[planner](mdp, tol=1e-8, max_iter=60_000)
    assert result.status == "converged"
    assert np.abs(result.V - policy_iteration(mdp).V).max() <= 2e-8


@pytest.mark.parametrize("form", ["primal", "dual"])
@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e12, 1e100])
def test_linear_program_has_no_unit(form, scale):
    """The solver's tolerances are absolute, the unit of rewards is not ours to choose."""
    mdp = random_discounted(6, 3, 0.99, 1, masked=True)
    result = linear_program(mdp._replace(r=(mdp.r - 0.5) * scale), form=form, tol=1e-10 * scale)
    assert result.status == "converged"
    np.testing.assert_array_equal(result.pi, policy_iteration(mdp).pi)


@pytest.mark.parametrize("planner", PLANNERS)
def test_certificate_is_true_in_exact_arithmetic(planner):
    """Rounding, rows that miss 1 and discounts near 1 included: V* by rational numbers."""
    for seed, gamma in enumerate((0.0, 0.5, 0.999, 1 - 1e-6, 1 - 1e-8)):
        mdp = random_discounted(3, 2, gamma, seed, masked=True, branching=1 + seed % 3)
        P = mdp.P * (1 + 9e-9 * np.random.default_rng(seed).uniform(-1, 1, (3, 2, 1)))
        mdp = mdp._replace(P=P, r=(mdp.r - 0.5) * 10.0 ** (3 * seed - 6))
        V_star = naive.exact_value(mdp)
        for tol in (1e-300, 1e-2 * np.abs(mdp.r).max()):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = PLANNERS[planner](mdp, tol=tol, max_iter=20_000)
            error = max(abs(Fraction(v) - w) for v, w in zip(result.V.tolist(), V_star, strict=True))
            assert error <= result.gap


# --- what each is for ---


def test_prioritized_sweeping_wins_in_a_corridor():
    """O(S) backups of states where value iteration makes S sweeps of S."""
    L = 400
    mdp = problems.corridor(L, 0.99)
    assert prioritized_sweeping(mdp).num_iter < 10 * L
    assert value_iteration(mdp).num_iter * L > 0.9 * L**2


def test_modified_policy_iteration_improves_less_often():
    mdp = problems.grid(15, 0.99, slip=0.1)
    assert modified_policy_iteration(mdp).num_iter < 0.6 * value_iteration(mdp).num_iter


def test_anderson_wins_where_mixing_is_slow():
    """A random walk on a line, mixing in S^2 steps."""
    S = 60
    P = np.zeros((S, 1, S))
    s = np.arange(S)
    P[s, 0, np.maximum(s - 1, 0)] += 0.5
    P[s, 0, np.minimum(s + 1, S - 1)] += 0.5
    mdp = DiscountedMDP(P, s[:, None] / S, np.full(S, 1 / S), 0.999)
    plain, fast = value_iteration(mdp, tol=1e-6), anderson_value_iteration(mdp, tol=1e-6)
    assert fast.num_iter < 0.5 * plain.num_iter


def test_value_iteration_contracts():
    mdp = random_discounted(5, 3, 0.9, 0)
    V_star = naive.enumerated_value(mdp)
    V = np.random.default_rng(0).normal(size=5)
    for _ in range(20):
        TV = naive.action_values(mdp, V).max(axis=1)
        assert np.abs(TV - V_star).max() <= 0.9 * np.abs(V - V_star).max() + 1e-12
        V = TV


@pytest.mark.parametrize("sparse", [False, True])
def test_first_policy_of_howard_comes_from_sweeps(sparse):
    """One policy, greedy after three sweeps from V = max_a r, is evaluated exactly and improved once."""
    mdp = random_discounted(12, 4, 0.99, 0, sparse=sparse, branching=2)  # two and four sweeps differ
    V = mdp.r.max(axis=1)
    for _ in range(3):
        Q = naive.action_values(mdp, V)
        V = Q.max(axis=1)
    expected = naive.action_values(mdp, naive.policy_value(mdp, Q.argmax(axis=1)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = policy_iteration(mdp, max_iter=1)
    np.testing.assert_allclose(result.Q - result.V[0], expected - expected[0].max(), rtol=0, atol=1e-7)


def test_policies_of_howard_rise():
    """Each policy's value is at least T of the value before."""
    mdp = random_discounted(8, 4, 0.95, 2)
    values = []
    for n in range(1, 10):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = policy_iteration(mdp, max_iter=n)
        values.append((naive.policy_value(mdp, result.pi), result.status))
    for (V, _), (W, _) in itertools.pairwise(values):
        assert np.all(W - naive.action_values(mdp, V).max(axis=1) >= -1e-9) or np.allclose(V, W)
    assert values[-1][1] == "converged"


@pytest.mark.parametrize("fail", [False, True])
def test_policy_system_falls_back_to_lu(fail, monkeypatch):
    mdp = random_discounted(30, 3, 0.99, 0, sparse=True, branching=3)
    if fail:  # a solver that reports success and returns nonsense
        monkeypatch.setattr("scipy.sparse.linalg.bicgstab", lambda M, r, **kw: (np.full(r.size, np.nan), 0))
    pi = np.random.default_rng(0).integers(0, 3, 30)
    V = policy_system(mdp, pi, np.zeros(30), 1e-12)
    np.testing.assert_allclose(V, naive.policy_value(mdp, pi), rtol=1e-9)


def test_dual_occupancy_needs_no_start():
    """States that mu never reaches have their value too."""
    P = np.zeros((3, 2, 3))
    P[:, :, 0] = 1.0
    mdp = DiscountedMDP(P, [[0, 1], [2, 0], [0, 3]], [1, 0, 0], 0.5)
    np.testing.assert_allclose(linear_program(mdp, form="dual").V, [2.0, 3.0, 4.0])


# --- bad input ---


@pytest.mark.parametrize("planner", PLANNERS)
def test_refuses_gamma_one(planner):
    with pytest.raises(ValueError, match="gamma must be below 1; for the average reward use relative_value"):
        PLANNERS[planner](problems.cycle(3))


@given(
    st.integers(1, 5),
    st.integers(1, 4),
    st.floats(0.0, 0.99),
    st.integers(0, 2**32),
    st.sampled_from([1e-3, 1e6]),
)
def test_any_problem_is_solved(S, A, gamma, seed, scale):
    """Any sizes, discounts and scales of rewards, negative ones too."""
    mdp = random_discounted(S, A, gamma, seed, masked=True)
    mdp = mdp._replace(r=(mdp.r - 0.5) * scale, P=mdp.P)
    V_star = naive.policy_value(mdp, policy_iteration(mdp, tol=1e-6 * scale).pi)
    for name in SWEEPING:
        result = PLANNERS[name](mdp, tol=1e-6 * scale)
        assert np.abs(result.V - V_star).max() <= 3e-6 * scale
        assert result.status == "converged"


def test_kernel_indices_of_64_bits():
    mdp = random_discounted(6, 2, 0.9, 0, sparse=True, branching=2)
    P = scipy.sparse.csr_array((mdp.P.data, mdp.P.indices.astype(np.int64), mdp.P.indptr.astype(np.int64)))
    wide = mdp._replace(P=scipy.sparse.csr_array(P, shape=mdp.P.shape))
    np.testing.assert_array_equal(value_iteration(wide).V, value_iteration(mdp).V)


# --- safeguards ---


@pytest.mark.parametrize("sparse", [False, True])
def test_policy_iteration_ends_with_ties_by_itself(sparse, monkeypatch):
    """Without the certificate too, since an action is kept unless another is clearly better."""
    monkeypatch.setattr(_policy_iteration, "enough", lambda cert, tol: False)
    result = policy_iteration(problems.grid(7, 0.95, slip=0.2, sparse=sparse), tol=1e-6, max_iter=100)
    assert result.num_iter < 30


def test_harmful_extrapolation_is_undone(monkeypatch):
    """The span shrinks by gamma every two sweeps, whatever is tried between."""
    noise = np.random.default_rng(0)

    def extrapolate(kept):
        wrong = 1e3 * noise.normal(size=kept[-1][1].size)
        return kept[-1][1] + (wrong if len(kept) > 1 else 0.0)

    monkeypatch.setattr(_anderson_value_iteration, "extrapolate", extrapolate)
    mdp = random_discounted(6, 3, 0.9, 0, branching=2)
    most = 3 * np.log(1e-8 / 100) / np.log(0.9)  # a wrong step, the way back, a plain step
    result = anderson_value_iteration(mdp, max_iter=int(most))
    assert np.abs(result.V - naive.enumerated_value(mdp)).max() <= result.gap <= 1e-8


def test_extrapolation_must_shrink_the_span(monkeypatch):
    """A point that is as good as the last kept one is no progress: it would be tried for ever."""
    monkeypatch.setattr(
        _anderson_value_iteration, "extrapolate", lambda kept: kept[-1][len(kept) == 1].copy()
    )
    mdp = random_discounted(6, 3, 0.9, 0, branching=2)
    assert anderson_value_iteration(mdp, max_iter=600).status == "converged"
