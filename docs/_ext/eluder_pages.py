"""Directives that fill the pages from the modules, so that no page repeats what a module says.

``{pseudocode} NAME``   the first literal block of the module's docstring, beside the kernels
``{guarantee} NAME``    a table of the module's GUARANTEES
``{deviations} NAME``   the paragraph of the module's docstring that begins with "Deviations"
``{algorithms} AREA``   a table of an area's algorithms, with their pages as its table of contents
``{members} MODULE``    the documentation of a module and of the names in its ``__all__``
``{papers}``            every paper, the functions that implement it, what is guaranteed, what proves it
"""

import functools
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from docutils.statemachine import StringList
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from eluder.core.guarantees import Guarantee, guarantees
from eluder.experiments.catalogue import AREAS

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "algorithms"


@functools.cache
def areas() -> dict[str, list[str]]:
    """Return the algorithms of each area: {"tabular.exploration": ["ucbvi", ...]}."""
    found = {}
    for room in AREAS:
        for _, name, is_package in pkgutil.walk_packages(importlib.import_module(room).__path__, f"{room}."):
            if is_package:
                found[name.removeprefix("eluder.")] = list(importlib.import_module(name).__all__)
    return found


def algorithm(name: str):
    """Return the algorithm called `name`."""
    for area, names in areas().items():
        if name in names:
            return getattr(importlib.import_module(f"eluder.{area}"), name)
    for room in ("eluder.deep.online", "eluder.deep.inventory"):
        agents = importlib.import_module(room)
        if name in agents.__all__:
            return getattr(agents, name)
    raise ValueError(f"no algorithm is called {name!r}")


def home(name: str) -> ModuleType:
    """Return the module in which the algorithm called `name` is written."""
    return importlib.import_module(algorithm(name).__module__)


def paragraphs(module: ModuleType) -> list[str]:
    """Return the paragraphs of a module's docstring; a literal block is one, with its indentation."""
    lines = textwrap.dedent(inspect.getdoc(module) or "").splitlines()
    blocks: list[list[str]] = [[]]
    for line in lines:
        inside = blocks[-1] and blocks[-1][0].startswith(" ")
        if line.strip():
            if inside and not line.startswith(" "):
                blocks.append([])
            blocks[-1].append(line)
        elif inside:
            blocks[-1].append("")
        elif blocks[-1]:
            blocks.append([])
    return ["\n".join(block).rstrip() for block in blocks if block]


def pseudocode(module: ModuleType) -> tuple[str, str]:
    """Return the first literal block of a module's docstring, and the prose between it and the guarantee."""
    text = paragraphs(module)
    start = next(i for i, p in enumerate(text) if p.startswith(" "))
    stop = next((i for i, p in enumerate(text) if p.startswith(("Guarantee", "Deviations"))), len(text))
    legend = [p for p in text[start + 1 : stop] if not p.startswith(" ")]
    return textwrap.dedent(text[start]), "\n\n".join(legend)


def deviations(module: ModuleType) -> str:
    """Return the paragraph of a module's docstring that begins with "Deviations", and what follows it."""
    text = [p for p in paragraphs(module) if not p.startswith(" ")]
    start = next((i for i, p in enumerate(text) if p.startswith("Deviations")), None)
    if start is None:
        raise ValueError(f"the docstring of {module.__name__} has no paragraph 'Deviations'")
    head, _, rest = text[start].partition("\n")
    kept = [text[start].split(":", 1)[-1].strip() if ":" in head else rest]
    for paragraph in text[start + 1 :]:
        if paragraph.startswith(("Guarantee", "Reference")):
            break
        kept.append(paragraph)
    return "\n\n".join(kept)


def prose(text: str) -> list[nodes.Node]:
    """Turn docstring prose into nodes: backticks are code, lines that begin with "- " are items."""

    def inline(piece: str) -> list[nodes.Node]:
        out: list[nodes.Node] = []
        for i, part in enumerate(re.split(r"`+([^`]+)`+", " ".join(piece.split()))):
            if part:
                out.append(nodes.literal(part, part) if i % 2 else nodes.Text(part))
        return out

    found: list[nodes.Node] = []
    for block in text.split("\n\n"):
        lead, *items = re.split(r"(?:^|\n)\s*- ", block)
        if lead.strip():
            found.append(nodes.paragraph("", "", *inline(lead)))
        if items:
            bullets = [nodes.list_item("", nodes.paragraph("", "", *inline(item))) for item in items]
            found.append(nodes.bullet_list("", *bullets))
    return found


def table(kind: str, head: list[str], widths: list[int], rows: list[list[list[nodes.Node]]]) -> nodes.table:
    """Return a table whose cells are lists of nodes."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=w) for w in widths), cols=len(widths))

    def line(cells: list[list[nodes.Node]]) -> nodes.row:
        return nodes.row("", *(nodes.entry("", *cell) for cell in cells))

    group += nodes.thead("", line([prose(text) for text in head]))
    group += nodes.tbody("", *(line(row) for row in rows))
    return nodes.table("", group, classes=[kind, "colwidths-given"])


@functools.cache
def family_pages() -> dict[str, str]:
    """Return the page that holds the anchor of each algorithm without a page of its own."""
    found = {}
    for file in sorted(PAGES.glob("*.md")):
        for name in re.findall(r"^\((\w+)\)=$", file.read_text(encoding="utf-8"), re.MULTILINE):
            found[name] = file.stem
    return found


def page(name: str) -> list[nodes.Node]:
    """Return a link to the page of an algorithm, or to its anchor on the page of its family."""
    text = nodes.literal(name, name)
    kind, target = "doc", f"/algorithms/{name}"
    if not (PAGES / f"{name}.md").exists():
        if name not in family_pages():
            return [nodes.paragraph("", "", text)]
        kind, target = "ref", name
    link = pending_xref(
        "", text, refdomain="std", reftype=kind, refexplicit=True, reftarget=target, refwarn=True
    )
    return [nodes.paragraph("", "", link)]


def source(g: Guarantee) -> nodes.paragraph:
    """Write a paper on one line, with a link to its preprint."""
    title = g.paper.title if g.paper.title.endswith(("?", "!")) else f"{g.paper.title}."
    line = nodes.paragraph("", f"{g.paper.authors}. {title} {g.paper.venue} {g.paper.year}.")
    if g.paper.arxiv:
        label = f"arXiv:{g.paper.arxiv}"
        line += [nodes.Text(" "), nodes.reference("", label, refuri=f"https://arxiv.org/abs/{g.paper.arxiv}")]
    return line


def variant(g: Guarantee) -> str:
    """Write the arguments for which a guarantee holds."""
    return ", ".join(f"`{key}={value!r}`" for key, value in g.when.items())


def order(g: Guarantee) -> str:
    """Write the declared exponent of the leading term."""
    return "" if g.exponent is None else f"{g.exponent:g}"


def nested(directive: SphinxDirective, lines: list[str]) -> list[nodes.Node]:
    """Parse lines of MyST at the place of a directive."""
    box = nodes.container()
    directive.state.nested_parse(
        StringList(lines, source=directive.arguments[0]), directive.content_offset, box
    )
    return box.children


class PseudocodeDirective(SphinxDirective):
    required_arguments = 1
    option_spec = {"kernels": directives.unchanged}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        module = home(name)
        text, legend = pseudocode(module)
        kernels = self.options.get("kernels", f"_{name}").split()
        code = "\n\n".join(inspect.getsource(getattr(module, k)) for k in kernels if hasattr(module, k))
        paper, python = nodes.literal_block(text, text), nodes.literal_block(code, code)
        paper["language"], python["language"] = "text", "python"
        box = nodes.container(classes=["beside"])
        for kind, title, block in (("paper", "The pseudo-code", paper), ("code", "The kernel", python)):
            if block.astext():
                head = nodes.paragraph("", title, classes=["column-title"])
                box += nodes.container("", head, block, classes=["column", f"column-{kind}"])
        return [box, *prose(legend[:1].upper() + legend[1:])]


class GuaranteeDirective(Directive):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        declared = guarantees(algorithm(self.arguments[0]))
        columns = {
            "Variant": [prose(variant(g)) for g in declared],
            "Guarantee": [prose(g.statement) for g in declared],
            "Assumptions": [prose(g.assumptions) for g in declared],
            "Exponent": [prose(order(g)) for g in declared],
            "Source": [[source(g)] for g in declared],
        }
        columns = {head: cells for head, cells in columns.items() if any(cells)}
        widths = {"Variant": 18, "Guarantee": 30, "Assumptions": 20, "Exponent": 8, "Source": 24}
        rows = [list(row) for row in zip(*columns.values(), strict=True)]
        return [table("guarantees", list(columns), [widths[head] for head in columns], rows)]


class DeviationsDirective(Directive):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        text = deviations(home(self.arguments[0]))
        return prose(text[:1].upper() + text[1:])


class AlgorithmsDirective(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        names = sorted(areas()[self.arguments[0]])
        rows = []
        for name in names:
            summary = (inspect.getdoc(home(name)) or "").split("\n\n")[0]
            rows.append([page(name), prose(" ".join(summary.split()))])
        pages = [name if (PAGES / f"{name}.md").exists() else family_pages().get(name) for name in names]
        paths = [f"/algorithms/{stem}" for stem in sorted({stem for stem in pages if stem})]
        caption = self.arguments[0].split(".")[-1].replace("_", " ").capitalize()
        lines = ["```{toctree}", ":hidden:", ":titlesonly:", f":caption: {caption}", "", *paths, "```"]
        tree = nested(self, lines)
        return [*tree, table("algorithms", ["Function", "What it is"], [30, 70], rows)]


class MembersDirective(SphinxDirective):
    """Documentation of a module: what its docstring says, then each public name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        lines = ["```{eval-rst}", f".. automodule:: {self.arguments[0]}", "   :members:", "```"]
        return nested(self, lines)


def proofs(name: str) -> list[str]:
    """Return the test files that mention an algorithm, the one named after it first."""
    pattern = re.compile(rf"\b{name}\b")
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    own = [f for f in files if f.stem == f"test_{name}"]
    skip = {"test_contract", "test_house", "test_docs"}
    found = own or [f for f in files if f.stem not in skip and pattern.search(f.read_text(encoding="utf-8"))]
    return [f.relative_to(ROOT / "tests").as_posix() for f in found[:2]]


def by_paper() -> Iterator[tuple[Guarantee, list[tuple[str, Guarantee]]]]:
    """Group the declared guarantees by their paper, newest first."""
    groups: dict[tuple[str, int], list[tuple[str, Guarantee]]] = {}
    for names in areas().values():
        for name in sorted(names):
            for g in guarantees(algorithm(name)):
                groups.setdefault((g.paper.title.lower(), g.paper.year), []).append((name, g))
    for key in sorted(groups, key=lambda k: (-k[1], k[0])):
        yield groups[key][0][1], groups[key]


class PapersDirective(Directive):
    def run(self) -> list[nodes.Node]:
        rows = []
        for paper, members in by_paper():
            functions: list[nodes.Node] = []
            statements: list[nodes.Node] = []
            tests: list[str] = []
            for name in dict.fromkeys(name for name, _ in members):
                functions += page(name)
                tests += proofs(name)
            for _, g in members:
                extra = f" ({variant(g)})" if g.when else ""
                exponent = f"; exponent {order(g)}" if g.exponent is not None else ""
                statements += prose(g.statement + exponent + extra)
            proven = [p for test in dict.fromkeys(tests) for p in prose(test)]
            rows.append([[source(paper)], functions, statements, proven])
        head = ["Paper", "Functions", "Declared guarantee", "Tested in"]
        return [table("papers", head, [34, 16, 28, 22], rows)]


LOADED = re.compile(
    r"""<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)\s*=\s*["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|@import\s+(?:url\()?["']?((?:https?:)?//[^"')\s;]+)"""
    r"""|url\(\s*["']?((?:https?:)?//[^"')\s]+)""",
    re.IGNORECASE,
)


def external(text: str) -> list[str]:
    """Return the addresses that a browser loads from the network when it opens a page or a style sheet."""
    return [next(filter(None, match.groups())) for match in LOADED.finditer(text)]


def check_offline(app: Sphinx, error: Exception | None) -> None:
    """Stop the build if a page needs the network."""
    if error is None and app.builder.format == "html":
        files = [f for f in sorted(Path(app.outdir).rglob("*")) if f.suffix in {".html", ".css"}]
        found = [f"{f.relative_to(app.outdir)}: {a}" for f in files for a in external(f.read_text("utf-8"))]
        if found:
            raise ExtensionError(f"pages load from the network: {', '.join(found)}")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("pseudocode", PseudocodeDirective)
    app.add_directive("guarantee", GuaranteeDirective)
    app.add_directive("deviations", DeviationsDirective)
    app.add_directive("algorithms", AlgorithmsDirective)
    app.add_directive("members", MembersDirective)
    app.add_directive("papers", PapersDirective)
    app.connect("build-finished", check_offline)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
