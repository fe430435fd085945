"""Where results live: one file per finished cell, never half written, never unpickled.

::

    out/studies/<hash>.json    what was asked (one file per distinct request; a changed study is refused)
    out/theory/<hash>.json     what the theorem of an algorithm says of a problem
    out/lines/<hash>.json      what no learner can beat on a problem
    out/cells/<hash>.npz       numbers of one cell; the same bytes wherever it ran
    out/cells/<hash>.json      how it ran: seconds, versions, commit
    out/table.csv, curves.csv, config.json (and .parquet)   exports, written by `consolidate`

A cell's file is named by the hash of its specification, so several runs can fill one directory: each
file appears at once by renaming, and whoever writes it writes the same bytes.
"""

import contextlib
import dataclasses
import importlib.util
import io
import json
import os
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eluder.experiments.study import Cell, cells, digest, entropy

__all__ = ["Table", "consolidate", "load"]

Record = dict[str, np.ndarray[Any, Any]]
UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)
CELL = ["problem", "algorithm", "seed"]
LINES = ["problem", "label", "k", "value"]
DAY = 86_400.0


@dataclass(frozen=True, eq=False)
class Table:
    """Everything a study left, as frames.

    Attributes
    ----------
    cells : DataFrame
        One row per finished cell: problem, algorithm, seed, budget, regret (final), seconds (CPU time of the
        run, compilation apart), ``sample_complexity_<eps>`` for each accuracy (NaN: censored), entropy,
        version, commit, python, numpy, numba.
    curves : DataFrame
        problem, algorithm, seed, k, regret: the cumulative regret after k episodes (or steps).
    guarantees : DataFrame
        problem, algorithm, exponent, statement, paper, setting, assumptions, applies (False where a scale
        `c` other than 1 leaves the theorem).
    bounds : DataFrame
        problem, algorithm, k, bound: the theorem's bound for k episodes, where its constants are known.
    config : dict
        The study as plain data.
    lines : DataFrame
        problem, label, k, value: lower bounds on the regret, where a problem has them.
    """

    cells: pd.DataFrame
    curves: pd.DataFrame
    guarantees: pd.DataFrame
    bounds: pd.DataFrame
    config: dict[str, Any]
    lines: pd.DataFrame = dataclasses.field(default_factory=lambda: pd.DataFrame(columns=LINES))


def write(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:12]}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if os.name != "posix":  # where directories cannot be opened
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sweep(out: Path) -> None:
    """Remove what runs that were killed in the middle of a write left, once it is a day old."""
    for path in out.glob("**/.*.tmp"):
        with contextlib.suppress(OSError):  # another run removed it
            if time.time() - path.stat().st_mtime > DAY:
                path.unlink()


def to_json(data: Any) -> bytes:
    """Return plain data as indented JSON."""
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode()


def cell_file(out: Path, cell: Cell) -> Path:
    """Return the place of a cell's numbers."""
    return out / "cells" / f"{digest(cell)[:32]}.npz"


def write_cell(out: Path, cell: Cell, record: Record, provenance: Mapping[str, Any]) -> None:
    """Store a finished cell; its numbers appear last."""
    path = cell_file(out, cell)
    spec = np.frombuffer(json.dumps(cell, sort_keys=True).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, spec=spec, **record)
    write(path.with_suffix(".json"), to_json(dict(provenance)))
    write(path, buffer.getvalue())


def read_cell(out: Path, cell: Cell) -> tuple[Record, dict[str, Any]] | None:
    """Return the numbers and the provenance of a cell; None, with a warning that names the file, if it is
    not there whole."""
    path = cell_file(out, cell)
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            record = {name: file[name] for name in file.files}
        if json.loads(record.pop("spec").tobytes()) != json.loads(json.dumps(cell)):
            raise ValueError("it holds another cell")
        if not record["k"].shape == record["regret"].shape or record["k"][-1] != cell["budget"]:
            raise ValueError("its curve is not whole")
        if not np.isfinite(record["regret"]).all():
            raise ValueError("its regret is not finite")
        if record["sample_complexity"].shape != (len(cell["epsilons"]),):
            raise ValueError("its sample complexities are not those asked for")
        provenance = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        float(provenance["seconds"])
    except UNREADABLE as error:
        warnings.warn(f"{path} is not a finished cell, it counts as missing: {error}", stacklevel=2)
        return None
    return record, provenance


def request(out: Path, config: Mapping[str, Any]) -> None:
    """Record what is asked of a directory: more seeds, problems or algorithms extend it.

    No other change is accepted, unless nothing of the old request is finished: then it is forgotten.
    """
    refuse_changes(out, config)
    path = request_file(out, config)
    if not path.exists():
        write(path, to_json(config))
        try:
            refuse_changes(out, config)  # another run may have begun meanwhile
        except ValueError:
            path.unlink(missing_ok=True)
            raise
    for old in _requests(out):
        if any(_changes(old, config)):
            request_file(out, old).unlink(missing_ok=True)


def request_file(out: Path, config: Mapping[str, Any]) -> Path:
    """Return the place of a request."""
    return out / "studies" / f"{digest(config)[:32]}.json"


def _requests(out: Path) -> list[dict[str, Any]]:
    """Return all that was asked of a directory, the largest request first."""
    found = []
    for path in sorted((out / "studies").glob("*.json")):
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
            found.append((-len(cells(config)), digest(config), config))
        except UNREADABLE as error:
            warnings.warn(f"{path} is not a study, it is left out: {error}", stacklevel=2)
    return [config for *_, config in sorted(found, key=lambda x: x[:2])]


def refuse_changes(out: Path, config: Mapping[str, Any]) -> None:
    """Raise a ValueError that says what changed, if a directory holds cells of another study."""
    for old in _requests(out):
        changes = list(_changes(old, config))
        if changes and any(cell_file(out, cell).exists() for cell in cells(old)):
            advice = "choose another directory or remove this one"
            raise ValueError(f"{out} holds another study ({'; '.join(changes)}): {advice}")


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Any:
    """Say in what two requests contradict each other."""
    for field in ("name", "results", "epsilons"):
        if old[field] != new[field]:
            yield f"{field} was {old[field]}, now {new[field]}"
    for field in ("problems", "algorithms"):
        for label in old[field].keys() & new[field].keys():
            (name, params), (new_name, new_params) = old[field][label], new[field][label]
            if name != new_name:
                yield f"{field}[{label!r}] was {name}, now {new_name}"
                continue
            for key in sorted(params.keys() | new_params.keys()):
                before, now = params.get(key, "not set"), new_params.get(key, "not set")
                if before != now:
                    yield f"{field}[{label!r}]: {key} was {before}, now {now}"
    for label in old["budget"].keys() & new["budget"].keys():
        if old["budget"][label] != new["budget"][label]:
            yield f"budget of {label} was {old['budget'][label]}, now {new['budget'][label]}"


def _merged(requests: list[dict[str, Any]]) -> dict[str, Any]:
    config = dict(requests[0])
    for field in ("problems", "algorithms", "budget"):
        config[field] = {k: v for r in reversed(requests) for k, v in r[field].items()}
        config[field] = {k: config[field][k] for r in requests for k in r[field]}
    config["seeds"] = max(r["seeds"] for r in requests)
    return config


def theory_file(out: Path, problem: str, algorithm: str) -> Path:
    """Return the place of what theory says of a pair."""
    return out / "theory" / f"{digest([problem, algorithm])[:32]}.json"


def lines_file(out: Path, problem: str) -> Path:
    """Return the place of the lower bounds of a problem."""
    return out / "lines" / f"{digest(problem)[:32]}.json"


def load(out: str | Path) -> Table:
    """Read what a study left: the finished cells, in the order of the study.

    Parameters
    ----------
    out : str or Path
        The directory of a run.

    Returns
    -------
    Table
        Frames of cells, curves, guarantees and bounds, and the configuration.

    Raises
    ------
    ValueError
        If the directory holds no study.

    Examples
    --------
    >>> load("nowhere")
    Traceback (most recent call last):
    ValueError: nowhere holds no study
    """
    out = Path(out)
    requests = _requests(out)
    if not requests:
        raise ValueError(f"{out} holds no study")
    config = _merged(requests)
    rows, curves = [], []
    for cell in cells(config):
        found = read_cell(out, cell)
        if found is None:
            continue
        record, provenance = found
        who = {"problem": cell["problem"][0], "algorithm": cell["algorithm"][0], "seed": cell["seed"]}
        measured = dict(
            zip((f"sample_complexity_{e:g}" for e in cell["epsilons"]), record["sample_complexity"])
        )
        numbers = {"budget": cell["budget"], "regret": record["regret"][-1], "seconds": provenance["seconds"]}
        rows.append({**who, **numbers, **measured, "entropy": hex(entropy(cell)), **provenance})
        curves.append(pd.DataFrame({**who, "k": record["k"], "regret": record["regret"]}))
    guarantees, bounds = _theory(out, config)
    columns = [*CELL, "budget", "regret", "seconds", "entropy", "version", "commit"]
    return Table(
        cells=pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns),
        curves=pd.concat(curves, ignore_index=True)
        if curves
        else pd.DataFrame(columns=[*CELL, "k", "regret"]),
        guarantees=guarantees,
        bounds=bounds,
        config=config,
        lines=_lines(out, config),
    )


def _lines(out: Path, config: Mapping[str, Any]) -> pd.DataFrame:
    found = []
    for problem in config["problems"]:
        path = lines_file(out, problem)
        if not path.exists():
            continue
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            for label, value in data["lines"].items():
                found.append(
                    pd.DataFrame({"problem": problem, "label": label, "k": data["k"], "value": value})
                )
        except UNREADABLE as error:
            warnings.warn(f"{path} holds no lower bounds, it is left out: {error}", stacklevel=3)
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=LINES)


def _theory(out: Path, config: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, bounds = [], []
    for problem in config["problems"]:
        for algorithm in config["algorithms"]:
            path = theory_file(out, problem, algorithm)
            if not path.exists():
                continue
            try:
                theory = json.loads(path.read_text(encoding="utf-8"))
                curve = {name: theory.pop(name) for name in ("k", "bound")}
            except UNREADABLE as error:
                warnings.warn(f"{path} is not what a theorem says, it is left out: {error}", stacklevel=3)
                continue
            rows.append({"problem": problem, "algorithm": algorithm, **theory})
            bounds.append(pd.DataFrame({"problem": problem, "algorithm": algorithm, **curve}))
    columns = ["problem", "algorithm", "exponent", "statement", "paper", "setting", "assumptions", "applies"]
    guarantees = pd.DataFrame(rows, columns=columns).astype({"exponent": float, "applies": bool})
    filled = [b for b in bounds if len(b)]
    none = pd.DataFrame(columns=["problem", "algorithm", "k", "bound"])
    return guarantees, pd.concat(filled, ignore_index=True) if filled else none


def consolidate(out: str | Path) -> Table:
    """Write the tables of a run as files for other programs.

    Parameters
    ----------
    out : str or Path
        The directory of a run; gets ``table.csv`` (cells), ``curves.csv`` and ``config.json``, and
        ``table.parquet`` and ``curves.parquet`` where pyarrow is installed.

    Returns
    -------
    Table
        What `load` returns.

    Raises
    ------
    ValueError
        If the directory holds no study.

    Examples
    --------
    >>> consolidate("nowhere")
    Traceback (most recent call last):
    ValueError: nowhere holds no study
    """
    out = Path(out)
    table = load(out)
    write(out / "config.json", to_json(table.config))
    for name, frame in (("table", table.cells), ("curves", table.curves)):
        write(out / f"{name}.csv", frame.to_csv(index=False).encode())
        if importlib.util.find_spec("pyarrow"):
            write(out / f"{name}.parquet", frame.to_parquet(index=False))
    return table
