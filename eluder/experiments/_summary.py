"""What the tables, figures and the report say of a study: one row for each problem and algorithm."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from eluder.core.types import Array
from eluder.experiments import stats
from eluder.experiments.stats import Interval
from eluder.experiments.store import Table

__all__ = ["Group", "format_summary", "groups", "plain_number", "summary"]


FOOTNOTE = "* the theorem is for its paper's constants, which this run scales"


@dataclass(frozen=True, eq=False)
class Group:
    """All finished runs of one algorithm on one problem.

    Attributes
    ----------
    problem, algorithm : str
        Labels of the study.
    cells : DataFrame
        Their rows of ``Table.cells``, R of them.
    k : ndarray, shape (T,)
        Checkpoints.
    regret : ndarray, shape (R, T)
        Cumulative regret.
    theory : dict
        The row of ``Table.guarantees``; empty if there is none.
    bound_k, bound : ndarray, shape (B,)
        The theorem's bound; empty if there is none.
    lines : dict of str to (ndarray, ndarray)
        Lower bounds of the problem by label: k and value.
    """

    problem: str
    algorithm: str
    cells: pd.DataFrame
    k: Array
    regret: Array
    theory: dict[str, Any]
    bound_k: Array
    bound: Array
    lines: dict[str, tuple[Array, Array]]

    def rng(self, *others: "Group") -> np.random.Generator:
        """Return a generator seeded by the entropy of the runs: the same runs give the same intervals."""
        runs = pd.concat([g.cells["entropy"] for g in (self, *others)])
        return np.random.default_rng([int(str(e), 0) for e in runs])

    def band(self) -> Interval[Array]:
        """Return the mean regret with 95% bootstrap intervals."""
        return stats.mean_curve(self.regret, rng=self.rng())

    def slope(self) -> Interval[float]:
        """Return the log-log slope over the last decade; NaN where it has none."""
        if np.count_nonzero(self.k >= self.k[-1] / 10) < 2:
            return Interval(np.nan, np.nan, np.nan)
        return stats.loglog_slope(self.k, self.regret, rng=self.rng())

    def fitted(self, slope: float) -> tuple[Array, Array]:
        """Return the ends (k, regret) of the least-squares line: through the mean of the logarithms."""
        tail = self.k >= self.k[-1] / 10
        k, mean = self.k[tail], self.regret.mean(axis=0)[tail]
        ends = k[[0, -1]]
        return ends, np.exp(np.log(mean).mean() + slope * (np.log(ends) - np.log(k).mean()))

    def exponent(self) -> float:
        """Return the declared exponent; NaN if nothing is declared."""
        return float(self.theory.get("exponent", np.nan))

    def steps(self) -> str:
        """Return what the budget counts."""
        setting = str(self.theory.get("setting", ""))
        if setting in ("", "episodic regret", "baseline"):
            return "episode k"
        return "step t" if "average" in setting else "round t"

    def above(self) -> Interval[float]:
        """Return the fraction of runs that end above the bound; NaN if there is no bound.

        Learners that know their horizon promise nothing of the rounds before it.
        """
        if not self.bound.size:
            return Interval(np.nan, np.nan, np.nan)
        count = int((self.regret[:, -1] > np.interp(self.k[-1], self.bound_k, self.bound)).sum())
        return stats.clopper_pearson(count, len(self.regret))


def groups(table: Table) -> Iterator[Group]:
    """Yield the groups of a table, problems outermost, in the order of its cells."""
    curves = dict(list(table.curves.groupby(["problem", "algorithm"])))
    bounds = dict(list(table.bounds.groupby(["problem", "algorithm"])))
    theory = {(row["problem"], row["algorithm"]): row for row in table.guarantees.to_dict("records")}
    for problem in table.cells["problem"].unique():
        own = table.lines[table.lines["problem"] == problem].groupby("label", sort=False)
        lines = {str(n): (x["k"].to_numpy(float), x["value"].to_numpy(float)) for n, x in own}
        here = table.cells[table.cells["problem"] == problem]
        for algorithm in here["algorithm"].unique():
            pair = (problem, algorithm)
            runs = curves[pair].pivot(index="seed", columns="k", values="regret")
            cells = here[here["algorithm"] == algorithm]
            bound = bounds.get(pair, table.bounds.iloc[:0])
            yield Group(
                problem=str(problem),
                algorithm=str(algorithm),
                cells=cells,
                k=runs.columns.to_numpy(float),
                regret=runs.loc[cells["seed"]].to_numpy(float),
                theory={str(name): value for name, value in theory.get(pair, {}).items()},
                bound_k=bound["k"].to_numpy(float),
                bound=bound["bound"].to_numpy(float),
                lines=lines,
            )


def summary(table: Table) -> pd.DataFrame:
    """Return the table of a study: regret, slope and cost of each algorithm on each problem.

    Parameters
    ----------
    table : Table
        What `load` returns.

    Returns
    -------
    DataFrame
        One row per problem and algorithm: problem, algorithm, runs; regret (mean final regret), regret_low,
        regret_high; slope (log-log, over the last decade of k), slope_low, slope_high; declared (exponent of
        the theorem), applies (False where the run leaves the theorem's constants); above (fraction of runs
        that end above the theorem's bound), above_low, above_high; seconds (mean CPU time of a run).
        With sample complexities also, for each eps, samples_<eps> (median, inf: more than the budget),
        samples_<eps>_low, samples_<eps>_high. NaN where there is no such thing.

    Notes
    -----
    Intervals are at level 95%: percentile bootstrap over runs (2000 resamples) for regret, slope and sample
    complexity, exact binomial for `above`. Resamples are seeded by the entropy of the runs, so that the same
    runs give the same table.

    Examples
    --------
    >>> who, k = {"problem": "RiverSwim", "algorithm": "PSRL"}, np.arange(1, 101)
    >>> cells = pd.DataFrame([{**who, "seed": 0, "budget": 100, "seconds": 0.1, "entropy": "0x1"}])
    >>> curves = pd.DataFrame({**who, "seed": 0, "k": k, "regret": np.sqrt(k)})
    >>> none = pd.DataFrame(columns=["problem", "algorithm", "k", "bound"])
    >>> table = Table(cells, curves, none, none, {})
    >>> summary(table)[["runs", "regret", "slope"]].round(6).loc[0].tolist()
    [1.0, 10.0, 0.5]
    """
    return pd.DataFrame([_row(group) for group in groups(table)])


def _row(group: Group) -> dict[str, Any]:
    final = stats.stratified_bootstrap(stats.mean, group.regret[:, -1:], rng=group.rng())
    row = {
        "problem": group.problem,
        "algorithm": group.algorithm,
        "runs": len(group.regret),
        **_columns("regret", final),
        **_columns("slope", group.slope()),
        "declared": group.exponent(),
        "applies": bool(group.theory.get("applies", True)),
        **_columns("above", group.above()),
        "seconds": float(group.cells["seconds"].mean()),
    }
    for column in group.cells.columns[group.cells.columns.str.startswith("sample_complexity_")]:
        reached = group.cells[column].to_numpy(float)
        times = np.where(np.isnan(reached), group.cells["budget"].to_numpy(float), reached)
        median = stats.censored_quantile(times, ~np.isnan(reached), rng=group.rng())
        row |= _columns(column.replace("sample_complexity", "samples"), median)
    return row


def _columns(name: str, interval: Interval[float]) -> dict[str, float]:
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def plain_number(x: float) -> str:
    """Write a number with three significant digits or separated thousands; NaN as "-", inf as ">K"."""
    if np.isnan(x):
        return "-"
    if np.isinf(x):
        return ">K"
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def format_summary(frame: pd.DataFrame) -> str:
    """Return a summary as plain text for the terminal.

    Parameters
    ----------
    frame : DataFrame
        What `summary` returns.

    Returns
    -------
    str
        One block per problem, with aligned columns; those that hold nothing are left out.

    Examples
    --------
    >>> row = {"problem": "RiverSwim", "algorithm": "PSRL", "runs": 20, "seconds": 0.25}
    >>> row |= {"declared": 0.5, "applies": True}
    >>> row |= {"regret": 1234.5, "regret_low": 1200.0, "regret_high": 1270.0}
    >>> row |= {"slope": 0.52, "slope_low": 0.5, "slope_high": 0.55}
    >>> row |= {"above": float("nan"), "above_low": float("nan"), "above_high": float("nan")}
    >>> print(format_summary(pd.DataFrame([row])))
    RiverSwim (20 runs; [95% interval])
      algorithm  final regret          slope             declared  seconds
      PSRL       1,234 [1,200, 1,270]  0.52 [0.5, 0.55]  0.5       0.25
    """
    if frame.empty:
        return "no finished cells"
    return "\n\n".join(_block(str(p), rows) for p, rows in frame.groupby("problem", sort=False))


def _block(problem: str, rows: pd.DataFrame) -> str:
    columns = {"algorithm": list(rows["algorithm"]), "final regret": _cells(rows, "regret")}
    columns["slope"] = _cells(rows, "slope")
    columns["declared"] = declared_cells(rows)
    if rows["above"].notna().any():
        columns["above bound"] = _cells(rows, "above")
    for name in rows.columns[rows.columns.str.fullmatch(r"samples_[^_]+")]:
        columns[f"episodes to eps={name.removeprefix('samples_')}"] = _cells(rows, name)
    columns["seconds"] = [plain_number(x) for x in rows["seconds"]]
    runs = "-".join(str(n) for n in sorted({rows["runs"].min(), rows["runs"].max()}))
    lines = [[name, *cells] for name, cells in columns.items()]
    widths = [max(map(len, column)) for column in lines]
    body = [
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in zip(*lines, strict=True)
    ]
    if any(cell.endswith("*") for cell in columns["declared"]):
        body.append(f"  {FOOTNOTE}")
    return "\n".join([f"{problem} ({runs} runs; [95% interval])", *body])


def declared_cells(rows: pd.DataFrame) -> list[str]:
    """Write the declared exponents, with a star where the run leaves the theorem's constants."""
    pairs = zip(rows["declared"], rows["applies"], strict=True)
    return [plain_number(x) + ("" if applies or np.isnan(x) else "*") for x, applies in pairs]


def _cells(rows: pd.DataFrame, name: str) -> list[str]:
    """Write ``estimate [low, high]`` for each row."""
    columns = (rows[name], rows[f"{name}_low"], rows[f"{name}_high"])
    return [interval_text(Interval(*x)) for x in zip(*columns, strict=True)]


def interval_text(x: Interval[float]) -> str:
    """Write ``estimate [low, high]``."""
    if np.isnan(x.estimate):
        return "-"
    if np.isinf(x.low):
        return plain_number(x.low)
    return f"{plain_number(x.estimate)} [{plain_number(x.low)}, {plain_number(x.high)}]"
