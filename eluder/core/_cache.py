"""A disk cache for compiled kernels that is never stale and never fatal.

Numba's own cache looks only at the file a kernel stands in: after an edit of a function it *calls* in
another file, the old machine code is served silently. Here each module has a directory named by a hash
of its own source and of every module of the package that it imports, directly or not. Where no directory
can be written, kernels compile in memory. Processes may fill one cache at the same time.
"""

import contextlib
import functools
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numba
import numpy as np
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    _CacheLocator,
)
from numba.misc.appdirs import AppDirs

__all__ = ["KernelCache", "cache_dir"]

PACKAGE = Path(__file__).resolve().parents[1]
_IMPORT = re.compile(rf"^\s*(?:from|import)\s+{PACKAGE.name}((?:\.\w+)*)", re.MULTILINE)
_KEEP = 4  # directories kept per module: the newest sources and a few checkouts beside them


def cache_dir() -> Path | None:
    """Return the root of the kernel cache, or None where there is no place for one.

    ``NUMBA_CACHE_DIR`` is honoured; otherwise it is the user's cache directory.
    """
    root = Path(numba.config.CACHE_DIR or AppDirs("eluder", False).user_cache_dir)
    return root / "eluder-kernels" if root.is_absolute() else None


@functools.cache
def _source(file: Path) -> tuple[str, tuple[Path, ...]]:
    """Return the hash of a file and the package files that it imports."""
    text = file.read_text(encoding="utf-8", errors="replace")
    files: set[Path] = set()
    for dotted in _IMPORT.findall(text):
        path = PACKAGE.joinpath(*dotted.split(".")[1:])
        if path.is_dir():
            files.update(path.glob("*.py"))
        elif path.with_suffix(".py").exists():
            files.add(path.with_suffix(".py"))
    return hashlib.sha256(text.encode()).hexdigest(), tuple(sorted(files))


@functools.cache
def fingerprint(file: Path) -> str:
    """Hash the sources a kernel in `file` can depend on, with the versions of numba and numpy."""
    seen: set[Path] = set()
    queue = [file]
    while queue:
        current = queue.pop()
        if current not in seen:
            seen.add(current)
            queue.extend(_source(current)[1])
    parts = [numba.__version__, np.__version__, *(_source(f)[0] for f in sorted(seen))]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:20]


class _Locator(_CacheLocator):  # type: ignore[misc]
    """Name the directory by the module and the fingerprint of its sources."""

    def __init__(self, py_func: Any, py_file: str, root: Path) -> None:
        file = Path(py_file).resolve()
        name = hashlib.sha256(str(file).encode()).hexdigest()[:8]
        self._path = root / f"{file.stem}-{name}" / fingerprint(file)
        self._line = py_func.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        return str(self._path)

    def get_source_stamp(self) -> str:
        return self._path.name

    def get_disambiguator(self) -> str:
        return str(self._line)

    def ensure_cache_path(self) -> None:
        if not self._path.is_dir():
            self._path.mkdir(parents=True, exist_ok=True)
            siblings = sorted(self._path.parent.iterdir(), key=lambda p: p.stat().st_mtime)
            for old in siblings[:-_KEEP]:
                shutil.rmtree(old, ignore_errors=True)

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> "_Locator | None":
        root = cache_dir()
        return cls(py_func, py_file, root) if root and os.path.isfile(py_file) else None


class _Impl(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes: ClassVar[list[type]] = [_Locator]


class _Files(IndexDataCacheFile):  # type: ignore[misc]
    """Name each file of machine code for itself.

    Numba counts them: two processes that compile a function for two signatures at once would both take
    the next number, and one signature could be served the code of the other. Now one of them is a miss.
    """

    def _data_name(self, number: int) -> str:
        return f"{Path(self._index_name).stem}.{uuid.uuid4().hex}.nbc"


class KernelCache(FunctionCache):  # type: ignore[misc]
    """Numba's function cache in a directory that depends on all sources; any failure is a miss."""

    _impl_class = _Impl

    def __init__(self, py_func: Any) -> None:
        super().__init__(py_func)
        locator = self._impl.locator
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, locator.get_source_stamp())

    @contextlib.contextmanager
    def _guard_against_spurious_io_errors(self) -> Iterator[None]:
        # A read-only, full or damaged cache costs a compilation, never a crash. A damaged index would be
        # read again and again: it is removed, and the next save writes a new one.
        try:
            yield
        except Exception:
            with contextlib.suppress(OSError):
                os.remove(self._cache_file._index_path)
