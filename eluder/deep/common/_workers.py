"""Threads that do the physics of MuJoCo models and never need the interpreter.

They call MuJoCo and the C library by the addresses of their functions, in one kernel that runs for ever. An
error of MuJoCo, which must not return and would end the process, parks its thread for good instead.
"""

import ctypes
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic

from eluder.core.kernels import kernel
from eluder.core.types import IntArray

__all__ = ["Offers", "Worker", "catch_errors", "end", "errors_are_free", "library"]


class Offers:
    """Physics on offer, each taken once: semaphores of the C library, which need no interpreter.

    Semaphore 0 counts offers, 1 what workers have done; 2 + e is up while the physics of e is on offer.
    """

    def __init__(self, n: int, mujoco: ctypes.CDLL) -> None:
        self.libc = ctypes.CDLL(None)
        memory = np.zeros(64 * (n + 3), np.uint8)
        first = -(-memory.ctypes.data // 64) * 64
        self.memory, self.semaphores = memory, first + 64 * np.arange(n + 2)
        self.at = [ctypes.c_void_p(int(x)) for x in self.semaphores]
        for at in self.at:
            if self.libc.sem_init(at, 0, 0):
                raise OSError("the C library has no semaphores without names")
        names = ("sem_wait", "sem_trywait", "sem_post")
        physics = [address(mujoco.mj_step), address(mujoco.mj_rnePostConstraint)]
        self.functions = np.array([*physics, *(address(self.libc[name]) for name in names)])
        self.jobs = np.zeros((n, 3), np.int64)  # addresses of model and data, frames
        self.done, self.ending = np.zeros(n, np.int64), np.zeros(1, np.int64)
        direct = ctypes.PyDLL(None)  # what returns at once keeps the interpreter
        self.post, self.try_wait, self.wait = direct.sem_post, direct.sem_trywait, self.libc.sem_wait

    def compile(self) -> None:
        """Compile the workers' kernel, in this thread: a worker would seem slow at first."""
        self.ending[0] = 1
        self.post(self.at[0])
        _serve(self.functions, self.semaphores, self.jobs, self.done, self.ending, np.zeros(1, np.int64))
        self.ending[0] = 0

    def make(self, e: int, model: int, data: int, frames: int) -> None:
        """Offer the physics of an environment."""
        self.jobs[e] = model, data, frames
        self.done[e] = 0
        self.post(self.at[2 + e])
        self.post(self.at[0])

    def take(self, e: int) -> bool:
        """Take an offer, if it is there."""
        if self.try_wait(self.at[2 + e]):
            return False
        self.try_wait(self.at[0])
        return True

    def any_done(self) -> bool:
        """Take note of something that a worker has done, if there is any."""
        return not self.try_wait(self.at[1])

    def wait_done(self) -> None:
        """Wait until a worker has done something."""
        while self.wait(self.at[1]):  # a signal came in between
            pass


class Worker:
    """A thread that takes offers, without the interpreter."""

    def __init__(self, offers: Offers) -> None:
        self.offers, self.error = offers, ""
        self.at = np.full(1, -1)  # the environment it is at
        self.thread = threading.Thread(target=self._work, daemon=True, name="eluder-physics")
        self.thread.start()

    def _work(self) -> None:
        WORKERS[threading.get_ident()] = self
        offers = self.offers
        try:
            _serve(offers.functions, offers.semaphores, offers.jobs, offers.done, offers.ending, self.at)
        except BaseException as error:  # the main thread may wait: it must hear of anything
            self.fail(f"{type(error).__name__}: {error}")
        del WORKERS[threading.get_ident()]

    def fail(self, message: str) -> None:
        """Say that there will be no more from here."""
        self.error = message
        self.offers.post(self.offers.at[1])


def end(offers: Offers, workers: list[Worker]) -> None:
    """Let the workers end."""
    offers.ending[0] = 1
    for _ in workers:
        offers.post(offers.at[0])
    for worker in workers:
        if not worker.error:
            worker.thread.join()


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


@intrinsic  # type: ignore[untyped-decorator]
def _ask(context: Any, function: Any, semaphore: Any) -> Any:
    """Call a C function of a pointer that returns an int, by its address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(64)])
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])

    word = numba.types.int64
    return numba.types.int32(word, word), generate


@kernel
def _serve(
    functions: IntArray, semaphores: IntArray, jobs: IntArray, done: IntArray, ending: IntArray, at: IntArray
) -> None:
    """Do physics on offer until `ending` says so; `done` and `at` change in place."""
    step, after, wait, try_wait, post = functions
    while True:
        if _ask(wait, semaphores[0]) != 0:
            continue
        if ending[0] != 0:
            return
        for e in range(jobs.shape[0] - 1, -1, -1):
            if _ask(try_wait, semaphores[2 + e]) == 0:
                at[0] = e
                for _ in range(jobs[e, 2]):
                    _call(step, jobs[e, 0], jobs[e, 1])
                _call(after, jobs[e, 0], jobs[e, 1])
                done[e] = 1
                _ask(post, semaphores[1])
                break


WORKERS: dict[int, Worker] = {}


@ctypes.CFUNCTYPE(None, ctypes.c_char_p)  # type: ignore[untyped-decorator]
def _on_error(message: bytes) -> None:
    """Park a worker for good: MuJoCo cannot go on after an error, and would end the process."""
    text = message.decode(errors="replace")
    worker = WORKERS.get(threading.get_ident())
    if worker is None:
        print(f"ERROR: {text}", file=sys.stderr, flush=True)
        os._exit(1)
    worker.fail(text)
    threading.Event().wait()


def catch_errors(mujoco: ctypes.CDLL) -> None:
    """Let errors of MuJoCo in our threads come to us; its Python functions keep their own way."""
    slot = ctypes.c_void_p.in_dll(mujoco, "mju_user_error")
    slot.value = ctypes.cast(_on_error, ctypes.c_void_p).value


def library() -> ctypes.CDLL:
    """Return the library that the Python package of MuJoCo has loaded."""
    folder = Path(str(sys.modules["mujoco"].__file__)).parent
    found = [*folder.glob("libmujoco*"), *folder.glob("mujoco*.dll")]
    if len(found) != 1:
        raise OSError(f"{len(found)} libraries of MuJoCo in {folder}")
    return ctypes.CDLL(str(found[0]))


def address(function: Any) -> int:
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)


def errors_are_free(mujoco: ctypes.CDLL) -> bool:
    """Say whether nobody else handles the errors of MuJoCo."""
    ours = ctypes.cast(_on_error, ctypes.c_void_p).value
    return ctypes.c_void_p.in_dll(mujoco, "mju_user_error").value in (None, ours)
