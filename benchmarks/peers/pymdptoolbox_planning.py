"""pymdptoolbox: its constructor (checks, an iteration bound) is the set-up, `run()` is what is timed.

With method "vi, run only" the constructor's iteration bound and checks are left out: they take
S sparse column slices of each action's kernel, which is minutes at S = 20,000.
"""

from importlib.metadata import version

from worker import Once, serve, sparse, value_error


def about():
    import mdptoolbox.mdp  # noqa: F401

    return {"pymdptoolbox": version("pymdptoolbox")}


def run(problem, method):
    import mdptoolbox.mdp
    import mdptoolbox.util

    P, r, gamma = sparse(problem), problem["r"], float(problem["gamma"])
    A = r.shape[1]
    if P is None:
        kernel = problem["P"].transpose(1, 0, 2).copy()
    else:
        kernel = [P[a::A] for a in range(A)]
    base = mdptoolbox.mdp.ValueIteration
    if method == "vi, run only":

        class Bare(base):
            def _boundIter(self, epsilon):
                self.max_iter = 100_000

        check, mdptoolbox.util.check = mdptoolbox.util.check, lambda *_: None
        solver = Bare(kernel, r, gamma, epsilon=1e-6)
        mdptoolbox.util.check = check
    else:
        kind = {"vi": base, "mpi": mdptoolbox.mdp.PolicyIterationModified}[method]
        solver = kind(kernel, r, gamma, epsilon=1e-6, max_iter=100_000)

    def solve():
        solver.run()
        return solver

    return Once(solve), lambda s: {"iterations": int(s.iter), "error": value_error(problem, s.V)}


serve(about, run)
