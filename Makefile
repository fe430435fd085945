# make demo    run the quickstart study (core package only, no torch)
# make test    set up what the tests need and run them, in JOBS processes (2)
# make check   exactly what CI runs: lint, the tests, then the rest, JOBS targets at a time
# make figure  the figure of the README, from the demo
PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo figure test slow lint types doctest docs notebooks check clean

# Processes share the cores: none starts threads of its own for linear algebra.
test doctest notebooks docs: export OMP_NUM_THREADS = 1

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/core.ok: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e .
	touch $@

.venv/test.ok: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e '.[test]'
	touch $@ .venv/core.ok

.venv/dev.ok: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e '.[dev]'
	touch $@ .venv/test.ok .venv/core.ok

demo: .venv/core.ok
	$(BIN)/eluder run quickstart --out runs/quickstart

figure: demo
	cp runs/quickstart/regret.png docs/_static/quickstart.png

test: .venv/test.ok
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

slow: .venv/test.ok
	$(BIN)/python -m pytest -m slow

lint: .venv/dev.ok
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev.ok
	$(BIN)/mypy

doctest: .venv/dev.ok
	$(BIN)/python -m pytest --doctest-modules --ignore=eluder/deep/common/_triton.py eluder

docs: .venv/dev.ok
	$(BIN)/python -m sphinx -W --keep-going -D cells_jobs=$(JOBS) -b html docs docs/_build/html

notebooks: .venv/dev.ok
	$(BIN)/python notebooks/run.py

# The output of each target in one piece, where make can do that (4.0).
check: lint test
	$(MAKE) -j $(JOBS) $(if $(filter output-sync,$(.FEATURES)),--output-sync) docs types notebooks doctest

clean:
	rm -rf .venv docs/_build runs
