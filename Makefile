# Everything runs from `.venv`, which the first target that needs it makes.
PYTHON ?= python3
PROVIDER ?= gatewayapi:v1
BIN := .venv/bin

.PHONY: demo local test rollouts check crash crash-full bench e2e bench-e2e
demo: .venv/.ready ## a real rollout on the embedded cluster, real traffic through Envoy
	$(BIN)/flagger-py demo --provider $(PROVIDER)

local: .venv/.ready ## the embedded cluster alone, for kubectl and a controller started by hand
	$(BIN)/flagger-py local

test: .venv/.ready ## unit, contract and local tests
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not wide"

rollouts: .venv/.ready ## every strategy, target and autoscaler with real traffic: what `make test` leaves out
	$(BIN)/pytest -m wide tests/local

check: .venv/.ready ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

crash: .venv/.ready ## stop the controller around every call of a rollout, and look at what becomes of it
	$(BIN)/pytest -n 2 tests/crash

crash-full: .venv/.ready ## the same at each call, in each way, of every strategy and router; takes longer
	$(BIN)/pytest -n 2 tests/crash --full

bench: .venv/.ready ## what it costs: requests, writes, memory, reaction, as counts and ratios
	$(BIN)/python -m tests.bench $(if $(SHORT),--short)

e2e: .venv/.ready ## the real control plane, gateways and Prometheus; ONLY=contour,objects runs parts of it
	$(BIN)/python -m tests.e2e --only "$(ONLY)"

bench-e2e: .venv/.ready ## the same on a real API server; BENCH="--canaries 100,1000 --controller ..." is passed on
	$(BIN)/python -m tests.e2e bench $(BENCH)

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[local,dev]'
	touch $@
