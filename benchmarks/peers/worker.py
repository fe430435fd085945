"""The loop of every runner: read a request, run it, answer with CPU seconds. Needs only NumPy."""

import contextlib
import json
import os
import sys
import time

import numpy as np


def serve(about, run):
    """Answer requests until the input ends; `about()` imports the library and returns its versions.

    ``run(problem, method, **args)`` sets up and returns ``(call, facts)``: ``call(i)`` is what is timed (i
    counts the calls) and ``facts(result)`` what is reported of it. `call` is repeated until `least` seconds
    have passed, unless ``call.once`` is true.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)  # so that a library's own prints cannot reach it
    os.dup2(2, 1)
    try:
        versions = about()
    except Exception as error:
        print(json.dumps({"missing": f"{type(error).__name__}: {error}"}), file=answers)
        return
    print(json.dumps(versions), file=answers)
    problems = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                answer = measure(problems, run, **request)
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


def measure(problems, run, *, problem, method, least=0.0, **args):
    """Set up and time one method on one problem; the last problem file read is kept."""
    if problem not in problems:
        problems.clear()
        with np.load(problem) as file:
            problems[problem] = dict(file)
    start = time.process_time()
    call, facts = run(problems[problem], method, **args)
    setup = time.process_time() - start
    calls, spent = 0, 0.0
    while not calls or (spent < least and not getattr(call, "once", False)):
        start = time.process_time()
        result = call(calls)
        spent += time.process_time() - start
        calls += 1
    return {"seconds": spent / calls, "setup": setup, **facts(result)}


class Once:
    """A call that may not be repeated on the same object (it would start from its last answer)."""

    once = True

    def __init__(self, function):
        self.function = function

    def __call__(self, i):
        return self.function()


def sparse(problem):
    """Return the kernel of a problem file as CSR (S * A, S), or None where it is dense."""
    if "data" not in problem:
        return None
    import scipy.sparse

    S, A = problem["r"].shape
    return scipy.sparse.csr_matrix((problem["data"], problem["indices"], problem["indptr"]), (S * A, S))


def value_error(problem, V):
    """Sup-norm distance of V to the reference optimal value."""
    return float(np.abs(np.asarray(V, float).ravel() - problem["V"]).max())
