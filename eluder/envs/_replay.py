"""Logged data from a user's file, and the bandit that it makes up."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from eluder.core.contextual import ContextualBandit
from eluder.core.logged import LoggedData, refuse_other_data
from eluder.core.types import Array, BoolArray, IntArray

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Log", "read_log", "replay_bandit"]


class Log(NamedTuple):
    """Logged data and what its numbers stand for.

    Attributes
    ----------
    data : LoggedData
        Contexts and actions as integers.
    contexts : tuple of tuple of str
        ``contexts[x]`` are the entries of the context columns in context x.
    actions : tuple of str
        ``actions[a]`` is action a as the file writes it.
    """

    data: LoggedData
    contexts: tuple[tuple[str, ...], ...]
    actions: tuple[str, ...]


def read_log(
    path: str | Path,
    *,
    context: str | Sequence[str] = "context",
    action: str = "action",
    reward: str = "reward",
    propensity: str | None = "propensity",
) -> Log:
    """Read the rounds that some policy played from a CSV or parquet file.

    Parameters
    ----------
    path : str or Path
        File with a header; ".parquet" is read with pyarrow, everything else as comma-separated UTF-8 text.
    context : str or sequence of str, default="context"
        Column or columns that say who came. Each combination of entries is one context.
    action : str, default="action"
        Column of what was played; any labels.
    reward : str, default="reward"
        Column of finite numbers.
    propensity : str or None, default="propensity"
        Column of the probabilities in (0, 1] with which the action was played. None: they are estimated by
        the share of the action among the rows of its context, which is right only if the policy that logged
        looked at nothing but these columns and did not change.

    Returns
    -------
    Log
        The data, and the labels of contexts and actions in the order of their first row. An action is taken
        to be available in the contexts in which it was logged.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file cannot be read, a column is missing or there twice, there are no rows, or an entry is
        empty or out of range; the message names the first bad row (1 is the first below the header), its
        column and its entry.
    ImportError
        If a parquet file is read and pyarrow is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "log.csv")
    ...     _ = file.write_text("context,action,reward,propensity\\nDE,visa,1,0.5\\nFR,cash,0,0.25\\n")
    ...     log = read_log(file)
    >>> log.contexts, log.actions, log.data.reward
    ((('DE',), ('FR',)), ('visa', 'cash'), array([1., 0.]))
    """
    columns = [context] if isinstance(context, str) else list(context)
    if not columns:
        raise ValueError("context names no column")
    wanted = [*columns, action, reward] + ([] if propensity is None else [propensity])
    table = _table(Path(path), wanted)
    contexts, x = _labels(table, columns)
    actions, a = _labels(table, [action])
    r = _numbers(table, reward)
    if propensity is None:
        p = _shares(x, a)
    else:
        p = _numbers(table, propensity)
        _refuse(~((p > 0) & (p <= 1)), table, propensity, "a probability in (0, 1]")
    mask = np.zeros((len(contexts), len(actions)), bool)
    mask[x, a] = True
    return Log(LoggedData(x, a, r, p, mask), contexts, tuple(label for (label,) in actions))


def _table(path: Path, wanted: list[str]) -> "DataFrame":
    """Read the file; the entries of a text file stay text."""
    import pandas as pd

    if not path.is_file():
        raise FileNotFoundError(f"path: there is no file {path}")
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path, engine="pyarrow")
        else:
            table = pd.read_csv(
                path, dtype=str, keep_default_na=False, encoding="utf-8-sig", header=None, index_col=False
            )
            table = table.iloc[1:].set_axis([str(name).strip() for name in table.iloc[0]], axis=1)
    except ImportError:
        raise ImportError(f"{path.name}: parquet files need pyarrow (pip install pyarrow)") from None
    except (
        ValueError,
        UnicodeError,
        OSError,
        IndexError,
    ) as error:  # pandas' and pyarrow's own are among them
        raise ValueError(f"{path.name} cannot be read: {error}") from None
    for name in wanted:
        if (times := list(table.columns).count(name)) != 1:
            there = ", ".join(map(str, table.columns))
            raise ValueError(f"{path.name} has {times or 'no'} columns called {name!r}; there are: {there}")
    if not len(table):
        raise ValueError(f"{path.name} has no rows")
    return table.reset_index(drop=True)


def _refuse(bad: BoolArray, table: "DataFrame", column: str, wanted: str) -> None:
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(f"row {i + 1}: {column} is {table[column][i]!r}, it must be {wanted}")


def _labels(table: "DataFrame", columns: list[str]) -> tuple[tuple[tuple[str, ...], ...], IntArray]:
    """Number the combinations of entries by their first row."""
    for column in columns:
        empty = table[column].isna() | (table[column].astype(str).str.strip() == "")
        _refuse(empty.to_numpy(bool), table, column, "a label")
    group = table[columns].astype(str).groupby(columns, sort=False)
    number: IntArray = np.asarray(group.ngroup(), np.int64)
    first = np.unique(number, return_index=True)[1]
    labels = tuple(tuple(map(str, row)) for row in table[columns].iloc[first].to_numpy())
    return labels, number


def _numbers(table: "DataFrame", column: str) -> Array:
    import pandas as pd

    numbers = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64)
    _refuse(~np.isfinite(numbers), table, column, "a finite number")
    return numbers


def _shares(x: IntArray, a: IntArray) -> Array:
    """Return the share of each row's action among the rows of its context."""
    n = np.zeros((x.max() + 1, a.max() + 1))
    np.add.at(n, (x, a), 1.0)
    share: Array = (n / n.sum(axis=1, keepdims=True))[x, a]
    return share


def replay_bandit(data: LoggedData) -> ContextualBandit:
    """Return the contextual bandit in which the log's averages are the truth.

    Parameters
    ----------
    data : LoggedData
        The log; rewards in [0, 1].

    Returns
    -------
    ContextualBandit
        Contexts come as often as in the log, an action pays its average in that context (0 or 1 by a coin),
        and only pairs that were logged are available. Features are kept.

    Raises
    ------
    ValueError
        If `data` is not LoggedData, a reward is outside [0, 1], or a context has no row.

    Examples
    --------
    >>> log = LoggedData([0, 0, 0], [0, 1, 1], [0.0, 1.0, 0.0], [0.5, 0.5, 0.5], [[1, 1]])
    >>> replay_bandit(log).means
    array([[0. , 0.5]])
    """
    refuse_other_data(data)
    if (bad := (data.reward < 0) | (data.reward > 1)).any():
        i = int(np.argmax(bad))
        raise ValueError(f"reward[{i}] is {data.reward[i]:g}, it must be in [0, 1]")
    n, total = np.zeros(data.mask.shape), np.zeros(data.mask.shape)
    np.add.at(n, (data.context, data.action), 1.0)
    np.add.at(total, (data.context, data.action), data.reward)
    often = n.sum(axis=1)
    if (missing := often == 0).any():
        raise ValueError(f"context {int(np.argmax(missing))} has no row in the log")
    means = np.divide(total, n, out=np.zeros_like(total), where=n > 0)
    A = data.mask.shape[1]
    phi = np.repeat(data.features[:, np.newaxis], A, axis=1) if data.features.size else None
    return ContextualBandit(means, often / often.sum(), n > 0, phi)
