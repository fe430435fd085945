"""The rules of the house: imports, pages, docstrings, sizes, words. A new name is found by itself."""

import ast
import contextlib
import importlib
import inspect
import io
import pkgutil
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest
from numpydoc.validate import validate

import eluder
from eluder.experiments.catalogue import AREAS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "eluder"
SOURCES = sorted(PACKAGE.rglob("*.py"))
# What each room may import; nothing else of ours.
MAY_IMPORT = {
    "core": {"core"},
    "envs": {"core", "envs"},
    "tabular": {"core", "tabular"},
    "linear": {"core", "linear"},
    "deep": {"core", "envs", "deep"},
    "experiments": {"core", "envs", "tabular", "linear", "deep", "experiments"},
    "cli": {"core", "envs", "tabular", "linear", "deep", "experiments", "cli"},
    "__main__": {"cli"},
    "__init__": set(),
}
HEAVY = {"torch", "scipy.stats", "matplotlib", "mujoco", "cvxpy", "pandas", "IPython", "distributed"}


def room(file):
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def ids(file):
    return file.relative_to(ROOT).as_posix()


def public_modules():
    """Every module whose names are public: no part of its path begins with an underscore."""
    yield eluder
    for module in pkgutil.walk_packages(eluder.__path__, "eluder."):
        if not any(part.startswith("_") for part in module.name.split(".")):
            yield importlib.import_module(module.name)


def public_names():
    """(module, name, object) of every name in an ``__all__``, modules left out."""
    for module in public_modules():
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if not isinstance(thing, types.ModuleType) and not name.startswith("__"):
                yield module.__name__, name, thing


def algorithms():
    """(name, module that holds it) of every algorithm."""
    for room in AREAS:
        for _, area, is_package in pkgutil.walk_packages(importlib.import_module(room).__path__, f"{room}."):
            for name in importlib.import_module(area).__all__ if is_package else []:
                algorithm = getattr(importlib.import_module(area), name)
                yield pytest.param(name, sys.modules[algorithm.__module__], id=name)


PUBLIC = sorted({(m, n) for m, n, _ in public_names() if m != "eluder.core.types"})
ALGORITHMS = list(algorithms())


# --- imports ---


def imported(tree):
    """Dotted names of our modules that a syntax tree imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, (
                f"line {node.lineno}: imports are absolute (the kernels' cache follows them)"
            )
            if node.module == "eluder":
                yield from (f"eluder.{alias.name}" for alias in node.names)
            elif node.module and node.module.startswith("eluder."):
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "eluder")


@pytest.mark.parametrize("file", SOURCES, ids=ids)
def test_imports_point_one_way(file):
    allowed = MAY_IMPORT[room(file)]
    for name in imported(ast.parse(file.read_text(encoding="utf-8"))):
        target = name.split(".")[1] if "." in name else ""
        assert not target or target in allowed or target.startswith("__"), f"{ids(file)} imports {name}"


def test_areas_do_not_import_one_another():
    for area in AREAS:
        own = area.removeprefix("eluder.")
        for file in (PACKAGE / own).glob("*/*.py"):
            for name in imported(ast.parse(file.read_text(encoding="utf-8"))):
                parts = name.split(".")
                if parts[1] == own:
                    assert parts[2] == file.parent.name, f"{ids(file)} imports {name}"


@pytest.mark.parametrize(
    "module",
    ["eluder", "eluder.core.problems", "eluder.tabular.exploration", "eluder.tabular.planning", "eluder.cli"],
)
def test_imports_are_light(module):
    code = f"import {module}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


# --- pages and tests for every name ---


def test_every_public_name_is_documented():
    """Its module is documented as a whole, or a package that passes it on is, or a page mentions it."""
    folders = [ROOT / "docs", ROOT / "docs" / "api", ROOT / "docs" / "algorithms"]
    text = "\n".join(page.read_text(encoding="utf-8") for folder in folders for page in folder.glob("*.md"))
    whole = [importlib.import_module(name) for name in re.findall(r"\{members\} (\S+)", text)]
    passed_on = {name for module in whole for name in module.__all__}
    missing = [
        f"{module}.{name}"
        for module, name in PUBLIC
        if name not in passed_on and not re.search(rf"\b{re.escape(name)}\b", text)
    ]
    assert not missing, f"no page mentions {missing}"


def test_every_public_name_is_tested():
    text = "\n".join(
        f.read_text(encoding="utf-8") for f in (ROOT / "tests").rglob("*.py") if f.name != "test_house.py"
    )
    words = set(re.findall(r"\w+", text))
    missing = [f"{module}.{name}" for module, name in PUBLIC if name not in words]
    assert not missing, f"no test mentions {missing}"


def page_of(name):
    """The page of an algorithm: its own, or that of a family which holds the anchor ``(name)=``."""
    folder = ROOT / "docs" / "algorithms"
    if (folder / f"{name}.md").exists():
        return folder / f"{name}.md"
    anchor = re.compile(rf"^\({name}\)=$", re.MULTILINE)
    found = [page for page in sorted(folder.glob("*.md")) if anchor.search(page.read_text(encoding="utf-8"))]
    assert len(found) == 1, f"{name} needs a page (docs/skeletons/page.md) or an anchor on one, has {found}"
    return found[0]


@pytest.mark.parametrize(("name", "module"), ALGORITHMS)
def test_every_algorithm_has_its_page(name, module):
    page = page_of(name)
    text = page.read_text(encoding="utf-8")
    for directive in ("guarantee", "deviations"):
        assert re.search(rf"\{{{directive}\}} {name}\b", text), f"{page.name} lacks {{{directive}}} {name}"
    assert f"{module.__name__.rpartition('.')[0]}.{name}" in text, f"{page.name} lacks its autofunction"
    assert "{code-cell}" in text, f"{page.name} shows nothing run"


def test_no_page_without_an_algorithm():
    held = {page_of(param.values[0]).stem for param in ALGORITHMS} | {"index"}
    assert {page.stem for page in (ROOT / "docs" / "algorithms").glob("*.md")} <= held


# --- the module is the paper ---


@pytest.mark.parametrize(("name", "module"), ALGORITHMS)
def test_module_is_the_paper(name, module):
    assert module.__name__.rpartition(".")[2].startswith("_"), (
        "a public module would be shadowed by its function"
    )
    doc = ast.get_docstring(ast.parse(inspect.getsource(module)))
    assert doc, "the docstring comes first"
    assert "Deviations" in doc
    assert "Guarantee" in doc
    assert "::" in doc, "the pseudo-code is a literal block"


@pytest.mark.parametrize(("name", "module"), ALGORITHMS)
def test_algorithm_docstring_has_its_sections(name, module):
    doc = inspect.getdoc(getattr(module, name))
    wanted = ["Parameters", "Returns", "Raises", "Notes", "References", "Examples"]
    missing = [section for section in wanted if f"\n{section}\n-----" not in doc]
    assert not missing, f"{name} lacks {missing}"
    parameters = inspect.signature(getattr(module, name)).parameters
    absent = [p for p in parameters if not re.search(rf"^(?:\w+, )*{p}(?:, \w+)* : ", doc, re.MULTILINE)]
    assert not absent, f"{name} does not document {absent}"


CHECKS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["numpydoc_validation"]["checks"]


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=[f"{m}.{n}" for m, n in PUBLIC])
def test_docstrings_by_numpydoc(module, name):
    thing = getattr(importlib.import_module(module), name)
    if not callable(thing) or not getattr(thing, "__doc__", None):
        assert not callable(thing), f"{module}.{name} has no docstring"
        return
    with contextlib.redirect_stderr(io.StringIO()):
        found = validate(f"{module}.{name}")["errors"]
    errors = [f"{code} {message}" for code, message in found if code not in CHECKS]
    assert not errors


# --- sizes: aims with some reserve ---


def code_lines(tree):
    """Count lines that hold code: not blank, not comment, not docstring."""
    tree = ast.parse(ast.unparse(tree))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return len([line for line in ast.unparse(tree).splitlines() if line.strip()])


@pytest.mark.parametrize("file", SOURCES, ids=ids)
def test_files_and_functions_stay_small(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    limit = 200 if file.stem.removeprefix("_") in {param.id for param in ALGORITHMS} else 350
    assert code_lines(tree) <= limit, f"{ids(file)} is longer than {limit} lines of code"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert code_lines(node) <= 70, f"{ids(file)}: {node.name} is too long"


# --- words ---

NEVER = [  # written so that this file does not match itself
    r"cdn\.jsdeli[v]r",
    r"unpk[g]\.com",
    r"cdnj[s]\.",
    r"fonts\.google[a]pis",
    r"pypi\.or[g]",
    r"(?<![\w.])/wor[k]/",
]


def test_no_forbidden_words():
    files = [
        ROOT / n
        for n in (
            "README.md",
            "CHANGELOG.md",
            "CITATION.cff",
            "Makefile",
            "pyproject.toml",
            "constraints.txt",
        )
    ]
    for folder in ("eluder", "tests", "docs", "notebooks", "benchmarks", ".ci"):
        files += [
            f
            for f in (ROOT / folder).rglob("*")
            if f.is_file()
            and not {"_build", "generated", "__pycache__"} & set(f.parts)
            and f.suffix in {".py", ".md", ".toml", ".txt", ".js", ".css", ".html", ""}
        ]
    found = [
        f"{ids(file)}: {match.group()}"
        for file in files
        for match in re.finditer("|".join(NEVER), file.read_text(encoding="utf-8", errors="replace"))
    ]
    assert not found
