# The two commands: `make demo` and `make test`. Both set up all they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The image encoder of llama.cpp is not used here; leaving it out shortens its build.
export CMAKE_ARGS ?= -DLLAVA_BUILD=OFF

.PHONY: demo test lint unit clean
demo: $(VENV)/.embedded
	$(BIN)/homeedit demo

test: lint unit

lint: $(VENV)/.dev
	$(BIN)/ruff check homeedit tests benchmarks
	$(BIN)/ruff format --check homeedit tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.dev
	$(BIN)/python -m pytest

# torch first and alone: the other packages then take the pinned build that is there.
$(VENV)/.torch: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("homeedit needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --constraint constraints.txt torch
	touch $@

$(VENV)/.embedded: $(VENV)/.torch pyproject.toml
	@echo "Installing homeedit; llama.cpp is built from source the first time, which takes about five minutes."
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[embedded]'
	touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/.embedded

clean:
	rm -rf $(VENV)
