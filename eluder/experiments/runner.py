"""Run a study: every cell a pure function of its specification, side by side, stored as it finishes.

A cell (one algorithm on one problem with one seed) gives the same bits in a thread, a process, on a cluster
or alone: its generator is seeded by the hash of study, algorithm, problem and seed, and nothing else enters.

Executors: anything with the interface of `concurrent.futures.Executor`. Dask::

    client = distributed.Client("tcp://scheduler:8786")
    run(study, executor=client.get_executor(pure=False))

loky and mpi4py give such objects themselves. Ray needs these lines::

    class RayExecutor(concurrent.futures.Executor):
        def submit(self, fn, /, *args, **kwargs):
            return ray.remote(fn).remote(*args, **kwargs).future()

SLURM needs none: an array of jobs over one directory, each with
``--shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT`` (the array numbered from 0).
"""

import contextlib
import functools
import inspect
import json
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pandas as pd

import eluder
from eluder.core import checks
from eluder.core.bandits import Bandit
from eluder.core.guarantees import guarantee
from eluder.core.linear import LinearMDP, MisspecifiedLinearMDP
from eluder.core.problems import DiscountedMDP
from eluder.core.results import BanditResult, OnlineResult, checkpoints
from eluder.core.types import Array, IntArray
from eluder.experiments import catalogue, store
from eluder.experiments.measures import lower_bounds, regret, sample_complexity
from eluder.experiments.study import Cell, Study, build, cells, entropy, load_study, resolve

__all__ = ["FailedCells", "run"]


class FailedCells(RuntimeError):
    """Some cells of a study raised; the others are stored."""


def run(
    study: Study | str | Path,
    *,
    out: str | Path | None = None,
    seeds: int | None = None,
    jobs: int | None = None,
    executor: Executor | str | None = None,
    shard: tuple[int, int] | None = None,
    resume: bool = True,
    progress: bool = True,
) -> store.Table:
    """Run what is missing of a study and return its table.

    Parameters
    ----------
    study : Study, str or Path
        The study, its file, or the name of a built-in one.
    out : str or Path, optional
        Directory of the results, ``runs/<name>`` by default. Several runs may share it.
    seeds : int, optional
        Replaces the study's number of seeds.
    jobs : int, optional
        Cells at a time; by default as many as there are CPUs.
    executor : concurrent.futures.Executor or str, optional
        Where cells run: "threads", "processes", "dask:<address of a scheduler>", or an executor of yours. By
        default threads, since our kernels release the interpreter; processes if the study names functions
        of its own.
    shard : tuple of two int, optional
        (i, n): only every n-th cell, from the i-th (0 <= i < n).
    resume : bool, default=True
        Keep finished cells; False runs all again.
    progress : bool, default=True
        Show a progress bar.

    Returns
    -------
    Table
        All finished cells in `out`, also written there as CSV.

    Raises
    ------
    ValueError
        If the study, a name, a parameter or the shard is wrong, or `out` holds another study.
    FailedCells
        If cells raised: their tracebacks are on stderr, all others are stored.

    Notes
    -----
    Killed at any time, the same call runs only what is missing, and the table equals that of an undisturbed
    run but for seconds.

    Examples
    --------
    >>> import tempfile
    >>> study = Study(problems={"R": ("river_swim", {"S": 6, "H": 20})}, algorithms={"U": "ucbvi"}, budget=5)
    >>> with tempfile.TemporaryDirectory() as out:
    ...     table = run(study, out=out, seeds=2, progress=False)
    >>> len(table.cells)
    2
    """
    if not isinstance(study, Study):
        study = load_study(study)
    if seeds is not None:
        study = replace(study, seeds=seeds)
    study = resolve(study)
    config = study.config()
    out = Path(out) if out is not None else Path("runs") / study.name
    mine = _shard(cells(config), shard)
    todo = [cell for cell in mine if not resume or store.read_cell(out, cell) is None]
    store.refuse_changes(out, config)
    store.sweep(out)
    theories = {_pair(cell): theory(cell) for cell in cells({**config, "seeds": 1})}

    executor = _default(study) if executor is None else executor
    with opened(executor, jobs) as pool, _bar(len(mine), len(mine) - len(todo), progress) as bar:
        bar.set_postfix_str("compiling")
        for cell in {_pair(cell): cell for cell in todo}.values():
            _warm(cell)
        bar.set_postfix_str("")
        store.request(out, config)
        for names, statement in theories.items():
            if statement is not None:
                store.write(store.theory_file(out, *names), store.to_json(statement))
        for problem, component in config["problems"].items():
            if (lines := _lines(component, config["budget"][problem])) is not None:
                store.write(store.lines_file(out, problem), store.to_json(lines))
        failed = _run_all(todo, out, pool, bar)
    store.request(out, config)  # again: another study may have taken the directory before a cell was finished
    table = store.consolidate(out)
    if study.score is not None and not table.cells.empty:
        store.write(out / "score.csv", scored(study, table).to_csv().encode())
    if failed:
        raise FailedCells(f"{len(failed)} of {len(mine)} cells failed: {'; '.join(failed)}")
    return table


def scored(study: Study, table: store.Table) -> "pd.DataFrame | pd.Series[Any]":
    """Return what the study's score makes of its cells; an error says that they are stored."""
    assert study.score is not None
    try:
        result = study.score(table.cells)
    except Exception as error:
        raise ValueError(f"score: {type(error).__name__}: {error}; all cells are stored") from error
    if not isinstance(result, pd.DataFrame | pd.Series):
        raise ValueError(f"score must return a DataFrame, got {result!r}; all cells are stored")
    return result


def _shard(every: list[Cell], shard: tuple[int, int] | None) -> list[Cell]:
    if shard is None:
        return every
    n = checks.integer("shard's n", shard[1])
    return every[checks.integer("shard's i", shard[0], 0, n - 1) :: n]


def _pair(cell: Cell) -> tuple[str, str]:
    return cell["problem"][0], cell["algorithm"][0]


def _default(study: Study) -> str:
    """Threads for our kernels, which release the interpreter; processes for what may not."""
    return "processes" if any(":" in name for name, _ in study.algorithms.values()) else "threads"


@contextlib.contextmanager
def _bar(total: int, done: int, progress: bool) -> Iterator[Any]:
    """Show a progress bar; take it away again if the study is refused."""
    from tqdm import tqdm  # not tqdm.auto, which warns in notebooks without ipywidgets

    with tqdm(total=total, initial=done, disable=not progress, unit="cell", file=sys.stderr) as bar:
        try:
            yield bar
        except ValueError:
            bar.leave = False
            raise


def _run_all(todo: list[Cell], out: Path, pool: Executor, bar: Any) -> list[str]:
    """Run cells and store each as it finishes; return the names of those that failed."""
    failed, traces = [], list[str]()
    waiting: dict[Future[Any], Cell] = {}
    try:
        waiting.update({pool.submit(run_cell, cell): cell for cell in todo})
        for future in as_completed(waiting):
            cell = waiting[future]
            try:
                record, provenance = future.result()
            except BrokenExecutor:  # a worker died, and with it all that wait: the next call goes on
                raise
            except Exception as error:
                failed.append(f"{' / '.join(_pair(cell))} / seed {cell['seed']}")
                trace = "".join(traceback.format_exception(error))
                bar.write(f"{failed[-1]} failed{_once(trace, traces)}", file=sys.stderr)
            else:
                store.write_cell(out, cell, record, provenance)  # a full disk stops the run
            bar.update()
    finally:
        for future in waiting:
            future.cancel()
    return sorted(failed)


def _once(trace: str, seen: list[str]) -> str:
    """Return a traceback the first time, and a remark later."""
    if trace in seen:
        return " like one before"
    seen.append(trace)
    return f":\n{trace}"


def _warm(cell: Cell) -> None:
    """Compile before the cells start, and refuse parameters that the algorithm refuses."""
    try:
        _warm_up(json.dumps([cell["problem"], cell["algorithm"], cell["epsilons"]]))
    except ValueError as error:
        raise ValueError(f"{' / '.join(_pair(cell))}: {error}") from error
    except Exception:
        pass  # the cells will say so, each for itself


@functools.lru_cache(maxsize=256)
def _warm_up(pair: str) -> None:
    """Play one episode, once per process, so that no cell's seconds hold a compilation."""
    problem, algorithm, epsilons = json.loads(pair)
    cell = {"study": "", "problem": problem, "algorithm": algorithm, "epsilons": epsilons}
    _play({**cell, "budget": 1, "seed": 0})


def run_cell(cell: Cell) -> tuple[store.Record, dict[str, Any]]:
    """Run one cell.

    Parameters
    ----------
    cell : dict
        Its specification, one of ``cells(config)``.

    Returns
    -------
    record : dict of ndarray
        ``k`` and ``regret`` of shape (<= 200,), ``sample_complexity`` of shape (number of accuracies,): a
        pure function of `cell`.
    provenance : dict
        CPU seconds, versions and commit.

    Examples
    --------
    >>> cell = {"study": "s", "problem": ["R", "river_swim", {"S": 6, "H": 20}], "seed": 0,
    ...         "algorithm": ["U", "ucbvi", {}], "budget": 5, "epsilons": []}
    >>> run_cell(cell)[0]["k"].tolist()
    [1, 2, 3, 4, 5]
    """
    _warm(cell)
    record, seconds = _play(cell)
    versions = {"python": platform.python_version(), "numpy": np.__version__, "numba": numba.__version__}
    return record, {"seconds": seconds, "version": eluder.__version__, "commit": commit(), **versions}


def _play(cell: Cell) -> tuple[store.Record, float]:
    """Return what a cell measures, and the CPU seconds of its thread."""
    mdp = _problem(json.dumps(cell["problem"][1:]))
    _, name, params = cell["algorithm"]
    rng = np.random.default_rng(entropy(cell))
    start = time.thread_time()
    result = _algorithm(name)(mdp, cell["budget"], **params, rng=rng)
    seconds = time.thread_time() - start
    if not np.isfinite(result.value).all():
        raise FloatingPointError(f"value[{int(np.argmin(np.isfinite(result.value)))}] is not finite")
    k, curve, accuracies = _measured(result, mdp, cell)
    record = {
        "k": k,
        "regret": curve,
        "sample_complexity": np.array([np.nan if n is None else n for n in accuracies], np.float64),
    }
    return record, seconds


def _measured(
    result: OnlineResult | BanditResult, problem: Any, cell: Cell
) -> tuple[IntArray, Array, list[int | None]]:
    """Return checkpoints, regret there, and the sample complexities of a run."""
    if isinstance(result, BanditResult):
        if cell["epsilons"]:
            raise ValueError("epsilons are for episodic problems: a bandit learner has no policy value")
        return result.checkpoints, result.regret, []
    k = checkpoints(cell["budget"])
    accuracies = [sample_complexity(result, problem, eps) for eps in cell["epsilons"]]
    return k, regret(result, problem)[k - 1], accuracies


@functools.lru_cache(maxsize=32)
def _problem(component: str) -> Any:
    return build(*json.loads(component))


def _algorithm(name: str) -> Callable[..., Any]:
    return catalogue.find("algorithm", name, catalogue.learners())


def theory(cell: Cell) -> dict[str, Any] | None:
    """Return what the theorem of a cell's algorithm says of its problem; None if nothing is declared.

    Raises ValueError where the problem cannot be built, or is not of the kind the algorithm plays.
    """
    label, *component = cell["problem"]
    algorithm, name, params = cell["algorithm"]
    try:
        mdp = _problem(json.dumps(component))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{label}: {error}") from None
    function = _algorithm(name)
    catalogue.check_problem(algorithm, function, label, mdp)
    try:
        g = guarantee(function, **params)
    except ValueError:
        g = None
    if g is None:
        return None
    k, bound = _bound(g.bound, mdp, cell["budget"], params)
    return {
        "exponent": g.exponent,
        "statement": g.statement,
        "paper": catalogue.cite(g.paper),
        "setting": g.setting,
        "assumptions": g.assumptions,
        "applies": params.get("c", 1) == 1,
        "k": k,
        "bound": bound,
    }


def _size(problem: Any, needs: Collection[str]) -> dict[str, Any]:
    """Return the quantities of a problem that a bound may depend on, of those that it `needs`."""
    if isinstance(problem, Bandit):
        size: dict[str, Any] = {"A": problem.means.shape[1]}
        if problem.starts.size == 1:
            size["gaps"] = problem.means[0].max() - problem.means[0]
        return size
    if not hasattr(problem, "mask"):
        return {}
    S, A = problem.mask.shape
    size = {"S": S, "A": A}
    if isinstance(problem, LinearMDP | MisspecifiedLinearMDP):
        size["d"] = problem.phi.shape[2]
    if hasattr(problem, "H"):
        size["H"] = problem.H
    elif isinstance(problem, DiscountedMDP) and "D" in needs:
        from eluder.core.exact import diameter

        size["D"] = diameter(problem)
    return size


def _bound(
    bound: Callable[..., float] | None, problem: Any, K: int, params: Mapping[str, Any]
) -> tuple[list[int], list[float]]:
    """Evaluate a theorem's bound at the checkpoints; empty where there is none."""
    if bound is None:
        return [], []
    needs = inspect.signature(bound).parameters
    given = {name: value for name, value in params.items() if value is not None}
    size = {**given, **_size(problem, needs)}
    budget = "K" if "K" in needs else "T"
    if not set(needs) <= {*size, budget}:
        return [], []
    curve = [
        (int(k), float(bound(**{n: {**size, budget: int(k)}[n] for n in needs}))) for k in checkpoints(K)
    ]
    finite = [(k, b) for k, b in curve if np.isfinite(b)]
    return [k for k, _ in finite], [b for _, b in finite]


def _lines(component: Any, budget: int) -> dict[str, Any] | None:
    """Return the lower bounds of a problem at the checkpoints as plain data; None if it has none."""
    k = checkpoints(budget)
    bounds = lower_bounds(_problem(json.dumps(component)), k)
    lines = {label: bound.tolist() for label, bound in bounds.items()}
    return {"k": k.tolist(), "lines": lines} if lines else None


@functools.cache
def commit() -> str:
    """Return the commit of the package's sources, with "+" if they were edited; empty outside a checkout."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(eluder.__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        if not git("ls-files", "__init__.py"):
            return ""
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def cpus() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def opened(executor: Executor | str, jobs: int | None) -> Iterator[Executor]:
    """Give the executor that `run` was asked for; close it afterwards if it is ours."""
    if not isinstance(executor, str):
        if not callable(getattr(executor, "submit", None)):
            raise ValueError(f"executor must have the method submit, got {executor!r}")
        yield executor
        return
    jobs = checks.integer("jobs", cpus() if jobs is None else jobs)
    kind, _, address = executor.partition(":")
    pool: Executor
    with contextlib.ExitStack() as stack:
        if kind == "threads":
            pool = ThreadPoolExecutor(jobs)
        elif kind == "processes":
            stack.enter_context(_one_thread_each())
            spawn = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_worker)
        elif kind == "dask" and address:
            from distributed import Client

            pool = stack.enter_context(Client(address)).get_executor(pure=False)
        else:
            raise ValueError(f"executor must be threads, processes or dask:<address>, got {executor!r}")
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let worker processes started in here use one thread each for their linear algebra."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    added = [n for n in names if n not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _worker() -> None:
    """Prepare a worker process: the parent handles Ctrl-C, and no worker outlives it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
