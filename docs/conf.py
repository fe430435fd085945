"""The documentation site: `make docs`, warnings are errors, and no page needs the network."""

import hashlib
import importlib
import importlib.resources
import os
import pkgutil
import sys
from pathlib import Path

import jupytext

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS / "_ext")]

# Autodoc must see kernels as the functions they are; code cells run in processes of their own, compiled.
os.environ["NUMBA_DISABLE_JIT"] = "1"
os.environ.setdefault("PYTHONWARNINGS", "ignore:load is ")  # pages do not say how busy the machine was
import eluder  # noqa: E402

for module in pkgutil.walk_packages(eluder.__path__, "eluder."):
    if not module.name.startswith("eluder.deep") and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
del os.environ["NUMBA_DISABLE_JIT"]

project = "eluder"
author = copyright = "The eluder developers"
version = release = eluder.__version__
language = "en"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
    "sphinx_proof",
    "sphinx_copybutton",
    "sphinx_design",
    "eluder_pages",
    "eluder_cells",
]
exclude_patterns = ["_build", "_ext", "skeletons"]
source_suffix = {".md": "myst-nb", ".rst": "restructuredtext"}

# --- theme, all of it served from the site itself ---
html_theme = "pydata_sphinx_theme"
html_title = "eluder"
html_static_path = [
    "_static",
    str(importlib.resources.files("sphinx-mathjax-offline") / "static/mathjax/tex-svg.js"),
]
html_css_files = ["eluder.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "default",
    "pygments_dark_style": "github-dark",
}
html_sidebars = {page: [] for page in ("index", "quickstart", "envs", "studies", "papers")}
mathjax_path = "tex-svg.js"

# --- text and maths ---
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
mathjax3_config = {"tex": {"macros": {"E": r"\mathbb{E}", "P": r"\mathbb{P}", "R": r"\mathbb{R}"}}}

# --- docstrings ---
default_role = "literal"  # `mu` in a docstring is code
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"

# --- code cells: run once for each state of the sources; an error stops the build ---
sources = sorted((ROOT / "eluder").rglob("*.py"))
fingerprint = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()[:16]
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS / "_build" / "cells" / fingerprint)
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_merge_streams = True

# --- the teaching notebooks become pages ---
(DOCS / "generated").mkdir(exist_ok=True)
for file in sorted((ROOT / "notebooks").glob("[!_]*.py")):
    if file.name != "run.py":
        jupytext.write(jupytext.read(file), DOCS / "generated" / f"{file.stem}.md", fmt="md:myst")
