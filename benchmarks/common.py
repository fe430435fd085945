"""What the benchmark scripts share: workers in other interpreters, tables, and the README's sections."""

import argparse
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
THREADS = "OMP OPENBLAS MKL BLIS NUMEXPR NUMBA"
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in THREADS.split()}


class Worker:
    """A library in its own interpreter: one JSON request per line in, one JSON answer per line out."""

    def __init__(self, name, script, args):
        pythons, folders = dict(args.peer_python), dict(args.peer_path)
        env = {**os.environ, **ONE_THREAD}
        if name in folders:
            env["PYTHONPATH"] = folders[name]
        self.name = name
        self._process = subprocess.Popen(
            [pythons.get(name, sys.executable), HERE / "peers" / f"{script}.py"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
        )  # fmt: skip
        self.about = self._answer()

    @property
    def installed(self):
        return not {"missing", "failed"} & set(self.about)

    def _answer(self):
        line = self._process.stdout.readline()
        return json.loads(line) if line else {"failed": "the interpreter ended"}

    def ask(self, **request):
        if self._process.poll() is not None:
            return {"failed": "the interpreter ended"}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def rounds(jobs, repeat):
    """Run the jobs (key, worker, request) one after another, `repeat` times after one unrecorded round.

    A job that fails or is not installed keeps its message in place of answers. Each round has its own seed,
    if the request has one.
    """
    answers = {key: [] for key, _, _ in jobs}
    for i in range(repeat + 1):
        for key, worker, request in jobs:
            if isinstance(answers[key], str):
                continue
            if not worker.installed:
                answers[key] = "not installed"
                continue
            if "seed" in request:
                request = {**request, "seed": i}
            answer = worker.ask(**request)
            if "failed" in answer:
                answers[key] = answer["failed"]
            elif i:
                answers[key].append(answer)
            print(f"  round {i} {key}: {json.dumps(answer)[:150]}", file=sys.stderr)
    return answers


def median(answers, field):
    """Median of a field over the rounds."""
    return statistics.median(a[field] for a in answers)


def ratio(theirs, ours, field="seconds"):
    """Median, least and largest ratio of a field over the pairs (theirs, ours) of the same round."""
    if isinstance(theirs, str) or isinstance(ours, str):
        return "-"
    pairs = [a[field] / b[field] for a, b in zip(theirs, ours)]
    return f"{number(statistics.median(pairs))}x ({number(min(pairs))}-{number(max(pairs))})"


def number(x):
    """Write a number with about three digits."""
    if x is None:
        return "-"
    if x and (abs(x) < 1e-3 or abs(x) >= 1e6):
        return f"{x:.1e}"
    return f"{x:,.0f}" if abs(x) >= 100 else f"{x:.3g}"


def table(header, rows):
    """Write a markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(x) for x in line) + " |" for line in lines)


def machine():
    """Describe the machine: processor, cores, memory, versions."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*:\s*(.+)", text)
    cpu = model[1].strip() if model else platform.processor()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    ours = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "numba", "eluder"))
    return (
        f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB; {platform.system()}, "
        f"Python {platform.python_version()}, {ours}"
    )


def peers(workers):
    """List the peers with their versions."""
    parts = [
        f"{w.name} ({', '.join(f'{k} {v}' for k, v in w.about.items())})"
        for w in workers
        if w.installed and w.name != "eluder"
    ]
    return "Peers: " + ("; ".join(parts) or "none installed") + "."


def pair(text):
    """Read NAME=PATH."""
    name, path = text.split("=", 1)
    return name, path


def arguments(description, repeat):
    """Return the parser with the options of all scripts."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--peer-python", type=pair, action="append", default=[], metavar="NAME=PYTHON",
                        help="interpreter that has the peer NAME; without it, this one")  # fmt: skip
    parser.add_argument("--peer-path", type=pair, action="append", default=[], metavar="NAME=FOLDER",
                        help="PYTHONPATH of the peer NAME (for a peer that is not packaged)")  # fmt: skip
    parser.add_argument("--repeat", type=int, default=repeat, help="rounds after the warm-up (%(default)s)")
    parser.add_argument("--only", default="", help="run only the cases whose name holds this text")
    parser.add_argument("--write", action="store_true", help="replace this script's section of README.md")
    return parser


def publish(section, text, write):
    """Print the result and, if asked, put it in the README with the command and the machine."""
    command = " ".join(re.sub(r"=/\S*?(/bin/python\S*)?$", r"=PATH\1", shlex.quote(a)) for a in sys.argv[1:])
    command = f"python benchmarks/{Path(sys.argv[0]).name} {command}".strip()
    text = f"{text}\n\n`{command}`\n\n{machine()}; load {os.getloadavg()[0]:.1f}.\n"
    print(text)
    if write:
        readme = HERE / "README.md"
        marks = [f"<!-- {section}: {end} -->" for end in ("begin", "end")]
        old = readme.read_text(encoding="utf-8")
        head, rest = old.split(marks[0])
        tail = rest.split(marks[1])[1]
        readme.write_text(f"{head}{marks[0]}\n{text}{marks[1]}{tail}", encoding="utf-8")
