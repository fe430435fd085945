"""Start-up: imports, a cached kernel in a new process, and the cold compilation of every algorithm.

The algorithms and their small instances are the rows of tests/test_contract.py. See README.md.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from common import HERE, ONE_THREAD, arguments, number, publish, table

HEAVY = ("torch", "scipy.stats", "matplotlib", "pandas", "gymnasium", "numba", "scipy.sparse")
FIRST_CALL = """
import json, sys, time
from tests.test_contract import ALGORITHMS
from numba.core import event
row = next(row for row in ALGORITHMS if row.name == sys.argv[1])
row.function, row.problem()
seconds, stack = {}, []
class Listen(event.Listener):
    def on_start(self, e):
        stack.append([time.process_time(), 0.0])
    def on_end(self, e):
        start, inner = stack.pop()
        total = time.process_time() - start
        if stack:
            stack[-1][1] += total
        f = e.data["dispatcher"].py_func
        name = f.__module__.removeprefix("eluder.") + "." + f.__name__
        old = seconds.get(name, (0.0, 0.0))
        seconds[name] = (old[0] + total, old[1] + total - inner)
with event.install_listener("numba:compile", Listen()):
    wall, cpu = time.perf_counter(), time.process_time()
    row.call()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({"wall": wall, "cpu": cpu, "kernels": seconds}))
"""

EMPTY = """
import time, numba
start = time.process_time()
numba.njit(lambda x: x)(1.0)
print(time.process_time() - start)
"""


def process(code, *args, **env):
    """Run a fresh interpreter; return its last line with wall and CPU seconds of the process."""
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-c", code, *args], cwd=HERE.parent, stdout=subprocess.PIPE, text=True,
        env={**os.environ, **ONE_THREAD, **env},
    )  # fmt: skip
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"the process ended with status {child.returncode}")
    lines = output.splitlines()
    return lines[-1] if lines else "", time.perf_counter() - start, usage.ru_utime + usage.ru_stime


def import_rows(repeat):
    """Median wall and CPU seconds of a process that imports one module, and the heavy modules it pulls in."""
    rows = []
    for module in ("", "numpy", "numba", "eluder", "eluder.tabular.planning", "eluder.tabular.exploration"):
        code = f"import {module or 'sys'}, sys; print(' '.join(m for m in {HEAVY} if m in sys.modules))"
        try:
            runs = [process(code) for _ in range(repeat + 1)][1:]
        except RuntimeError as error:
            rows.append([module, str(error), "-", "-"])
            continue
        wall, cpu = (statistics.median(run[i] for run in runs) for i in (1, 2))
        rows.append([f"`import {module}`" if module else "(nothing)", number(wall), number(cpu), runs[0][0]])
    return rows


def compile_rows(repeat, only):
    """First call of every algorithm in a new process, cold and cached; and the kernels slowest to compile."""
    sys.path.insert(0, str(HERE.parent))
    names = json.loads(process("import json; from tests.test_contract import IDS; print(json.dumps(IDS))")[0])
    rows, kernels = [], {}
    for name in dict.fromkeys(names):
        if only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            first = json.loads(process(FIRST_CALL, name, NUMBA_CACHE_DIR=folder)[0])
            cached = [json.loads(process(FIRST_CALL, name, NUMBA_CACHE_DIR=folder)[0]) for _ in range(repeat)]
        for kernel, seconds in first["kernels"].items():
            kernels[kernel] = max(kernels.get(kernel, seconds), seconds)
        wall, cpu = (statistics.median(run[key] for run in cached) for key in ("wall", "cpu"))
        rows.append([name, first["cpu"], number(first["wall"]), number(wall), number(cpu)])
    rows.sort(key=lambda row: -row[1])
    own_start = float(process(EMPTY)[0])
    slowest = sorted(kernels.items(), key=lambda item: -item[1][0])[:12]
    slowest.append(("(an empty function: the compiler's own start)", (own_start, own_start)))
    shown = [[row[0], number(row[1]), *row[2:]] for row in rows]
    return shown, [[kernel, *map(number, seconds)] for kernel, seconds in slowest]


def main():
    args = arguments(__doc__.splitlines()[0], repeat=10).parse_args()
    imports = import_rows(args.repeat)
    calls, slowest = compile_rows(min(args.repeat, 5), args.only)
    text = table(["a process that does", "wall s", "CPU s", "heavy modules"], imports)
    text += "\n\nFirst call in a new process (small instances; imports not counted), slowest first:\n\n"
    text += table(["algorithm", "cold CPU s", "cold wall s", "cached wall s", "cached CPU s"], calls)
    text += "\n\nKernels slowest to compile (the first of a process holds the compiler's own start):\n\n"
    text += table(["kernel", "CPU s with callees", "CPU s alone"], slowest)
    publish("startup", text, args.write)


if __name__ == "__main__":
    main()
