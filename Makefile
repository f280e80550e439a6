# What a person types: `make run`, `make test`; `make help` lists the rest.
# Paths are relative throughout, so that the clone may lie in a folder whose name has spaces.

SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
UV := $(shell command -v uv 2>/dev/null)
PYTEST_ARGS ?=
CHAOS_ARGS ?=
BENCH_ARGS ?=
SUPPORTED := import sys; assert (3, 11) <= sys.version_info[:2] < (3, 14)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test test-all chaos bench audit lint pins clean

help: ## list the targets
	@echo "Noonmark. Targets:"
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 |/p' Makefile | awk -F'|' '{ printf "%-17s%s\n", $$1, $$2 }'
	@echo "Options: PYTHON=python3.12 (for setup), PYTEST_ARGS='-k planner' (for test)."

setup: $(READY) ## create .venv and install the pinned dependencies
	@echo "Ready: $$($(VENV_PYTHON) --version) in $(VENV)"

# Written last, so that an interrupted installation is taken up again. A .venv that cannot serve is made anew: one of
# another Python, one whose Python is gone, or, where there is no uv, one without pip.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c '$(SUPPORTED)' 2>/dev/null || { \
		echo "Noonmark needs Python 3.11, 3.12 or 3.13; $(PYTHON) is: $$($(PYTHON) --version 2>&1 | tail -n 1)" >&2; \
		for other in python3.13 python3.12 python3.11; do \
			if $$other -c '$(SUPPORTED)' 2>/dev/null; then echo "  try: make setup PYTHON=$$other" >&2; break; fi; \
		done; exit 1; }
	@$(VENV_PYTHON) -c '$(SUPPORTED)$(if $(UV),,; import pip)' 2>/dev/null || { \
		echo "Creating $(VENV) with $$($(PYTHON) --version)"; \
		rm -rf $(VENV); \
		if [ -n "$(UV)" ]; then uv venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV); \
		elif $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then $(PYTHON) -m venv $(VENV); \
		else echo "$(PYTHON) cannot create it: its module venv or ensurepip is missing." >&2; \
			echo "  try: apt install python3-venv (on Debian and Ubuntu), or install uv" >&2; exit 1; fi; }
	@if [ -n "$(UV)" ]; then \
		echo "Installing the pinned dependencies with uv"; \
		uv pip install --quiet --compile-bytecode --python $(VENV_PYTHON) -c constraints.txt -e '.[sample,dev]'; \
	else \
		echo "Installing the pinned dependencies with pip (a minute or two)"; \
		$(VENV_PYTHON) -m pip install -qq --disable-pip-version-check --no-input -c constraints.txt -e '.[sample,dev]'; \
	fi
	@touch $(READY)

run: $(READY) ## lay out the sample data and aggregate the days that need it
	@$(VENV_PYTHON) -m examples.nycflights
	@$(VENV_PYTHON) -m flows.daily

test: $(READY) ## run the tests, three files at once for every two cores
	@$(VENV_PYTHON) -m pytest -n auto --dist loadfile -m "not slow" $(PYTEST_ARGS)

test-all: $(READY) ## run the slow tests too, with real servers, workers and bad endings (some ten minutes more)
	@$(VENV_PYTHON) -m pytest -n auto --dist loadfile $(PYTEST_ARGS)

chaos: $(READY) ## attack every promise for an hour, and write docs/reliability.md (CHAOS_ARGS='--seed 1 --only kills')
	@$(VENV_PYTHON) -m tests.chaos $(if $(CHAOS_ARGS),$(CHAOS_ARGS),--write)

bench: $(READY) ## measure beside plain polars and six other tools, and write docs/measurements.md (BENCH_ARGS='--only days')
	@$(VENV_PYTHON) -m benchmarks --write $(BENCH_ARGS)

audit: $(READY) ## look the pinned dependencies up in the database of known vulnerabilities (needs the network)
	@$(VENV_PYTHON) -m pip_audit --version >/dev/null 2>&1 || if [ -n "$(UV)" ]; then \
		uv pip install --quiet --python $(VENV_PYTHON) -c constraints.txt -e '.[audit]'; \
	else $(VENV_PYTHON) -m pip install -qq --disable-pip-version-check --no-input -c constraints.txt -e '.[audit]'; fi
	@$(VENV_PYTHON) -m pip_audit --requirement constraints.txt --no-deps --disable-pip --progress-spinner off

lint: $(READY) ## check style, types and the direction of imports
	@$(VENV_PYTHON) -m ruff check --quiet
	@$(VENV_PYTHON) -m ruff format --check --quiet
	@$(VENV_PYTHON) -m mypy
	@PYTHONPATH=. $(VENV_PYTHON) -c 'import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_logo=True))'

pins: ## resolve constraints.txt anew for every supported Python (needs uv)
	@command -v uv >/dev/null || { echo "make pins needs uv on the PATH" >&2; exit 1; }
	@echo "Resolving the newest dependencies that pyproject.toml allows"
	@uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade --quiet \
		--no-annotate --no-emit-index-url --custom-compile-command "make pins" --output-file constraints.txt
	@git --no-pager diff --stat -- constraints.txt

clean: ## remove .venv and caches; data and results stay
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Removed $(VENV) and caches; data/ and .noonmark/ stay."
