"""The command ``eluder``: studies, algorithms, exact plans, training of agents, the installation.

Heavy imports wait until the arguments are parsed.
"""

import argparse
import contextlib
import importlib
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["main"]

CONTINUES = "finished cells are kept, the same command continues"
MOST_STATES = 40  # rows that `eluder solve` prints


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        Exit code: 0, 1 if cells failed, 2 if the input was refused (one line on stderr says why), 130 after
        Ctrl-C.

    Examples
    --------
    >>> main(["list", "studies"])  # doctest: +ELLIPSIS
    adversarial_linear
    ...
    0
    """
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and arguments.command != "solve" and not getattr(arguments, "setting", None):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    from concurrent.futures import BrokenExecutor

    from eluder.experiments import FailedCells

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not None, as where the caller closed it
            stream.reconfigure(errors="backslashreplace")  # labels that the terminal cannot write
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(f"eluder: warning: {message}", file=sys.stderr)
        try:
            arguments.call(arguments, rest)
        except BrokenPipeError:  # the reader of our output went away
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except FailedCells as error:
            print(f"eluder: {error}; the same command tries them again", file=sys.stderr)
            return 1
        except BrokenExecutor as error:
            print(f"eluder: a worker died ({error}); the same command continues", file=sys.stderr)
            return 1
        except (ValueError, OSError) as error:
            print(f"eluder: {' '.join(str(error).split())}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            trains = arguments.command in ("train", "resume")
            way = "eluder resume goes on from the newest checkpoint" if trains else CONTINUES
            print(f"\neluder: interrupted; {way}", file=sys.stderr)
            if sys.stdout is not None:
                sys.stdout.flush()
            sys.stderr.flush()
            os._exit(130)  # not waiting for the cells that still run in threads
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="eluder", description="Reinforcement learning theory, run and measured.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, call: Callable[..., None], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(call=call)
        return sub

    run = command("run", _run, "Run a study: only what is missing in its directory.")
    run.add_argument(
        "study", help="a Python or TOML file, or the name of a built-in study (eluder list studies)"
    )
    run.add_argument("--out", type=Path, help="directory of the results (runs/NAME)")
    run.add_argument("--seeds", type=int, help="number of seeds")
    run.add_argument("--budget", type=int, help="episodes of every run (steps for average reward)")
    run.add_argument("--jobs", type=int, help="cells at a time (the number of CPUs)")
    text = "change a parameter of an algorithm or problem, by label or function: ucbvi.c=0.1"
    run.add_argument(
        "--set", action="append", default=[], metavar="NAME.PARAM=VALUE", dest="changes", help=text
    )
    run.add_argument("--config", type=Path, help="a TOML file of changes: seeds, budget, [ucbvi] c = 0.1")
    run.add_argument("--executor", help="threads, processes or dask:ADDRESS")
    run.add_argument("--shard", type=_shard, metavar="I/N", help="every N-th cell from the I-th (0 <= I < N)")
    run.add_argument(
        "--resume", action=argparse.BooleanOptionalAction, default=True, help="keep finished cells"
    )
    run.add_argument("--report", action=argparse.BooleanOptionalAction, default=True, help="draw the results")
    run.add_argument("--quiet", action="store_true", help="no progress bar")

    what = command("list", _list, "List algorithms with their setting, guarantee and paper.")
    what.add_argument("what", nargs="?", default="algorithms", choices=("algorithms", "problems", "studies"))

    report = command("report", _report, "Write the figures and report.html of a finished or running study.")
    report.add_argument("directory", type=Path)

    solve = command(
        "solve", _solve, "Plan one problem exactly; its parameters are options: --S 6 --gamma 0.95."
    )
    solve.add_argument("problem", help="a constructor (eluder list problems) or a gymnasium id")
    solve.add_argument("--method", help="a planner (by default an exact one that fits the problem)")
    solve.add_argument("--save", type=Path, metavar="FILE.npz", help="keep V, Q and pi")

    train = command(
        "train",
        _train,
        "Train a deep agent on an environment of gymnasium, or an ordering policy on an inventory setting, "
        "whose parameters are options: --setting lost_sales --lead-time 4 --penalty 9.",
    )
    train.add_argument("agent", help="sac, td3, ppo, dqn, dsac_t, hdpo ... (a wrong name lists them)")
    where = train.add_mutually_exclusive_group(required=True)
    where.add_argument("--env", metavar="ID", help="a gymnasium id, such as HalfCheetah-v5")
    where.add_argument("--setting", metavar="NAME", help="an inventory setting (a wrong name lists them)")
    train.add_argument("--policy", help="of an inventory setting: levels, mlp, gnn ... (levels)")
    train.add_argument(
        "--steps", type=_count, help="environment steps of each seed: 1e6; updates of hdpo (400)"
    )
    train.add_argument(
        "--seeds", type=_seeds, default=[0], metavar="N", help="how many, side by side; or 3,5,8"
    )
    train.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    train.add_argument("--out", type=Path, help="folder of logs and checkpoints (runs/AGENT-ENV)")
    train.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", dest="changes", help="a hyperparameter"
    )
    resume = command("resume", _resume, "Go on with a training run from its newest checkpoint.")
    resume.add_argument("directory", type=Path)
    resume.add_argument(
        "--steps", type=_count, help="train to this many steps instead of those asked for first"
    )
    resume.add_argument("--device", help="cpu, cuda ... (where it ran)")
    for sub in (train, resume):
        sub.add_argument("--quiet", action="store_true", help="no progress bar")
        for name in ("evaluate_every", "episodes", "log_every", "save_every", "num_threads"):
            sub.add_argument(f"--{name.replace('_', '-')}", type=_count, metavar="N", help=argparse.SUPPRESS)
        sub.add_argument("--tensorboard", action="store_true", help="write TensorBoard's files too")

    command("doctor", _doctor, "Show versions, the kernel cache, CPUs, and devices where installed.")
    return parser


def _shard(text: str) -> tuple[int, int]:
    i, _, n = text.partition("/")
    if not (i.isdigit() and n.isdigit()):
        raise argparse.ArgumentTypeError(f"must look like 0/8, got {text!r}")
    return int(i), int(n)


def _count(text: str) -> int:
    """Read a whole number, also as 1e6."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not (number >= 0 and number.is_integer()):
        raise argparse.ArgumentTypeError(f"must be a whole number such as 20000 or 1e6, got {text!r}")
    return int(number)


def _seeds(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"must be a number of seeds or a list like 3,5,8, got {text!r}")
    return list(range(int(text))) if len(parts) == 1 else [int(part) for part in parts]


def literal(text: str) -> Any:
    """Read a value as TOML does; what is not a value is a string."""
    import tomllib

    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text


# --- run and report ---


def _run(arguments: argparse.Namespace, _: list[str]) -> None:
    from eluder.experiments import FailedCells, load, run
    from eluder.experiments.runner import scored

    study = _study(arguments)
    out = arguments.out or Path("runs") / study.name
    failure = None
    try:
        table = run(
            study,
            out=out,
            jobs=arguments.jobs,
            executor=arguments.executor,
            shard=arguments.shard,
            resume=arguments.resume,
            progress=not arguments.quiet,
        )
    except FailedCells as error:
        table, failure = load(out), error
    if table.cells.empty:
        i, n = arguments.shard or (0, 1)
        print(f"{out} has no finished cell yet{f': shard {i}/{n} holds none' if n > 1 else ''}")
    else:
        _show(table, out, arguments.report)
        if study.score is not None:
            print(f"\n{scored(study, table).to_string()}")
    if failure is not None:
        raise failure


def _study(arguments: argparse.Namespace) -> Any:
    """Load the study and change it: first as the file of changes says, then as the flags do."""
    from dataclasses import replace

    from eluder.experiments import load_study
    from eluder.experiments.study import override

    # Functions of the user's own may stand beside the study, or here.
    sys.path += [str(Path(arguments.study).parent.resolve()), os.getcwd()]
    study = load_study(arguments.study)
    changes = [] if arguments.config is None else list(_config(arguments.config))
    flags = {"seeds": arguments.seeds, "budget": arguments.budget}
    changes += [(name, value) for name, value in flags.items() if value is not None]
    for text in arguments.changes:
        change = re.fullmatch(r"(.+\.\w+)=(.*)", text)
        if change is None:
            raise ValueError(f"--set takes NAME.PARAM=VALUE, got {text!r}")
        changes.append((change[1], literal(change[2])))
    for key, value in changes:
        target, dot, parameter = key.rpartition(".")
        study = override(study, target, parameter, value) if dot else replace(study, **{parameter: value})
    return study


def _config(path: Path) -> Any:
    """Yield the changes of a TOML file as (name, value) and (target.parameter, value)."""
    import tomllib

    from eluder.experiments.catalogue import refuse_unknown

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    for key, value in data.items():
        if isinstance(value, dict) and key != "budget":
            yield from ((f"{key}.{parameter}", x) for parameter, x in value.items())
        else:
            refuse_unknown(f"key in {path.name}:", [key], ("seeds", "budget", "epsilons", "name"))
            yield key, value


def _report(arguments: argparse.Namespace, _: list[str]) -> None:
    from eluder.experiments import consolidate

    _show(consolidate(arguments.directory), arguments.directory, draw=True)


def _show(table: Any, out: Path, draw: bool) -> None:
    """Print the summary; write regret.png and report.html."""
    from eluder.experiments import format_summary, plot_profile, plot_regret, summary, write_report

    if table.cells.empty:
        raise ValueError(f"{out} has no finished cell yet")
    print(format_summary(summary(table)))
    files = [out / "table.csv"]
    if draw:
        files.append(out / "regret.png")
        plot_regret(table).savefig(files[-1], dpi=150)
        if _comparable(table.cells):
            files.append(out / "profile.png")
            plot_profile(table).savefig(files[-1], dpi=150)
        files.append(write_report(table, out / "report.html"))
    print(f"\n{len(table.cells)} cells in {', '.join(map(str, files))}")


def _comparable(cells: Any) -> bool:
    """Say whether at least two algorithms have runs on each of at least two problems."""
    problems = cells.groupby("algorithm")["problem"].nunique()
    everywhere = problems == cells["problem"].nunique()
    return bool(problems.max() > 1 and everywhere.sum() > 1)


# --- list ---


def _list(arguments: argparse.Namespace, _: list[str]) -> None:
    from eluder.experiments import catalogue, study

    if arguments.what == "studies":
        for path in study.built_in().values():
            print(path.stem)
    elif arguments.what == "problems":
        for name, function in study.constructors().items():
            print(f"{name}\n    {_first_line(function)}")
    else:
        for name, function in catalogue.algorithms().items():
            print(name)
            for line in _guarantee_lines(function):
                print(f"    {line}")


def _first_line(function: Any) -> str:
    return (function.__doc__ or "").strip().partition("\n")[0]


def _guarantee_lines(function: Any) -> list[str]:
    """Describe the guarantees of an algorithm, one of each statement."""
    from eluder.core.guarantees import guarantees
    from eluder.experiments.catalogue import cite

    try:
        declared = guarantees(function)
    except ValueError:
        return [_first_line(function)]
    lines = [declared[0].setting]
    for g in declared:
        when = ", ".join(f"{key}={value}" for key, value in g.when.items())
        lines.append(f"{when}: {g.statement}" if when else g.statement)
    return [*lines, *dict.fromkeys(cite(g.paper) for g in declared)]


# --- solve ---


def _solve(arguments: argparse.Namespace, rest: list[str]) -> None:
    import numpy as np

    from eluder.core.problems import EpisodicMDP
    from eluder.experiments import catalogue, study

    options = _options(rest)
    planners = catalogue.functions("eluder.tabular.planning")
    name, params = arguments.problem, {}
    if name not in study.constructors() and "-v" in name:
        name, params = "gymnasium", {"id": name}
    ours = study.problem_parameters(name)
    theirs = {n: p for f in planners.values() for n, p in catalogue.call_parameters(f, skip=1).items()}
    if name != "gymnasium":  # which takes others, for gymnasium.make
        catalogue.refuse_unknown(f"option for {name}:", options, {**ours, **theirs})
    params |= {key: options.pop(key) for key in list(options) if key in ours or key not in theirs}
    mdp = study.build(name, study.complete(arguments.problem, name, params))
    method = arguments.method or _method(mdp)
    planner = catalogue.find("method", method, planners)
    catalogue.check_problem(method, planner, arguments.problem, mdp)
    result = planner(mdp, **catalogue.arguments(method, planner, options, skip=1))

    (S, A), episodic = mdp.mask.shape, isinstance(mdp, EpisodicMDP)
    kind = f"H = {mdp.H}" if episodic else f"gamma = {mdp.gamma:g}"
    print(f"{arguments.problem}: S = {S}, A = {A}, {kind}")
    print(f"{method}: {result.status}, {result.num_iter} iterations, certified gap {result.gap:.3g}")
    V, pi = (result.V[0], result.pi[0]) if episodic else (result.V, result.pi)
    if result.gain is not None:
        print(f"gain {result.gain:.10g}")
    else:
        print(f"value from mu {float(mdp.mu @ V):.10g}")
    heading = "bias" if result.gain is not None else "value"
    print(f"state  {heading:<16}  policy{' of stage 0' if episodic else ''}")
    for s in range(min(S, MOST_STATES)):
        print(f"{s:<5}  {V[s]:<16.10g}  {np.array2string(pi[s], precision=4)}")
    if S > MOST_STATES:
        print(f"... {S - MOST_STATES} more states (--save FILE.npz keeps all)")
    if arguments.save is not None:
        np.savez(arguments.save, V=result.V, Q=result.Q, pi=result.pi)


def _options(words: list[str]) -> dict[str, Any]:
    """Read ``--key value`` and ``--key=value``."""
    options: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        key, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not (equals or rest):
            raise ValueError(f"options of solve look like --name value, got {word!r}")
        options[key.replace("-", "_")] = literal(value if equals else rest.pop(0))
    return options


def _method(mdp: Any) -> str:
    if not hasattr(mdp, "gamma"):
        return "backward_induction"
    return "policy_iteration" if mdp.gamma < 1 else "average_policy_iteration"


# --- train and resume ---


def _train(arguments: argparse.Namespace, rest: list[str]) -> None:
    if arguments.setting is None:
        if arguments.steps is None:
            raise ValueError("--steps is missing: environment steps of each seed, such as 1e6")
        with _memory():
            _command().train(arguments, literal)
    else:
        with _memory():
            _command("inventory").train(arguments, _options(rest), literal)


def _resume(arguments: argparse.Namespace, _: list[str]) -> None:
    with _memory():
        _command().resume(arguments)


@contextlib.contextmanager
def _memory() -> Iterator[None]:
    """Let PyTorch's errors of memory be refusals like others."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error).partition("DefaultCPUAllocator: ")[2] or str(error)
        if isinstance(error, MemoryError) or re.search(
            "allocate memory|not enough memory|out of memory", text
        ):
            raise ValueError(f"the run needs more memory than there is: {text}") from None
        raise


def _command(area: str = "") -> Any:
    try:
        if area:
            return importlib.import_module(f"eluder.deep.{area}.command")
        from eluder.deep import command
    except ImportError as error:
        raise ValueError(str(error)) from None
    return command


# --- doctor ---


def _doctor(_: argparse.Namespace, __: list[str]) -> None:
    import platform

    import eluder
    from eluder.experiments.runner import commit, cpus

    print(f"eluder      {eluder.__version__} {commit()}".rstrip())
    print(f"python      {platform.python_version()} on {platform.platform()}")
    for name in ("numpy", "scipy", "numba", "gymnasium", "pandas", "matplotlib", "pyarrow", "distributed"):
        print(f"{name:<11} {_version(name)}")
    print(f"cpus        {cpus()} usable of {os.cpu_count()}")
    print(f"cache       {_cache()}")
    print(f"torch       {_torch()}")
    print(f"opengl      {_opengl()}")


def _version(name: str) -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _cache() -> str:
    """Say where kernels are cached, and try to write there."""
    import tempfile

    from eluder.core._cache import cache_dir

    folder = cache_dir()
    if folder is None:
        return "no place for one: kernels compile in each process"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return f"{folder}, writable"
    except OSError as error:
        return f"{folder}, not writable ({error.strerror}): kernels compile in each process"


def _torch() -> str:
    try:
        import torch
    except ImportError as error:
        return f"not installed ({error})" if _version("torch") != "not installed" else "not installed"
    if torch.cuda.is_available():
        return f"{torch.__version__}, {torch.cuda.get_device_name(0)}"
    return f"{torch.__version__}, cpu"


def _opengl() -> str:
    """Name the libraries that MuJoCo could draw with."""
    from ctypes.util import find_library

    found = [
        kind
        for kind, library in (("egl", "EGL"), ("osmesa", "OSMesa"), ("glfw", "glfw"))
        if find_library(library)
    ]
    return f"MUJOCO_GL={os.environ.get('MUJOCO_GL', 'not set')}; found: {', '.join(found) or 'none'}"


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
