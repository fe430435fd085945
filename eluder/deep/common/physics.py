"""Threads for the physics of heavy MuJoCo models.

A step of a MuJoCo environment is Python, then physics that needs no interpreter, then Python. Here each step
runs in a greenlet, which stops where the physics begins and leaves it to whoever comes first: a worker
thread, which never needs the interpreter, or the main thread, when it has no Python to do. So a worker that
is late costs nothing but its help::

    step(actions):
        for each environment: run its step up to the physics; offer the physics
        until all steps are done:
            if a worker has done one: run the rest of that step
            else if one is still on offer: take it, do the physics and the rest of that step
            else: wait for a worker

    worker, for ever:
        wait for an offer, take it, do the physics, say so

The same functions of the same library do the same work in the same order for each environment, so the numbers
are those of stepping one after another.
"""

import contextlib
import os
import sys
import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import gymnasium
import numba
import numpy as np

from eluder.core import checks
from eluder.deep.common._workers import Offers, Worker, catch_errors, end, errors_are_free, library

__all__ = ["Serial", "Threads", "Trial", "quiet", "stepper"]

MOST_THREADS = 8
TRIAL = 50  # steps each way
LEAST_GAIN = 1.2
Take = Callable[[int, Any], None]
NOISE = "'settotalmass' is deprecated"


class Stepper(Protocol):
    """Something that steps environments."""

    @property
    def threads(self) -> int:
        """Threads in use."""
        ...

    def step(self, actions: np.ndarray, take: Take) -> None:
        """Step each environment; hand on its number and what its `step` returns, in any order."""
        ...

    def close(self) -> None:
        """End the threads."""
        ...


def stepper(name: str, worlds: Sequence[gymnasium.Env], threads: int | str) -> Stepper:
    """Return what steps the environments.

    Parameters
    ----------
    name : str
        What messages call them.
    worlds : sequence of gymnasium.Env
        The environments.
    threads : int or "auto"
        Threads, the main one included. "auto" takes one for each processor, 8 at most, where the first steps
        show a gain of 1.2 and more, and else one.

    Returns
    -------
    Stepper
        `Serial`, `Threads`, or `Trial`, which becomes one of them.

    Raises
    ------
    ValueError
        If `threads` is more than one where there is nothing to thread.

    Examples
    --------
    >>> import gymnasium
    >>> stepper("CartPole-v1", [gymnasium.make("CartPole-v1")], "auto").threads
    1
    """
    wanted = None if threads == "auto" else checks.integer("threads", threads)
    if wanted == 1:
        return Serial(worlds)
    reason = _not_threadable(worlds)
    number = min(wanted or min(_processors(), MOST_THREADS), len(worlds))
    if wanted and reason:
        raise ValueError(f"threads must be 1 or 'auto' for {name}, got {threads}: {reason}")
    if reason or number < 2:
        return Serial(worlds)
    return Threads(name, worlds, number) if wanted else Trial(name, worlds, number)


class Serial:
    """Steps environments one after another."""

    threads = 1

    def __init__(self, worlds: Sequence[gymnasium.Env]) -> None:
        self.worlds = worlds

    def step(self, actions: np.ndarray, take: Take) -> None:
        """Step each environment; hand on its number and what its `step` returns."""
        for e, (world, action) in enumerate(zip(self.worlds, actions)):
            take(e, world.step(action))

    def close(self) -> None:
        """Do nothing: there are no threads."""


class Trial:
    """Steps environments both ways in turn for a while, then in the faster one.

    Parameters
    ----------
    name : str
        What messages call them.
    worlds : sequence of gymnasium.Env
        MuJoCo environments.
    threads : int
        Threads to try, the main one included.

    Attributes
    ----------
    gain : float
        Times of a step one after another over those in threads, as measured; nan before.
    """

    def __init__(self, name: str, worlds: Sequence[gymnasium.Env], threads: int) -> None:
        self.serial, self.threaded = Serial(worlds), Threads(name, worlds, threads)
        self.chosen: Stepper | None = None
        self.gain = float("nan")
        self.t = 0
        self.seconds: tuple[list[float], list[float]] = ([], [])

    @property
    def threads(self) -> int:
        """Threads in use."""
        return self.chosen.threads if self.chosen else 1

    def step(self, actions: np.ndarray, take: Take) -> None:
        """Step each environment; hand on its number and what its `step` returns, in any order."""
        if self.chosen is not None:
            self.chosen.step(actions, take)
            return
        way = self.t % 2
        begin = time.perf_counter()
        (self.threaded if way else self.serial).step(actions, take)
        self.seconds[way].append(time.perf_counter() - begin)
        self.t += 1
        if self.t == 2 * TRIAL:
            self._choose()

    def _choose(self) -> None:
        """Keep the threads if they were faster."""
        slow, fast = (float(np.median(x)) for x in self.seconds)
        self.gain = slow / fast
        self.chosen = self.threaded if self.gain >= LEAST_GAIN else self.serial
        if self.chosen is not self.threaded:
            self.threaded.close()

    def close(self) -> None:
        """End the threads."""
        self.threaded.close()


class Threads:
    """Steps environments in threads.

    Parameters
    ----------
    name : str
        What messages call them.
    worlds : sequence of gymnasium.Env
        MuJoCo environments.
    threads : int
        Threads, the main one included.
    """

    def __init__(self, name: str, worlds: Sequence[gymnasium.Env], threads: int) -> None:
        self.name, self.threads = name, threads
        self.hands = [_Hand(world) for world in worlds]
        self.offers = Offers(len(worlds), library())
        self.offers.compile()
        catch_errors(library())
        self.workers = [Worker(self.offers) for _ in range(threads - 1)]
        self._end = weakref.finalize(self, end, self.offers, self.workers)

    def step(self, actions: np.ndarray, take: Take) -> None:
        """Step each environment; hand on its number and what its `step` returns, in any order."""
        waiting: set[int] = set()
        try:
            for e, (hand, action) in enumerate(zip(self.hands, actions, strict=True)):
                result = hand.begin(action)
                if hand.stopped:
                    model, data = hand.inner.model._address, hand.inner.data._address
                    self.offers.make(e, model, data, hand.frames)
                    waiting.add(e)
                else:
                    take(e, result)
            while waiting:
                e, here = self._next(waiting)
                waiting.remove(e)
                take(e, self.hands[e].finish(here))
        except BaseException:
            self._withdraw(waiting)
            raise

    def _next(self, waiting: set[int]) -> tuple[int, bool]:
        """Return an environment whose step can go on, and whether its physics is to be done here."""
        offers = self.offers
        while True:
            if not offers.any_done():
                for e in waiting:
                    if offers.take(e):
                        return e, True
                offers.wait_done()
            for e in waiting:
                if offers.done[e]:
                    return e, False
            for worker in self.workers:
                if worker.error:
                    where = f"{self.name} (environment {int(worker.at[0])})"
                    raise sys.modules["mujoco"].FatalError(f"{where}: {worker.error}")

    def _withdraw(self, waiting: set[int]) -> None:
        """Take back what is on offer, and wait for the workers, after an error."""
        for e in waiting:
            while not (self.offers.take(e) or self.offers.done[e]):
                if any(worker.error and worker.at[0] == e for worker in self.workers):
                    break
                time.sleep(0.001)
            self.hands[e].running = None
        while self.offers.any_done():
            pass

    def close(self) -> None:
        """End the threads."""
        self._end()
        for hand in self.hands:
            hand.close()
        self.hands = []


class _Hand:
    """Steps one environment in a greenlet that stops where the physics begins."""

    def __init__(self, world: gymnasium.Env) -> None:
        import greenlet

        self.greenlet, self.current = greenlet.greenlet, greenlet.getcurrent
        self.world, self.inner = world, world.unwrapped
        self.original: Callable[..., None] = self.inner._step_mujoco_simulation
        self.inner._step_mujoco_simulation = self._simulate
        self.running: Any = None
        self.stopped = False
        self.frames = 0

    def begin(self, action: np.ndarray) -> Any:
        """Run the step up to the physics; return its result if there is none."""
        self.stopped = False
        if not self.running:  # none yet, or it ended with an error
            self.running = self.greenlet(self._run)
        return self.running.switch(action)

    def _run(self, action: np.ndarray) -> None:
        """Make one step after another: a greenlet for each costs more than a switch."""
        while True:
            action = self.current().parent.switch(self.world.step(action))

    def finish(self, here: bool) -> Any:
        """Run the rest of the step, with the physics or without."""
        return self.running.switch(here)

    def _simulate(self, ctrl: Any, n_frames: int) -> None:
        """Offer the physics, once a step; do it here otherwise."""
        here = True
        if self.current() is self.running and not self.stopped:
            self.inner.data.ctrl[:] = ctrl
            self.frames, self.stopped = n_frames, True
            here = self.current().parent.switch(None)
        if here:
            self.original(ctrl, n_frames)

    def close(self) -> None:
        """Let the environment do its physics as before."""
        self.running = None
        del self.inner._step_mujoco_simulation


def _processors() -> int:
    """Return the processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _not_threadable(worlds: Sequence[gymnasium.Env]) -> str:
    """Say why threads cannot step these environments; nothing if they can."""
    if len(worlds) < 2:
        return "there is one environment"
    base = sys.modules.get("gymnasium.envs.mujoco.mujoco_env")
    for world in worlds:
        kind = type(world.unwrapped)
        if base is None or not issubclass(kind, base.MujocoEnv):
            return f"{kind.__name__} is no MujocoEnv"
        own = "_step_mujoco_simulation" in vars(world.unwrapped)
        if own or kind._step_mujoco_simulation is not base.MujocoEnv._step_mujoco_simulation:
            return f"{kind.__name__} does its own physics"
    if numba.config.DISABLE_JIT:
        return "kernels are not compiled"
    try:
        import greenlet  # noqa: F401

        Offers(1, library())
        return "" if errors_are_free(library()) else "MuJoCo's errors are handled by someone else"
    except (ImportError, OSError, ValueError, TypeError, AttributeError) as error:
        return f"{error}"


@contextlib.contextmanager
def quiet(env: object) -> Iterator[None]:
    """Drop MuJoCo's warning about an attribute in gymnasium's own models while an environment is made.

    Parameters
    ----------
    env : object
        What is made: of an id, MuJoCo is imported where it needs it.

    Yields
    ------
    None
        All other warnings appear as ever.
    """
    spec = gymnasium.registry.get(env) if isinstance(env, str) else None
    if spec is not None and "mujoco" in str(spec.entry_point):
        with contextlib.suppress(ImportError), warnings.catch_warnings():
            import mujoco  # noqa: F401
    module = sys.modules.get("mujoco")
    if module is None or not hasattr(module, "set_mju_user_warning"):
        yield
        return
    before = module.get_mju_user_warning()

    def handler(message: str) -> None:
        if NOISE in message:
            return
        if before is not None:
            before(message)
            return
        module.mju_writeLog("WARNING", message)
        print(f"WARNING: {message}\n", file=sys.stderr)

    module.set_mju_user_warning(handler)
    try:
        yield
    finally:
        module.set_mju_user_warning(before)
