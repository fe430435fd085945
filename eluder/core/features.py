"""Problems seen through features only: states of any kind, however many."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Self

import numpy as np

from eluder.core import checks
from eluder.core.linear import LinearMDP, MisspecifiedLinearMDP, episodic
from eluder.core.simulator import reset, simulator, step
from eluder.core.types import Array

__all__ = ["FeatureMDP", "features_of", "outcome", "seen_through_features"]


class _FeatureMDP(NamedTuple):
    reset: Callable[[np.random.Generator], Any]
    step: Callable[[int, Any, int, np.random.Generator], tuple[Any, float]]
    features: Callable[[Any], Array]
    H: int


class FeatureMDP(_FeatureMDP):
    """Episodic problem with finitely many actions, of whose states a learner sees the features alone.

    Parameters
    ----------
    reset : callable
        ``reset(rng) -> state`` draws an initial state; a state is whatever `step` and `features` understand.
    step : callable
        ``step(h, state, a, rng) -> (next state, reward)`` plays action a at stage h.
    features : callable
        ``features(state) -> array (A, d)``, one row per action. A row of NaN: the action is not available.
    H : int
        Number of stages.

    Raises
    ------
    ValueError
        If one of the first three is not callable or `H` < 1.

    Examples
    --------
    >>> import numpy as np
    >>> walk = FeatureMDP(
    ...     reset=lambda rng: rng.random(),
    ...     step=lambda h, x, a, rng: ((x + 0.1 * a) % 1.0, x),
    ...     features=lambda x: np.array([[1.0, x], [1.0, (x + 0.1) % 1.0]]),
    ...     H=3,
    ... )
    >>> walk.features(0.25).shape
    (2, 2)
    """

    __slots__ = ()

    def __new__(cls, reset: Any, step: Any, features: Any, H: int) -> Self:
        for name, f in (("reset", reset), ("step", step), ("features", features)):
            if not callable(f):
                raise ValueError(f"{name} must be callable, got {type(f).__name__}")
        return super().__new__(cls, reset, step, features, checks.integer("H", H))

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def features_of(problem: FeatureMDP, state: Any, shape: tuple[int, int] | None = None) -> Array:
    """Return the features of a state, checked.

    Parameters
    ----------
    problem : FeatureMDP
        The problem.
    state : object
        A state of it.
    shape : (int, int), optional
        The (A, d) that they must have; any by default.

    Returns
    -------
    ndarray, shape (A, d)
        Rows of NaN where an action is not available.

    Raises
    ------
    ValueError
        If they are not such an array, a row is NaN in part or infinite, or no action is available.

    Examples
    --------
    >>> still = FeatureMDP(lambda rng: 0, lambda h, s, a, rng: (s, 0.0), lambda s: [[1.0, 2.0]], 1)
    >>> features_of(still, 0)
    array([[1., 2.]])
    """
    F = checks.floats(
        "features", problem.features(state), shape or (None, None)
    ).copy()  # the caller may fill it anew
    none = np.isnan(F).all(axis=1, keepdims=True)
    if (bad := ~np.isfinite(F) & ~none).any():
        i = checks.first(bad)
        raise ValueError(f"{checks.entry('features', i)} is {F[i]:g}, it must be finite")
    if none.all():
        raise ValueError("features has no row without NaN: no action is available")
    return F


def outcome(problem: FeatureMDP, h: int, state: Any, a: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Play an action and return the next state and the reward, as they come.

    Parameters
    ----------
    problem : FeatureMDP
        The problem.
    h : int
        Stage.
    state : object
        A state of it.
    a : int
        Action.
    rng : numpy.random.Generator
        Passed on to the problem.

    Returns
    -------
    object
        The next state.
    object
        The reward, not checked.

    Raises
    ------
    ValueError
        If `step` of the problem does not return two things.

    Examples
    --------
    >>> still = FeatureMDP(lambda rng: 0, lambda h, s, a, rng: (s, 0.5), lambda s: [[1.0, 2.0]], 1)
    >>> outcome(still, 0, 0, 0, np.random.default_rng(0))
    (0, 0.5)
    """
    pair = problem.step(h, state, a, rng)
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(f"step must return (next state, reward), got {pair!r}")
    return pair[0], pair[1]


def seen_through_features(mdp: LinearMDP | MisspecifiedLinearMDP) -> FeatureMDP:
    """Return an enumerable problem as one of which only features are seen.

    Parameters
    ----------
    mdp : LinearMDP or MisspecifiedLinearMDP
        The problem.

    Returns
    -------
    FeatureMDP
        States are integers; the same generator gives the same states and rewards as the kernels' simulator.

    Raises
    ------
    ValueError
        If `mdp` is not linear.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.linear import LinearMDP
    >>> problem = seen_through_features(LinearMDP([[[1.0]]], [[[1.0]]], [[0.5]], [1.0]))
    >>> problem.step(0, problem.reset(np.random.default_rng(0)), 0, np.random.default_rng(0))
    (0, 0.5)
    """
    sim = simulator(episodic(mdp))
    table = np.where(mdp.mask[:, :, None], mdp.phi, np.nan)

    def play(h: int, state: Any, a: int, rng: np.random.Generator) -> tuple[Any, float]:
        s_next, reward, _ = step(sim, h, state, a, rng)
        return int(s_next), float(reward)

    return FeatureMDP(lambda rng: int(reset(sim, rng)), play, lambda state: table[state], mdp.H)
