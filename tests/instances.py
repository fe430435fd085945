"""Random problems for tests, made without the package's own instances."""

import numpy as np
import scipy.sparse

from eluder.core.problems import DiscountedMDP, EpisodicMDP


def random_kernel(rng, shape, branching):
    """Random rows over `branching` distinct successors out of S = shape[-1]."""
    S = shape[-1]
    P = np.zeros((int(np.prod(shape[:-1])), S))
    for row in P:
        row[rng.choice(S, size=branching, replace=False)] = rng.dirichlet(np.ones(branching))
    return P.reshape(shape)


def random_mask(rng, S, A):
    mask = rng.random((S, A)) < 0.7
    mask[np.arange(S), rng.integers(0, A, S)] = True
    return mask


def random_episodic(
    S, A, H, seed, *, stages=False, branching=None, masked=False, bernoulli=False
) -> EpisodicMDP:
    rng = np.random.default_rng(seed)
    lead = (H,) if stages else ()
    P = random_kernel(rng, (*lead, S, A, S), branching or min(3, S))
    r = rng.random((*lead, S, A))
    mask = random_mask(rng, S, A) if masked else None
    return EpisodicMDP(P, r, rng.dirichlet(np.ones(S)), H, mask, bernoulli)


def random_discounted(
    S, A, gamma, seed, *, branching=None, masked=False, sparse=False, bernoulli=False
) -> DiscountedMDP:
    """Full support by default, hence ergodic; with `sparse` the same numbers as a CSR kernel."""
    rng = np.random.default_rng(seed)
    P = random_kernel(rng, (S, A, S), branching or S)
    r = rng.random((S, A))
    mask = random_mask(rng, S, A) if masked else None
    kernel = scipy.sparse.csr_array(P.reshape(S * A, S)) if sparse else P
    return DiscountedMDP(kernel, r, rng.dirichlet(np.ones(S)), gamma, mask, bernoulli)
