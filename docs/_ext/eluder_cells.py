"""Run the code cells of several pages at once (``-D cells_jobs=2``), before Sphinx reads them one by one.

What has run lies in the cache of MyST-NB. A page that fails does not: Sphinx runs it again and says why.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from jupyter_cache.executors.utils import ExecutionResult, single_nb_execution
from myst_nb.core.read import create_nb_reader
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


def missing(app: Sphinx, cache: JupyterCacheAbstract) -> Iterator[tuple[Path, NotebookNode]]:
    """Yield the pages with cells that the cache does not hold."""
    for name in sorted(app.project.discover(app.config.exclude_patterns)):
        path = Path(app.env.doc2path(name))
        text = path.read_text("utf-8")
        reader = create_nb_reader(str(path), app.env.myst_config, app.env.mystnb_config, text)
        if reader is not None:
            notebook = reader.read(text)
            try:
                cache.match_cache_notebook(notebook)
            except KeyError:
                yield path, notebook


def fill(app: Sphinx) -> None:
    """Execute what the cache lacks, a kernel for each page; only this process writes to the cache."""
    config, jobs = app.env.mystnb_config, app.config.cells_jobs
    if jobs < 2:
        return
    cache = get_cache(config.execution_cache_path)

    def execute(path: Path, notebook: NotebookNode) -> tuple[Path, ExecutionResult]:
        return path, single_nb_execution(notebook, str(path.parent), config.execution_timeout, False)

    with ThreadPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(execute, *page) for page in missing(app, cache)]):
            path, result = done.result()
            LOGGER.info("%s: %.1f s%s", path, result.time, f"\n{result.exc_string}" if result.err else "")
            if result.err is None:
                data = {"execution_seconds": result.time}
                cache.cache_notebook_bundle(
                    CacheBundleIn(result.nb, str(path), data=data), check_validity=False, overwrite=True
                )


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("cells_jobs", 1, "", [int])
    app.connect("builder-inited", fill, priority=900)  # after MyST-NB has read its configuration
    return {"parallel_read_safe": True, "parallel_write_safe": True}
