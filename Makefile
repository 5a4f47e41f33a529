# Two commands for a fresh machine. PYTHON may name another interpreter (3.10 to 3.12).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
IN_PARALLEL := -n 2 --dist loadfile    # fixtures of a file are made once

.PHONY: demo label test test-all check docs docs-commands fuzz setup
setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[all,dev]"
	touch $@

## make demo: sets up, renders a small world, labels and scores it, and writes a page of pictures
demo: setup
	$(BIN)/pointsam-label demo $(ARGS)

## make label DATA=/data/nuscenes OUT=out [ARGS="--sample 40"]: sets up and labels
label: setup
	@test -n "$(DATA)" -a -n "$(OUT)" || { echo 'usage: make label DATA=dataset-root OUT=output-folder [ARGS="--sample 40"]'; exit 2; }
	$(BIN)/pointsam-label run "$(DATA)" --out "$(OUT)" $(ARGS)

## make test [ARGS=...]: sets up and runs the tests, except the slow ones
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(IN_PARALLEL) $(ARGS)

## make test-all [ARGS=...]: sets up and runs all tests
test-all: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(IN_PARALLEL) -m "heavy or not heavy" $(ARGS)

## make check: runs the other checks that a contribution must pass
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## make fuzz [FUZZ_EXAMPLES=200000]: reads damaged files of every kind; only errors with a code may come out
FUZZ_EXAMPLES ?= 200000
fuzz: setup
	PYTHONPATH=tests:. OMP_NUM_THREADS=1 $(BIN)/python -m fuzz.fuzz --examples $(FUZZ_EXAMPLES)

## make docs: sets up and builds the documentation into site/; a broken link or reference fails the build
docs: setup
	$(BIN)/python scripts/draw_architecture.py docs/architecture.svg
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

## make docs-commands: sets up and runs the commands of README and docs on a small synthetic world
docs-commands: setup
	OMP_NUM_THREADS=1 $(BIN)/python scripts/run_docs.py
