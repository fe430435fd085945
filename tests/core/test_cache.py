"""The disk cache of kernels: never stale, hit by a fresh process, and never fatal.

Each test runs subprocesses on a copy of the package, with a chain of kernels in three files:
top calls middle, middle calls bottom.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import eluder
from eluder.core._cache import KernelCache, _Files

CHAIN = {
    "_bottom": "from eluder.core.kernels import kernel\n\n\n@kernel\ndef bottom(x):\n    return x + 1.0\n",
    "_middle": (
        "from eluder.core.kernels import kernel\nfrom eluder.tabular._bottom import bottom\n\n\n"
        "@kernel\ndef middle(x):\n    return 2.0 * bottom(x)\n"
    ),
    "_top": (
        "from eluder.core.kernels import kernel\nfrom eluder.tabular._middle import middle\n\n\n"
        "@kernel\ndef top(x):\n    return middle(x)\n"
    ),
}
RUN = "from eluder.tabular._top import top; print(top(1.0), sum(top.stats.cache_hits.values()))"


@pytest.fixture
def home(tmp_path):
    """A copy of core with the chain of kernels."""
    package = tmp_path / "eluder"
    source = Path(eluder.__file__).parent
    (package / "tabular").mkdir(parents=True)
    shutil.copytree(source / "core", package / "core", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(source / "__init__.py", package)
    (package / "tabular" / "__init__.py").touch()
    for name, text in CHAIN.items():
        (package / "tabular" / f"{name}.py").write_text(text)
    return tmp_path


def run(home, code=RUN, **variables):
    """Run code on the copy; a variable that is None is removed. Returns the words printed."""
    environment = {**os.environ, "PYTHONPATH": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"NUMBA_CACHE_DIR": str(home / "cache"), "NUMBA_DISABLE_JIT": "0", **variables}
    environment = {key: value for key, value in environment.items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=home, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def edit(home, name, old, new):
    file = home / "eluder" / f"{name}.py"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_never_stale_and_hit_when_fresh(home):
    assert run(home) == ["4.0", "0"]
    assert run(home) == ["4.0", "1"]  # a new process loads the machine code
    edit(home, "tabular/_bottom", "x + 1.0", "x + 10.0")  # two modules away from the caller
    assert run(home) == ["22.0", "0"]
    edit(home, "tabular/_bottom", "x + 10.0", "x + 1.0")  # back again: the first directory is still there
    assert run(home) == ["4.0", "1"]


def test_an_edit_elsewhere_keeps_the_cache(home):
    (home / "eluder" / "tabular" / "_other.py").write_text("x = 1\n")
    assert run(home) == ["4.0", "0"]
    (home / "eluder" / "tabular" / "_other.py").write_text("x = 2\n")
    assert run(home) == ["4.0", "1"]


@pytest.mark.parametrize(
    "form",
    [
        "import eluder.tabular._middle\n\nmiddle = eluder.tabular._middle.middle",
        "from eluder.tabular._middle import (\n    middle,\n)",
        "from eluder.tabular import _middle\n\nmiddle = _middle.middle",
    ],
    ids=["module", "parentheses", "from-package"],
)
def test_every_form_of_import_is_followed(home, form):
    edit(home, "tabular/_top", "from eluder.tabular._middle import middle", form)
    assert run(home) == ["4.0", "0"]
    edit(home, "tabular/_bottom", "x + 1.0", "x + 10.0")
    assert run(home)[0] == "22.0"


@pytest.mark.parametrize(
    ("what", "damage"), [("*.nbi", b""), ("*.nbi", b"not a pickle"), ("*.nbc", None)],
    ids=["empty index", "garbage index", "truncated machine code"],
)  # fmt: skip
def test_a_damaged_file_is_a_miss_and_is_repaired(home, what, damage):
    assert run(home) == ["4.0", "0"]
    files = sorted((home / "cache").rglob(what))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:-20] if damage is None else damage)
    assert run(home) == ["4.0", "0"]
    assert run(home) == ["4.0", "1"]


def test_two_writers_do_not_mix_up_their_signatures(tmp_path, monkeypatch):
    """Both read the empty index; then the second one saves all between the two files of the first."""
    first, second = (_Files(str(tmp_path), "f-1.py3", "stamp") for _ in range(2))
    save_data = first._save_data
    monkeypatch.setattr(second, "_load_index", dict)

    def save_data_late(name, data):
        second.save("int64", "code of int64")
        save_data(name, data)

    monkeypatch.setattr(first, "_save_data", save_data_late)
    first.save("float64", "code of float64")
    fresh = _Files(str(tmp_path), "f-1.py3", "stamp")
    assert fresh.load("int64") == "code of int64"
    assert fresh.load("float64") in (None, "code of float64")
    assert isinstance(KernelCache(run)._cache_file, _Files)


def test_nothing_writable_is_never_fatal(home):
    """Where a directory should be there is a file (root may write anywhere, so permissions prove nothing)."""
    (home / "file").write_text("")
    places = [
        {"NUMBA_CACHE_DIR": str(home / "file")},
        {"NUMBA_CACHE_DIR": None, "XDG_CACHE_HOME": None, "HOME": str(home / "file")},
        {"NUMBA_CACHE_DIR": None, "XDG_CACHE_HOME": None, "HOME": "nowhere"},  # not a place at all
    ]
    for place in places:
        assert run(home, **place) == ["4.0", "0"], place
    assert not (home / "nowhere").exists()


def test_no_home_variable(home):
    code = "import eluder.core._cache as c; print(c.cache_dir()); " + RUN
    words = run(home, code, NUMBA_CACHE_DIR=None, XDG_CACHE_HOME=str(home / "xdg"), HOME=None)
    assert words == [str(home / "xdg" / "eluder" / "eluder-kernels"), "4.0", "0"]
    assert list((home / "xdg").rglob("*.nbi"))


def test_old_directories_are_removed(home):
    run(home)
    (parent,) = (home / "cache" / "eluder-kernels").glob("_top-*")
    (first,) = parent.iterdir()
    for i in range(6):
        (parent / f"old{i}").mkdir()
        os.utime(parent / f"old{i}", (i, i))
    edit(home, "tabular/_bottom", "x + 1.0", "x + 10.0")
    run(home)
    kept = {d.name for d in parent.iterdir()}
    assert len(kept) == 4
    assert first.name in kept  # the newest stay
    assert "old0" not in kept


def test_jit_disabled_gives_plain_python(home):
    code = "from eluder.tabular._top import top; print(top(1.0), type(top).__name__)"
    assert run(home, code, NUMBA_DISABLE_JIT="1") == ["4.0", "function"]
