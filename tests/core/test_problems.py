"""Problems: what is wrong is refused with its place; what is right stays as it was."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from eluder.core.problems import DiscountedMDP, EpisodicMDP
from tests.instances import random_discounted, random_episodic

seeds = st.integers(0, 10**6)
sizes = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))


def same(a, b):
    for x, y in zip(a, b, strict=True):
        x, y = (z.toarray() if scipy.sparse.issparse(z) else z for z in (x, y))
        np.testing.assert_array_equal(x, y)
    assert type(a) is type(b)


@given(seeds, sizes, st.booleans(), st.booleans())
def test_episodic_fields_come_back(seed, size, stages, masked):
    mdp = random_episodic(*size, seed, stages=stages, masked=masked)
    same(EpisodicMDP(*mdp), mdp)
    same(pickle.loads(pickle.dumps(mdp)), mdp)
    same(copy.deepcopy(mdp), mdp)
    same(mdp._replace(H=mdp.H), mdp)


@given(seeds, st.booleans())
def test_discounted_fields_come_back(seed, sparse):
    mdp = random_discounted(4, 2, 0.9, seed, sparse=sparse, masked=True)
    same(DiscountedMDP(*mdp), mdp)
    same(pickle.loads(pickle.dumps(mdp)), mdp)


@given(st.data(), seeds, st.booleans(), st.booleans())
def test_one_wrong_row_is_named(data, seed, stages, sparse):
    """The same message from a dense kernel, a kernel by stage, and a sparse one; also through _replace."""
    S, A, H = 4, 2, 3
    if stages:
        mdp = random_episodic(S, A, H, seed, stages=True)
    else:
        mdp = random_discounted(S, A, 0.9, seed)
    P = mdp.P.copy()
    at = tuple(data.draw(st.integers(0, n - 1)) for n in P.shape[:-1])
    P[at] *= 0.5
    if sparse and not stages:
        P = scipy.sparse.csr_array(P.reshape(S * A, S))
    for make in (lambda: mdp._replace(P=P), lambda: type(mdp)(P, *mdp[1:])):
        with pytest.raises(ValueError) as error:
            make()
        assert str(error.value) == f"P[{', '.join(map(str, at))}] sums to 0.5, not 1"


@given(
    st.data(), seeds, st.sampled_from([np.nan, np.inf, -0.25]), st.sampled_from(["dense", "stages", "sparse"])
)
def test_one_wrong_probability_is_named(data, seed, bad, layout):
    S, A, H = 3, 2, 2
    mdp = (
        random_episodic(S, A, H, seed, stages=True)
        if layout == "stages"
        else random_discounted(S, A, 0.9, seed)
    )
    P = mdp.P.copy()
    at = tuple(data.draw(st.integers(0, n - 1)) for n in P.shape)
    P[at] = bad
    if layout == "sparse":
        P = scipy.sparse.coo_array(P.reshape(S * A, S))
    with pytest.raises(ValueError) as error:
        mdp._replace(P=P)
    assert str(error.value).startswith(f"P[{', '.join(map(str, at))}] is {bad:g}, it must be")


@given(st.data(), seeds, st.sampled_from([np.nan, np.inf, -0.1, 1.1]), st.booleans())
def test_one_wrong_reward_is_named(data, seed, bad, stages):
    mdp = random_episodic(3, 2, 2, seed, stages=stages)
    r = mdp.r.copy()
    at = tuple(data.draw(st.integers(0, n - 1)) for n in r.shape)
    r[at] = bad
    with pytest.raises(ValueError) as error:
        mdp._replace(r=r)
    assert str(error.value) == f"r[{', '.join(map(str, at))}] is {bad:g}, it must be in [0, 1]"


GOOD = {"P": [[[1.0, 0.0]], [[0.5, 0.5]]], "r": [[0.0], [1.0]], "mu": [1.0, 0.0]}
WRONG = [
    ({"mu": [0.5, 0.4]}, "mu sums to 0.9, not 1"),
    ({"mu": [1.0]}, r"mu must have shape \(2\), got \(1,\)"),
    ({"mu": [1.5, -0.5]}, r"mu\[1\] is -0.5"),
    ({"r": [[0.0, 1.0], [1.0, 0.0]]}, "must have shape"),
    ({"r": []}, "r must have shape"),
    ({"P": []}, "P must have shape"),
    ({"P": np.zeros((2, 0, 2))}, "P must have shape"),
    ({"P": np.ones((2, 1, 1))}, "P must have shape"),
    ({"P": 3.0}, "P must have shape"),
    ({"P": np.array(GOOD["P"]) + 0j}, "P must be an array of real numbers"),
    ({"mask": [[True], [False]]}, r"mask\[1\] leaves the state without an action"),
    ({"mask": [[1], [1]]}, "mask must be a boolean array of shape \\(2, 1\\), got int64"),
    ({"mask": [[True, True], [True, True]]}, "mask must be a boolean array of shape"),
    ({"mask": [[True], [True, False]]}, "mask must be a boolean array of shape"),
    ({"bernoulli": 1}, "bernoulli must be True or False, got 1"),
]


@pytest.mark.parametrize(
    ("change", "message"), [*WRONG, ({"H": 0}, "H must be at least 1, got 0"), ({"H": 1.5}, "H must be")]
)
def test_episodic_refuses_by_message(change, message):
    with pytest.raises(ValueError, match=message):
        EpisodicMDP(**{**GOOD, "H": 2, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *WRONG,
        ({"gamma": 1.1}, r"gamma must be in \[0, 1\], got 1.1"),
        ({"gamma": np.nan}, r"gamma must be in \[0, 1\], got nan"),
        ({"gamma": None}, "gamma must be a real number, got None"),
        ({"P": scipy.sparse.eye_array(3)}, r"P must have shape \(2, 2\) \(rows s \* A \+ a\), got \(3, 3\)"),
        (
            {"P": scipy.sparse.csr_array(np.array([[1.0, 0], [0.5, 0.5]]) + 0j)},
            "P must be an array of real numbers",
        ),
    ],
)
def test_discounted_refuses_by_message(change, message):
    with pytest.raises(ValueError, match=message):
        DiscountedMDP(**{**GOOD, "gamma": 0.9, **change})


def test_stages_must_agree_with_the_horizon():
    P = np.ones((3, 1, 1, 1))
    with pytest.raises(ValueError, match=r"P must have shape \(2, .*got \(3, 1, 1, 1\)"):
        EpisodicMDP(P, [[0.0]], [1.0], H=2)
    with pytest.raises(ValueError, match=r"r must have shape \(2, 1, 1\), got \(3, 1, 1\)"):
        EpisodicMDP(P[:2], np.zeros((3, 1, 1)), [1.0], H=2)


def test_sparse_kernel_is_canonical_and_a_copy():
    """Duplicates are summed, zeros dropped, and the caller's matrix is left alone."""
    rows, cols = [0, 0, 0, 1, 1], [1, 0, 1, 1, 0]
    P = scipy.sparse.coo_array(([0.25, 0.5, 0.25, 1.0, 0.0], (rows, cols)), shape=(2, 2))
    mdp = DiscountedMDP(P, [[0.0], [1.0]], [1.0, 0.0], 0.9)
    assert mdp.P.indices.tolist() == [0, 1, 1]
    assert mdp.P.data.tolist() == [0.5, 0.5, 1.0]
    assert P.nnz == 5


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_canonical_csr_is_shared_with_narrow_indices(index):
    indices, indptr = np.array([0, 1, 1], index), np.array([0, 2, 3], index)
    P = scipy.sparse.csr_matrix((np.array([0.5, 0.5, 1.0]), indices, indptr), shape=(2, 2))
    P.indices, P.indptr = indices, indptr  # SciPy itself narrows them
    mdp = DiscountedMDP(P, [[0.0], [1.0]], [1.0, 0.0], 0.9)
    assert np.shares_memory(mdp.P.data, P.data)
    assert mdp.P.indices.dtype == mdp.P.indptr.dtype == np.int32
    assert P.indices.dtype == P.indptr.dtype == index
    np.testing.assert_array_equal(mdp.P.toarray(), [[0.5, 0.5], [0.0, 1.0]])
    assert isinstance(mdp.P, scipy.sparse.csr_array)


@pytest.mark.parametrize(
    ("P", "expected"),
    [
        (([0.25, 0.5, 0.25, 1.0], [1, 0, 1, 1], [0, 3, 4]), [0.5, 0.5, 1.0]),  # duplicates, order
        (([1.0, 0.0, 1.0], [0, 1, 1], [0, 2, 3]), [1.0, 1.0]),  # a stored zero
    ],
)
def test_csr_that_is_not_canonical_is_mended_in_a_copy(P, expected):
    data, indices, indptr = map(np.array, P)
    P = scipy.sparse.csr_array((data, indices, indptr), shape=(2, 2))
    mdp = DiscountedMDP(P, [[0.0], [1.0]], [1.0, 0.0], 0.9)
    assert mdp.P.data.tolist() == expected
    assert P.indices.tolist() == indices.tolist()
    assert not np.shares_memory(mdp.P.data, P.data)


def test_large_rewards_and_probabilities_at_the_edge():
    DiscountedMDP([[[1.0 - 1e-9]]], [[1e100]], [1.0], 0.0)
    with pytest.raises(ValueError, match=r"r\[0, 0\] is inf, it must be finite"):
        DiscountedMDP([[[1.0]]], [[np.inf]], [1.0], 0.5)
    with pytest.raises(ValueError, match=r"r\[0, 0\] is 1e\+200, it must be in"):
        DiscountedMDP([[[1.0]]], [[1e200]], [1.0], 0.5)
    with pytest.raises(ValueError, match=r"r\[0, 0\] is 2, it must be in \[0, 1\]"):
        DiscountedMDP([[[1.0]]], [[2.0]], [1.0], 0.5, bernoulli=True)


@pytest.mark.parametrize(
    "P",
    [
        scipy.sparse.csr_array((np.ones(6), [0, 1, 2, 3, 10**9, 1], np.arange(7)), (6, 3)),
        scipy.sparse.csr_array((np.ones(6), [0, 1, 2, 0, -5, 1], np.arange(7)), (6, 3)),
        scipy.sparse.csc_array((np.ones(3), [0, 1, 77], [0, 1, 2, 3]), (6, 3)),
    ],
    ids=["too large", "negative", "columns"],
)
def test_sparse_indices_that_point_outside_are_refused(P):
    with pytest.raises(ValueError, match="P is not a valid sparse array"):
        DiscountedMDP(P, np.zeros((3, 2)), [1, 0, 0], 0.9)
