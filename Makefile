# dualgauge: what can be run from here. `make` alone lists it.

PYTHON ?= python3
# pip says nothing but warnings and errors; `make PIP_FLAGS= demo` shows what it does.
PIP_FLAGS ?= -q
# Processes that run tests at once, one more than CI has cores, for some tests wait; and further arguments for pytest.
JOBS ?= 3
PYTEST_FLAGS ?=
# `make lock LOCK_FLAGS=--upgrade` raises every version, without it only what pyproject.toml asks for changes.
LOCK_FLAGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check $(PIP_FLAGS)
INSTALLED := .venv/.installed

# Many tests start the command line: without compiled files each process would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
# `check` stops at the first failure, in its order, also under `make -j`.
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: bench check clean demo docs docs-check help imports lint lock site test test-fast torture types wheel

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r target what; do \
	  printf '  make %-11s %s\n' "$$target" "$$what"; \
	done

$(INSTALLED): requirements.lock pyproject.toml packages/router/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dualgauge needs Python 3.11 or newer: say which one by make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e packages/router -e .
	@touch $@

demo: $(INSTALLED) ## play a whole migration on real events, in build/demo
	$(BIN)/dualgauge demo build/demo

check: lint types imports docs-check test ## everything that must hold, in this order

lint: $(INSTALLED) ## ruff: rules, and the formatter's opinion
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(INSTALLED) ## mypy, strict, on the package and on samples of its use
	$(BIN)/mypy src packages/router/src $(wildcard tests/typing)

imports: $(INSTALLED) ## import-linter: imports go down only
	$(BIN)/lint-imports --no-logo

docs: $(INSTALLED) ## write the generated pages of docs/
	$(BIN)/python docs/generate.py

docs-check: $(INSTALLED) ## fail where a generated page is stale
	$(BIN)/python docs/generate.py --check

site: $(INSTALLED) ## build the documentation's site in build/site; a warning is an error
	$(BIN)/python -m sphinx -q -n -W --keep-going -b html -d build/site.cache -c docs . build/site

test: $(INSTALLED) ## all tests, but for torture
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(PYTEST_FLAGS)

test-fast: $(INSTALLED) ## the tests that start no process, server or browser, and take least
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --fast $(PYTEST_FLAGS)

torture: $(INSTALLED) ## two hours: processes that race and are killed, diffs against the oracle, properties of more values
	$(BIN)/python -m pytest tests -m torture $(PYTEST_FLAGS)
	$(BIN)/python -m pytest tests -m "property and not torture" --hypothesis-profile torture $(PYTEST_FLAGS)

bench: $(INSTALLED) ## measure: every script of benchmarks/, one after the other
	@set -e; for script in $(sort $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))); do \
	  echo "$$script"; $(BIN)/python "$$script"; \
	done

lock: $(INSTALLED) ## write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --no-header --python-version 3.11 $(LOCK_FLAGS) \
	  --no-emit-package dualgauge-router --all-extras --group test --group dev pyproject.toml -o requirements.lock
	@# What uv says at the end of what it left out: the router, which stands in this repository.
	@sed -i '/^$$/,$$d' requirements.lock

wheel: $(INSTALLED) ## build both wheels in dist/
	$(BIN)/python -m build --wheel --no-isolation packages/router --outdir dist
	$(BIN)/python -m build --wheel --no-isolation

clean: ## remove what was built, reported or cached; .venv and .dualgauge stay
	rm -rf build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .coverage .coverage.*
	find benchmarks comparators docs migrations src tests -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
