"""The documentation: what it shows runs, its tables say what the modules say, and it needs no network."""

import ast
import contextlib
import importlib.util
import inspect
import io
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import eluder

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(p for p in (DOCS / "algorithms").glob("*.md") if p.stem != "index")


@pytest.fixture(scope="module")
def pages():
    """The extension that fills the pages."""
    spec = importlib.util.spec_from_file_location("eluder_pages", DOCS / "_ext" / "eluder_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(file, language):
    return re.findall(
        rf"^```{language}\n(.*?)^```", file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


# --- what is shown runs ---


def test_readme_example_prints_what_it_says():
    (code,), (expected,) = blocks(ROOT / "README.md", "python"), blocks(ROOT / "README.md", "text")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    assert out.getvalue() == expected
    assert len([line for line in code.splitlines() if line.strip()]) <= 15


def test_index_example_runs():
    for code in blocks(DOCS / "index.md", "python"):
        exec(code, {})


def test_readme_commands_exist():
    """Each `make` target that the README names is there; each local link leads somewhere."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake (\w+)", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    for link in re.findall(r"(?<!!)\[[^\]]*\]\(([^)#:]+)\)", text):
        assert (ROOT / link).exists(), link


def test_notebook_runner_stops_at_an_error(tmp_path):
    shutil.copy(ROOT / "notebooks" / "run.py", tmp_path)
    (tmp_path / "a.py").write_text("import os\nassert os.environ['ELUDER_SMOKE'] == '1'\n")
    environment = {k: v for k, v in os.environ.items() if k != "ELUDER_SMOKE"}
    run = [sys.executable, str(tmp_path / "run.py")]
    assert subprocess.run(run, env=environment, capture_output=True).returncode == 0
    (tmp_path / "b.py").write_text("raise SystemExit(3)\n")
    assert subprocess.run(run, env=environment, capture_output=True).returncode == 1


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("[!_]*.py")), ids=lambda f: f.stem)
def test_notebooks_are_plain_percent_files(notebook):
    text = notebook.read_text(encoding="utf-8")
    ast.parse(text)
    if notebook.name != "run.py":
        assert "ELUDER_SMOKE" in text
        assert text.count("# %% [markdown]") >= 5
        assert not list(notebook.parent.glob("*.ipynb")), "notebooks are kept without outputs, as Python"


# --- pages of algorithms have the sections of the skeleton ---


def test_every_agent_has_its_page():
    """With the sections of the skeleton, and what is logged in place of a guarantee."""
    online = pytest.importorskip("eluder.deep.online")
    agents = {name for name in online.__all__ if inspect.isfunction(getattr(online, name))}
    assert agents == {page.stem for page in (DOCS / "agents").glob("*.md")}
    for name in agents:
        text = (DOCS / "agents" / f"{name}.md").read_text(encoding="utf-8")
        heads = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert heads == [
            "When to use it, and what it costs",
            "See it work",
            "Pseudo-code and code",
            "Logged",
            "Differences from the paper",
            "References",
        ], name
        assert f"```{{deviations}} {name}\n" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_page_has_its_sections(page):
    text = page.read_text(encoding="utf-8")
    heads = re.findall(r"^## (.*)$", text, re.MULTILINE)
    family = "\n)=\n" in re.sub(r"^\(\w+", "", text, flags=re.MULTILINE)  # an anchor for each algorithm
    wanted = ("When to use", "References")
    for want in wanted if family else (*wanted, "Guarantee", "Differences from the paper"):
        assert any(head.startswith(want) for head in heads), f"{page.name} has no section {want!r}"
    assert not re.search(r"\bNAME\b|\bAREA\b|\.\.\. ;", text), "the skeleton shows through"


# --- the extension ---

SAMPLE = """Name of the thing (Author 2000).

Pseudo-code, in our names::

    a <- 1

    for k:
        b <- 2

with L = ln(2), and `c` a scale.

Guarantee: regret at most

    20 sqrt(K)

Deviations from the paper: the first one, about ``x``; see V*.

- one item
  that goes on
- another item
"""


@pytest.fixture
def module():
    return types.ModuleType("sample", SAMPLE)


def test_pseudocode_is_the_first_literal_block(pages, module):
    code, legend = pages.pseudocode(module)
    assert code == "a <- 1\n\nfor k:\n    b <- 2"
    assert legend == "with L = ln(2), and `c` a scale."


def test_deviations_are_the_last_paragraphs(pages, module):
    text = pages.deviations(module)
    assert text.startswith("the first one, about ``x``")
    assert text.endswith("- another item")
    assert "sqrt" not in text
    with pytest.raises(ValueError, match="no paragraph 'Deviations'"):
        pages.deviations(types.ModuleType("empty", "Nothing."))


def test_prose_keeps_every_word(pages, module):
    paragraph, bullets = pages.prose(pages.deviations(module))
    assert paragraph.astext() == "the first one, about x; see V*."
    assert [item.astext() for item in bullets.children] == ["one item that goes on", "another item"]


def test_papers_are_listed_once_newest_first(pages):
    listed = [(g.paper.year, g.paper.title) for g, _ in pages.by_paper()]
    assert len(set(listed)) == len(listed)
    assert [year for year, _ in listed] == sorted((year for year, _ in listed), reverse=True)
    members = {name for _, group in pages.by_paper() for name, _ in group}
    assert members == {name for names in pages.areas().values() for name in names}


def test_unknown_algorithm_is_refused(pages):
    with pytest.raises(ValueError, match="no algorithm is called 'nothing'"):
        pages.home("nothing")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('<script src="https://x.org/a.js"></script>', ["https://x.org/a.js"]),
        ('<link rel="stylesheet" href="//x.org/a.css">', ["//x.org/a.css"]),
        ("<img alt='' src='http://x.org/a.png'>", ["http://x.org/a.png"]),
        ("@import url('https://x.org/f.css');", ["https://x.org/f.css"]),
        ("@font-face { src: url(https://x.org/f.woff2) }", ["https://x.org/f.woff2"]),
        ('<a href="https://x.org">a link is not loaded</a>', []),
        ('<script src="_static/a.js"></script><link href="_static/a.css">', []),
        ("<p>https://x.org in text</p>", []),
    ],
)
def test_external_finds_what_a_browser_would_load(pages, text, found):
    assert pages.external(text) == found


CELLS = """
import sys
sys.path.insert(0, {ext!r})
extensions = ["myst_nb", "eluder_cells"]
nb_execution_mode = "cache"
nb_execution_cache_path = "cells"
nb_execution_raise_on_error = True
"""
PAGE = """---
jupytext: {{text_representation: {{format_name: myst}}}}
kernelspec: {{name: python3, display_name: python3}}
orphan: true
---
# Page
```{{code-cell}} ipython3
import pathlib
print("began", file=open({own!r}, "a"))
{code}
```
"""
WAIT = """import time
end = time.time() + 60
while not pathlib.Path({other!r}).exists():
    assert time.time() < end
    time.sleep(0.01)
print(6 * 7)"""


def test_pages_run_side_by_side_once_and_errors_stop_the_build(tmp_path):
    pytest.importorskip("myst_nb")
    began = {name: tmp_path / f"{name}.runs" for name in ("index", "other")}

    def build(**pages):
        for name, code in pages.items():
            (tmp_path / f"{name}.md").write_text(PAGE.format(own=str(began[name]), code=code))
        run = [sys.executable, "-m", "sphinx", "-W", "-D", "cells_jobs=2", ".", "html"]
        return subprocess.run(run, cwd=tmp_path, capture_output=True, text=True)

    (tmp_path / "conf.py").write_text(CELLS.format(ext=str(DOCS / "_ext")))
    done = build(index=WAIT.format(other=str(began["other"])), other=WAIT.format(other=str(began["index"])))
    assert done.returncode == 0, done.stderr
    assert [file.read_text() for file in began.values()] == ["began\n"] * 2
    assert "42" in (tmp_path / "html" / "index.html").read_text()
    done = build(index="1 / 0")
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stdout


# --- skeletons, licence, citation ---


@pytest.mark.parametrize("name", ["algorithm.py", "naive.py", "test_algorithm.py"])
def test_skeletons_are_python(name):
    ast.parse((DOCS / "skeletons" / name).read_text(encoding="utf-8"))


def test_licence_and_citation():
    assert (
        (ROOT / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) 2026 The eluder developers")
    )
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {eluder.__version__}\n" in citation
    assert "Results change" in (ROOT / "CHANGELOG.md").read_text()
