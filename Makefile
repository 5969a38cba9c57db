# Everything runs from `.venv`, which the first target that needs it makes.
PYTHON ?= python3
PROVIDER ?= gatewayapi:v1
BIN := .venv/bin

.PHONY: demo local test check
demo: .venv/.ready
	$(BIN)/flagger-py demo --provider $(PROVIDER)

local: .venv/.ready
	$(BIN)/flagger-py local

test: .venv/.ready
	$(BIN)/pytest -n 2 --dist loadscope

check: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,dev]'
	touch $@
