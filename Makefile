# `make run` and `make test` set up everything they need; nothing is installed twice.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
WORKDIR ?= runs/fd
BIN := .venv/bin

.PHONY: run test test-all bench lint clean

.venv: .venv/installed
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --constraint constraints.txt --editable '.[embedded,dev]'
	touch $@

run: .venv
	$(BIN)/python -m fdjax.main --config=configs/fd.py --workdir=$(WORKDIR)

test: .venv
	$(BIN)/python -m pytest -m 'not slow'

test-all: .venv
	$(BIN)/python -m pytest

bench: .venv
	for b in benchmarks/*.py; do $(BIN)/python $$b || exit 1; done

lint: .venv
	$(BIN)/ruff check .

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
