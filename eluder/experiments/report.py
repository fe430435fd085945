"""The report of a study: one HTML file with interactive curves and tables, which opens anywhere, offline."""

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eluder.core.types import Array
from eluder.experiments import stats
from eluder.experiments._summary import (
    FOOTNOTE,
    Group,
    declared_cells,
    groups,
    interval_text,
    plain_number,
    summary,
)
from eluder.experiments.stats import Interval
from eluder.experiments.store import Table, load, write

__all__ = ["write_report"]

COLOURS = 9  # of report.css
DASHES = ("", "9 4", "3 4")  # of a first, second and third round through the colours
MOST_CELLS = 2000  # rows of the table of cells
HINT = (
    "Hover, or focus the plot and use the arrow keys, to read values. "
    "Click an algorithm to hide or show it; shift-click to see it alone."
)
VERSIONS = ("version", "commit", "python", "numpy", "numba")


def write_report(source: Table | str | Path, path: str | Path) -> Path:
    """Write the report of a study.

    Parameters
    ----------
    source : Table, str or Path
        What `load` returns, or the directory of a run.
    path : str or Path
        The HTML file to write; its directory is made if it is not there.

    Returns
    -------
    Path
        `path`. The file holds everything it needs and makes no request.

    Raises
    ------
    ValueError
        If the directory holds no study, or the study has no finished cells.

    Notes
    -----
    Everything that comes from the study is escaped; a content security policy forbids requests as well.

    Examples
    --------
    >>> write_report("nowhere", "report.html")
    Traceback (most recent call last):
    ValueError: nowhere holds no study
    """
    table = source if isinstance(source, Table) else load(source)
    everything = list(groups(table))
    if not everything:
        raise ValueError("the study has no finished cells to report")
    number = {label: i for i, label in enumerate(dict.fromkeys(g.algorithm for g in everything))}
    by_problem = {p: list(gs) for p, gs in groupby(everything, key=lambda g: g.problem)}
    rows = summary(table)
    parts = {
        "title": _escape(table.config.get("name", "study")),
        "meta": _escape(_meta(table)),
        "css": _asset("report.css"),
        "js": _asset("report.js"),
        "panels": "".join(_panel(i, gs, rows, number) for i, gs in enumerate(by_problem.values())),
        "across": _across(by_problem),
        "theory": _theory(table),
        "configuration": _configuration(table),
        "data": _json([_data(gs, number) for gs in by_problem.values()]),
    }
    page = re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m[1]], _asset("report.html"))
    path = Path(path)
    write(path, page.encode())
    return path


def _asset(name: str) -> str:
    return (resources.files("eluder.experiments") / "report_assets" / name).read_text(encoding="utf-8")


# --- data of the curves ---


def _data(here: Sequence[Group], number: Mapping[str, int]) -> dict[str, Any]:
    """Return what the script draws of one problem."""
    return {
        "problem": here[0].problem,
        "x": here[0].steps(),
        "series": [_series(g, number[g.algorithm]) for g in here],
        "lines": [{"name": n, "k": _numbers(k), "y": _numbers(y)} for n, (k, y) in here[0].lines.items()],
    }


def _series(g: Group, i: int) -> dict[str, Any]:
    band, slope = g.band(), g.slope()
    q10, q90 = np.quantile(g.regret, [0.1, 0.9], axis=0)
    fitted = not np.isnan(slope.estimate)
    return {
        "name": g.algorithm,
        "colour": i % COLOURS,
        "dash": DASHES[i // COLOURS % len(DASHES)],
        "k": _numbers(g.k),
        "mean": _numbers(band.estimate),
        "low": _numbers(band.low),
        "high": _numbers(band.high),
        "q10": _numbers(q10),
        "q90": _numbers(q90),
        "slope": _numbers(np.array(slope)) if fitted else None,
        "fit": dict(zip("ky", map(_numbers, g.fitted(slope.estimate)), strict=True)) if fitted else None,
        "exponent": None if np.isnan(g.exponent()) else g.exponent(),
        "bound": {"k": _numbers(g.bound_k), "y": _numbers(g.bound)} if g.bound.size else None,
    }


def _numbers(x: Array) -> list[float]:
    """Return numbers with five significant digits."""
    return [int(v) if v.is_integer() else v for v in (float(f"{y:.5g}") for y in x)]


def _json(data: Any) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


# --- sections ---


def _meta(table: Table) -> str:
    cells, config = table.cells, table.config
    seeds = int(cells.groupby(["problem", "algorithm"]).size().max())
    words = [
        _count(cells["problem"].nunique(), "problem"),
        _count(cells["algorithm"].nunique(), "algorithm"),
        f"{_count(seeds, 'run')} of each",
        *(f"eluder {v}" for v in cells["version"].unique()),
    ]
    sizes = [len(config.get("problems", ())), len(config.get("algorithms", ())), config.get("seeds", 0)]
    if len(cells) < np.prod(sizes):
        words.append(f"unfinished: {len(cells)} of {np.prod(sizes)} cells")
    return " · ".join(words)


def _count(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def _panel(i: int, here: Sequence[Group], rows: pd.DataFrame, number: Mapping[str, int]) -> str:
    rows = rows[rows["problem"] == here[0].problem]
    content = [
        f'<div class="chart" data-panel="{i}"></div>',
        f'<p class="hint">{HINT}</p>',
        _summary_table(rows, number),
    ]
    if len(here) > 1:
        matrix = _improvement([{g.algorithm: g} for g in here])
        content.append(_details("Probability of improvement", matrix))
    return _card(here[0].problem, *content)


def _summary_table(rows: pd.DataFrame, number: Mapping[str, int]) -> str:
    columns: dict[str, list[str]] = {"algorithm": [_swatch(a, number[a]) for a in rows["algorithm"]]}
    columns["runs"] = [_escape(n) for n in rows["runs"]]
    columns["final regret"] = _ranges(rows, "regret", best=True)
    columns["log-log slope"] = _ranges(rows, "slope")
    columns["declared"] = [_escape(text) for text in declared_cells(rows)]
    if rows["above"].notna().any():
        columns["runs above the bound"] = _ranges(rows, "above")
    for name in rows.columns[rows.columns.str.fullmatch(r"samples_[^_]+")]:
        columns[f"episodes to eps = {_escape(name.removeprefix('samples_'))}"] = _ranges(rows, name)
    columns["seconds"] = [_escape(plain_number(x)) for x in rows["seconds"]]
    note = "[95% intervals]: bootstrap over runs; exact binomial for fractions. Slope over the last decade."
    if any(text.endswith("*") for text in columns["declared"]):
        note += f" {FOOTNOTE}."
    return _table(columns) + f'<p class="hint">{_escape(note)}</p>'


def _ranges(rows: pd.DataFrame, name: str, best: bool = False) -> list[str]:
    """Write estimates with their intervals; the least estimate in bold where asked."""
    out = []
    for x in zip(rows[name], rows[f"{name}_low"], rows[f"{name}_high"], strict=True):
        estimate, _, interval = interval_text(Interval(*x)).partition(" ")
        least = best and len(rows) > 1 and x[0] == rows[name].min()
        bold = ' class="best"' if least else ""
        out.append(f'<span{bold}>{_escape(estimate)}</span> <span class="range">{_escape(interval)}</span>')
    return out


def _improvement(runs: Sequence[Mapping[str, Group]]) -> str:
    """Return the matrix P(row has less regret than column); `runs` holds, by algorithm, groups by problem."""
    named = [(next(iter(by.values())).algorithm, list(by.values())) for by in runs]
    final = {name: _final(gs) for name, gs in named}
    entries: dict[tuple[str, str], Interval[float]] = {}
    for i, (a, first) in enumerate(named):
        for b, second in named[i + 1 :]:
            rng = first[0].rng(*first[1:], *second)
            p = stats.stratified_bootstrap(
                stats.probability_of_improvement, final[b], final[a], num_resamples=1000, rng=rng
            )
            entries[a, b] = p
            entries[b, a] = Interval(1 - p.estimate, 1 - p.high, 1 - p.low)
    head = "".join(f'<th scope="col">{_escape(name)}</th>' for name, _ in named)
    body = "".join(
        f'<tr><th scope="row">{_escape(a)}</th>{"".join(_heat(entries.get((a, b))) for b, _ in named)}</tr>'
        for a, _ in named
    )
    note = "Probability that a run of the row's algorithm ends with less regret than one of the column's."
    return f'<p class="hint">{note}</p>{_frame(f"<td></td>{head}", body, "data heat")}'


def _final(here: Sequence[Group]) -> Array:
    """Return the final regrets (R, M) of one algorithm, cut to the problem with the fewest runs."""
    R = min(len(g.regret) for g in here)
    return np.stack([g.regret[:R, -1] for g in here], axis=1)


def _heat(p: Interval[float] | None) -> str:
    if p is None:
        return "<td></td>"
    shade = f"background:rgba(var(--heat),{0.55 * max(0.0, 2 * p.estimate - 1):.2f})"
    interval = f"[{p.low:.2f}, {p.high:.2f}]"
    return f'<td style="{shade}">{p.estimate:.2f}<br><small class="range">{interval}</small></td>'


def _across(by_problem: Mapping[str, Sequence[Group]]) -> str:
    """Compare, over all problems, the algorithms that ran on each."""
    runs: dict[str, dict[str, Group]] = {}
    for problem, here in by_problem.items():
        for g in here:
            runs.setdefault(g.algorithm, {})[problem] = g
    complete = [by for by in runs.values() if len(by) == len(by_problem)]
    if len(by_problem) < 2 or len(complete) < 2:
        return ""
    return _card("All problems: probability of improvement", _improvement(complete))


def _theory(table: Table) -> str:
    rows = table.guarantees.drop_duplicates(["algorithm", "statement", "paper"])
    if rows.empty:
        return ""
    names = {
        "algorithm": "algorithm",
        "statement": "guarantee",
        "assumptions": "assumptions",
        "paper": "paper",
    }
    columns = {title: [_escape(x) for x in rows[name]] for name, title in names.items() if name in rows}
    return _card("What the theorems declare", _table(columns, wrap=True))


def _configuration(table: Table) -> str:
    config, cells = table.config, table.cells
    content = []
    for kind in ("problems", "algorithms"):
        parts = [(label, *_component(x)) for label, x in dict(config.get(kind, {})).items()]
        if parts:
            labels, functions, params = zip(*parts, strict=True)
            columns = {kind: labels, "function": functions, "parameters": params}
            content.append(_table({k: [_escape(x) for x in v] for k, v in columns.items()}, wrap=True))
    content.append(_details("The study as data", f"<pre>{_escape(json.dumps(config, indent=1))}</pre>"))
    shown = [name for name in VERSIONS if name in cells]
    runs = cells.groupby(shown, dropna=False, sort=False).size().rename("cells").reset_index()
    content.append("<h3>Versions</h3>" + _table(_text_columns(runs)))
    names = ["problem", "algorithm", "seed", "budget", "regret", "seconds", "entropy"]
    listed = cells[names].iloc[:MOST_CELLS]
    title = f"Cells: {len(listed)} of {len(cells)}, with the entropy of their random numbers"
    content.append(_details(title, _table(_text_columns(listed))))
    return _card("Configuration and provenance", *content)


def _component(x: Any) -> tuple[str, str]:
    """Return the function of a problem or algorithm, and its parameters as text."""
    if isinstance(x, str):
        return x, ""
    name, params = x
    return name, ", ".join(f"{key}={value!r}" for key, value in params.items())


def _text_columns(frame: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns of a frame as escaped text."""
    text = {
        str(c): [f"{x:.6g}" if isinstance(x, float) else str(x) for x in frame[c].tolist()] for c in frame
    }
    return {_escape(name): [_escape(x) for x in column] for name, column in text.items()}


# --- HTML ---


def _escape(x: Any) -> str:
    return html.escape(str(x), quote=True)


def _card(title: str, *content: str) -> str:
    return f'<section class="card"><h2>{_escape(title)}</h2>{"".join(content)}</section>\n'


def _details(title: str, content: str) -> str:
    return f"<details><summary>{_escape(title)}</summary>{content}</details>"


def _swatch(name: str, i: int) -> str:
    style = "dashed" if i >= COLOURS else "solid"
    border = f"border-color:var(--c{i % COLOURS});border-top-style:{style}"
    return f'<span class="swatch" style="{border}"></span> {_escape(name)}'


def _table(columns: Mapping[str, Iterable[str]], wrap: bool = False) -> str:
    """Return a table of columns that hold HTML."""
    kind = ' class="left wrap"' if wrap else ""
    head = "".join(f'<th scope="col"{kind}>{name}</th>' for name in columns)
    rows = "".join(
        f"<tr>{''.join(f'<td{kind}>{cell}</td>' for cell in row)}</tr>"
        for row in zip(*columns.values(), strict=True)
    )
    return _frame(head, rows)


def _frame(head: str, rows: str, kind: str = "data") -> str:
    table = f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<div class="scroll">{table}</div>'
