# Everything runs in .venv; `make install` is implied by the other targets.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: install demo test check format bench bench-rules reliability differential clean

install: $(BIN)/.runtime

# What runs the product, and on top of it what tests it: the demo needs only the first.
$(BIN)/.runtime: pyproject.toml constraints.txt
	@echo "== setting up .venv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "agentpager needs Python 3.11 or newer; set PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) --editable '.[charts]'
	@touch $@

$(BIN)/.dev: $(BIN)/.runtime
	@echo "== adding what tests and checks need"
	@$(PIP) --editable '.[dev]'
	@touch $@

demo: install
	@$(BIN)/agentpager demo

# Many tests wait, for a page or a browser: four at a time on two cores. Some hundred processes are started, and each would
# compile all that it loads were it forbidden to keep the result.
test: export PYTHONDONTWRITEBYTECODE =
test: $(BIN)/.dev
	@$(BIN)/python -m pytest -n $$((2 * $$(nproc 2>/dev/null || echo 2))) --maxprocesses 8 --dist worksteal

check: $(BIN)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(BIN)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(BIN)/.dev
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.click --clicks 50
	$(BIN)/python -m benchmarks.ack --past 100000
	$(BIN)/python -m benchmarks.footprint
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.store
	$(BIN)/python -m benchmarks.year
	$(BIN)/python -m benchmarks.scrape
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.contract
	$(BIN)/python -m benchmarks.rules --quick

# The table of docs/performance.md: 100,000 series, 40 minutes.
bench-rules: $(BIN)/.dev
	$(BIN)/python -m benchmarks.rules

# SIGKILL at every point of a page's life, and the fault table of docs/reliability.md; some 20 minutes on two cores.
# FUZZ=n lets the state machine try n times as much, with new seeds.
reliability: $(BIN)/.dev
	$(BIN)/python -m tests.reliability

# SEED=, COUNT= and PROMETHEUS=/path/to/prometheus are its options; scripts of differences go to build/differential.
differential: $(BIN)/.dev
	$(BIN)/python -m tests.differential

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info
