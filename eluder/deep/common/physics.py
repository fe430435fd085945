"""Threads for the physics of heavy MuJoCo models.

A step of a MuJoCo environment is Python, then physics that needs no interpreter, then Python. Here the
environments of a worker thread are stepped in greenlets, which stop where the physics begins; the worker does
the physics of all of them in one call that holds no lock, and the main thread meanwhile steps the other
environments as ever. So the interpreter changes hands twice a step, not twice an environment::

    step(actions):
        for each environment of a worker: run its step up to the physics
        wake the worker: physics of its environments, one after another, counting them
        for each environment of the main thread: step it
        for each environment of the worker, as soon as it is counted: run the rest of its step

With physics p and Python q for each of n environments and T threads, a worker takes about
``n (p + q) / (T p)`` environments. The same functions of the same library do the same work in the same order,
so the numbers are those of stepping one after another.
"""

import contextlib
import ctypes
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic

from eluder.core import checks
from eluder.core.kernels import kernel
from eluder.core.types import IntArray

__all__ = ["Serial", "Threads", "Trial", "quiet", "share", "stepper"]

MOST_THREADS = 8
WARM_UP, TRIAL = 20, 40  # steps of all environments
LEAST_GAIN = 1.2
NOISE = "'settotalmass' is deprecated"


class Stepper(Protocol):
    """Something that steps environments."""

    @property
    def threads(self) -> int:
        """Threads in use."""
        ...

    def step(self, actions: np.ndarray) -> list[Any]:
        """Return what `step` of each environment returns."""
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
        `Serial`, or `Trial`, which becomes `Threads` or `Serial`.

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
    return Trial(name, worlds, number, forced=wanted is not None)


def share(n: int, threads: int, p: float, q: float) -> tuple[int, float]:
    """Return how many environments each worker takes, and how many times faster a step then is.

    Parameters
    ----------
    n : int
        Environments.
    threads : int
        Threads, the main one included.
    p, q : float
        Seconds of physics and of Python of one environment.

    Returns
    -------
    int
        The share w of each worker: it minimises ``max(w p, (n - (T - 1) w) p + n q)``.
    float
        The gain if nothing else cost time.

    Examples
    --------
    >>> share(8, 2, 4.0, 1.0)
    (5, 2.0)
    """
    costs = {w: max(w * p, (n - (threads - 1) * w) * p + n * q) for w in range(1, n // (threads - 1) + 1)}
    best = min(costs, key=lambda w: costs[w])
    return best, n * (p + q) / costs[best]


class Serial:
    """Steps environments one after another."""

    threads = 1

    def __init__(self, worlds: Sequence[gymnasium.Env]) -> None:
        self.worlds = worlds

    def step(self, actions: np.ndarray) -> list[Any]:
        """Return what `step` of each environment returns."""
        return [world.step(action) for world, action in zip(self.worlds, actions)]

    def close(self) -> None:
        """Do nothing: there are no threads."""


class Trial:
    """Steps environments both ways for a while, then in the faster one.

    Attributes
    ----------
    threads : int
        Threads in use.
    gain : float
        Times of a step one after another over those in threads, as measured; nan before and without.
    """

    def __init__(self, name: str, worlds: Sequence[gymnasium.Env], threads: int, forced: bool) -> None:
        self.name, self.worlds, self.number, self.forced = name, worlds, threads, forced
        self.clocks = [_Clock(world) for world in worlds]
        self.serial: Stepper = Serial(worlds)
        self.threaded: Threads | None = None
        self.chosen: Stepper | None = None
        self.gain = float("nan")
        self.t = 0
        self.times: tuple[list[float], list[float]] = ([], [])
        self.work: list[tuple[float, float]] = []  # the processor's seconds of a step, and of its physics

    @property
    def threads(self) -> int:
        """Threads in use."""
        return self.chosen.threads if self.chosen else 1

    def step(self, actions: np.ndarray) -> list[Any]:
        """Return what `step` of each environment returns."""
        if self.chosen is not None:
            return self.chosen.step(actions)
        self.t += 1
        if self.threaded is None:
            begin = time.thread_time()
            found = self.serial.step(actions)
            self.work.append((time.thread_time() - begin, sum(clock.take() for clock in self.clocks)))
            if self.t == WARM_UP:
                self._begin()
            return found
        way = self.t % 2
        begin = time.perf_counter()
        found = (self.threaded if way else self.serial).step(actions)
        self.times[way].append(time.perf_counter() - begin)
        if self.t == WARM_UP + 2 * TRIAL:
            self._choose()
        return found

    def _begin(self) -> None:
        """Share the work by the times of the first steps; go on in threads where that can pay."""
        n = len(self.worlds)
        total, p = np.median(self.work[WARM_UP // 2 :], axis=0).tolist()
        for clock in self.clocks:
            clock.close()
        each, gain = share(n, self.number, p / n, max(total - p, 0.0) / n)
        if not self.forced and gain < LEAST_GAIN:
            self.chosen = self.serial
            return
        self.threaded = Threads(self.name, self.worlds, self.number, each)
        if self.forced:
            self.chosen = self.threaded

    def _choose(self) -> None:
        """Keep the threads if they were faster."""
        assert self.threaded is not None
        slow, fast = (float(np.median(x)) for x in self.times)
        self.gain = slow / fast
        self.chosen = self.threaded if self.gain >= LEAST_GAIN else self.serial
        if self.chosen is not self.threaded:
            self.threaded.close()

    def close(self) -> None:
        """End the threads."""
        if self.threaded is not None:
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
    each : int
        Environments of each worker; the first ones are left to the main thread.

    Raises
    ------
    ValueError
        If the workers would have more environments than there are.
    """

    def __init__(self, name: str, worlds: Sequence[gymnasium.Env], threads: int, each: int) -> None:
        self.own = len(worlds) - (threads - 1) * each
        if self.own < 0:
            raise ValueError(f"{threads - 1} workers cannot have {each} of {len(worlds)} environments each")
        self.name, self.worlds, self.threads = name, worlds, threads
        library = _library()
        _install_error_handler(library)
        functions = (_address(library.mj_step), _address(library.mj_rnePostConstraint))
        nothing = np.zeros(0, np.int64)
        _physics(*functions, nothing, nothing, nothing, np.zeros(1, np.int64))  # compile in this thread
        self.hands = {e: _Hand(worlds[e]) for e in range(self.own, len(worlds))}
        parts = [range(self.own + k * each, self.own + (k + 1) * each) for k in range(threads - 1)]
        self.workers = [_Worker(functions, part) for part in parts]

    def step(self, actions: np.ndarray) -> list[Any]:
        """Return what `step` of each environment returns."""
        found: list[Any] = [None] * len(self.worlds)
        for worker in self.workers:
            for i, e in enumerate(worker.part):
                found[e] = self.hands[e].begin(actions[e])
                worker.take(i, self.hands[e])
            worker.wake()
        try:
            for e in range(self.own):
                found[e] = self.worlds[e].step(actions[e])
            for worker in self.workers:
                for i, e in enumerate(worker.part):
                    self._wait(worker, i + 1)
                    if self.hands[e].stopped:
                        found[e] = self.hands[e].finish()
        finally:
            for worker in self.workers:
                self._wait(worker, len(worker.part))
        return found

    def _wait(self, worker: "_Worker", count: int) -> None:
        """Wait until a worker has done that many environments."""
        while worker.done[0] < count and worker.error is None:
            time.sleep(0)
        if worker.error is not None:
            e = worker.part[int(worker.done[0])]
            raise sys.modules["mujoco"].FatalError(f"{self.name} (environment {e}): {worker.error}")

    def close(self) -> None:
        """End the threads."""
        for worker in self.workers:
            worker.end()
        for hand in self.hands.values():
            hand.close()
        self.workers, self.hands = [], {}


class _Hand:
    """Steps one environment in a greenlet that stops where the physics begins."""

    def __init__(self, world: gymnasium.Env) -> None:
        import greenlet

        self.greenlet, self.current = greenlet.greenlet, greenlet.getcurrent
        self.world, self.inner = world, world.unwrapped
        self.original = self.inner._step_mujoco_simulation
        self.inner._step_mujoco_simulation = self._simulate
        self.running: Any = None
        self.stopped = False
        self.frames = 0

    def begin(self, action: np.ndarray) -> Any:
        """Run the step up to the physics; return its result if there is none."""
        self.frames, self.stopped = 0, False
        self.running = self.greenlet(self.world.step)
        return self.running.switch(action)

    def finish(self) -> Any:
        """Run the rest of the step."""
        self.stopped = False
        return self.running.switch()

    def _simulate(self, ctrl: Any, n_frames: int) -> None:
        """Leave the physics to a worker, once a step; do it here otherwise."""
        if self.current() is not self.running or self.frames:
            self.original(ctrl, n_frames)
            return
        self.inner.data.ctrl[:] = ctrl
        self.frames, self.stopped = n_frames, True
        self.running.parent.switch(None)

    def close(self) -> None:
        """Let the environment do its physics as before."""
        del self.inner._step_mujoco_simulation


class _Worker:
    """A thread that does the physics of a part of the environments."""

    def __init__(self, functions: tuple[int, int], part: range) -> None:
        self.part, self.functions = part, functions
        self.models, self.datas, self.frames = np.zeros((3, len(part)), np.int64)
        self.done = np.full(1, len(part))
        self.error: str | None = None
        self.ending = False
        self.signal = threading.Lock()
        self.signal.acquire()
        self.thread = threading.Thread(target=self._work, daemon=True, name="eluder-physics")
        self.thread.start()

    def take(self, i: int, hand: _Hand) -> None:
        self.models[i], self.datas[i] = hand.inner.model._address, hand.inner.data._address
        self.frames[i] = hand.frames

    def wake(self) -> None:
        self.done[0] = 0
        self.signal.release()

    def _work(self) -> None:
        WORKERS[threading.get_ident()] = self
        while True:
            self.signal.acquire()
            if self.ending:
                del WORKERS[threading.get_ident()]
                return
            try:
                _physics(*self.functions, self.models, self.datas, self.frames, self.done)
            except BaseException as error:  # the main thread waits: it must hear of anything
                self.error = f"{type(error).__name__}: {error}"

    def end(self) -> None:
        self.ending = True
        if self.error is None:
            self.signal.release()
            self.thread.join()


class _Clock:
    """Counts the processor's seconds for the physics of one environment."""

    def __init__(self, world: gymnasium.Env) -> None:
        self.inner, self.seconds = world.unwrapped, 0.0
        self.original: Callable[..., None] = self.inner._step_mujoco_simulation
        self.inner._step_mujoco_simulation = self._simulate

    def _simulate(self, ctrl: Any, n_frames: int) -> None:
        begin = time.thread_time()
        self.original(ctrl, n_frames)
        self.seconds += time.thread_time() - begin

    def take(self) -> float:
        seconds, self.seconds = self.seconds, 0.0
        return seconds

    def close(self) -> None:
        """Let the environment do its physics as before."""
        del self.inner._step_mujoco_simulation


@intrinsic  # type: ignore[untyped-decorator]
def _call(context: Any, function: Any, model: Any, data: Any) -> Any:
    """Call a C function of two pointers by its address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [word, word])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    word = numba.types.int64
    return numba.types.void(word, word, word), generate


@kernel
def _physics(
    step: int, after: int, models: IntArray, datas: IntArray, frames: IntArray, done: IntArray
) -> None:
    """Do the physics of environments one after another; count them in `done`, in place."""
    for i in range(models.size):
        for _ in range(frames[i]):
            _call(step, models[i], datas[i])
        if frames[i] > 0:
            _call(after, models[i], datas[i])
        done[0] = i + 1


WORKERS: dict[int, _Worker] = {}


@ctypes.CFUNCTYPE(None, ctypes.c_char_p)  # type: ignore[untyped-decorator]
def _on_error(message: bytes) -> None:
    """Park a worker for good: MuJoCo cannot go on after an error, and would end the process."""
    text = message.decode(errors="replace")
    worker = WORKERS.get(threading.get_ident())
    if worker is None:
        print(f"ERROR: {text}", file=sys.stderr, flush=True)
        os._exit(1)
    worker.error = text
    threading.Event().wait()


def _install_error_handler(library: ctypes.CDLL) -> None:
    """Let errors of MuJoCo in our threads come to us; its Python functions keep their own way."""
    slot = ctypes.c_void_p.in_dll(library, "mju_user_error")
    slot.value = ctypes.cast(_on_error, ctypes.c_void_p).value


def _library() -> ctypes.CDLL:
    """Return the library that the Python package of MuJoCo has loaded."""
    folder = Path(str(sys.modules["mujoco"].__file__)).parent
    found = [*folder.glob("libmujoco*"), *folder.glob("mujoco*.dll")]
    if len(found) != 1:
        raise OSError(f"{len(found)} libraries of MuJoCo in {folder}")
    return ctypes.CDLL(str(found[0]))


def _address(function: Any) -> int:
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)


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

        slot = ctypes.c_void_p.in_dll(_library(), "mju_user_error")
    except (ImportError, OSError, ValueError, AttributeError) as error:
        return f"{error}"
    ours = ctypes.cast(_on_error, ctypes.c_void_p).value
    return "" if slot.value in (None, ours) else "MuJoCo's errors are handled by someone else"


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
