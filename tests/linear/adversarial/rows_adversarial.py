"""Contract rows of the learners against adversarial losses."""

import numpy as np

from eluder.core.adversarial import AdversarialResult
from eluder.envs import adversarial_linear_mdp
from tests.contract import BUDGET, DELTA, RNG, Row

MASK = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 1, 0]], bool)


def problem():
    return adversarial_linear_mdp(4, 3, 3, 3, block=5, rng=np.random.default_rng(1))._replace(mask=MASK)


def check_adversarial(row, mdp, result):
    K, (H, S, A) = row.args[0], mdp.losses.shape[1:]
    assert result.checkpoints[-1] == K
    assert result.regret.shape == result.value.shape == result.checkpoints.shape
    assert np.isfinite(result.regret).all()
    assert (result.value <= 0).all()
    assert (result.pulls.sum(axis=(1, 2)) == K).all(), "each stage is played once per episode"
    assert (result.pulls[:, ~MASK] == 0).all(), "an unavailable action was played"
    assert result.pi.shape == (H, S, A)
    assert (result.pi[:, ~MASK] == 0).all()
    np.testing.assert_allclose(result.pi.sum(axis=-1), 1)
    assert result.best.shape == (H, S)
    assert MASK[np.arange(S), result.best].all()


ETA = (({"eta": 0.0}, r"eta must be in \[1e-06, 1e\+06\]"), ({"eta": float("nan")}, "eta must be in"))
SCALE = (({"c": -1.0}, r"c must be in \[0, 1e\+06\]"), ({"c": 1e308}, "c must be in"))
SAMPLES = (
    ({"num_samples": -1}, "num_samples must be at least 0"),
    ({"num_samples": 1, "eta": 50.0}, "num_samples must be 0 where eta makes gamma"),
    ({"num_samples": 1, "eta": 1e-6}, "num_samples must be 0: eta makes gamma"),
)

ROWS = [
    Row(
        f"linear.adversarial.{name}",
        problem,
        args=(40,),
        kwargs=kwargs,
        result=AdversarialResult,
        check=check_adversarial,
        errors=(*BUDGET, *RNG, *ETA, *errors),
    )
    for name, kwargs, errors in (
        ("dilated_exp_po", {"eta": 0.1, "c": 0.1, "num_samples": 1}, (*SCALE, *SAMPLES)),
        ("log_barrier_po", {"eta": 0.05, "c": 0.1}, (*SCALE, *SAMPLES)),
        ("magnitude_reduced_po", {"eta": 0.05, "c": 0.1}, SCALE),
        (
            "mdp_linexp3",
            {"eta": 0.05, "explore": 0.2, "num_terms": 6},
            (
                ({"explore": 1.5}, r"explore must be in \[0, 1\]"),
                ({"num_terms": 0}, "num_terms must be at"),
                ({"lam": 0.0}, r"lam must be in \[1e-06, 1\]"),
            ),
        ),
        (
            "simulator_free_po",
            {"eta": 0.3, "c": 0.05, "window": 6},
            (
                *DELTA,
                *SCALE,
                ({"explore": 1.5}, r"explore must be in \[0, 1\]"),
                ({"window": 1}, "window must be at least 2"),
                ({"cover": 0}, "cover must be"),
                ({"alpha": 0.0}, r"alpha must be in \(0, inf"),
            ),
        ),
    )
]
