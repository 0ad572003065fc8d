# Everything runs in .venv; `make install` is implied by the other targets.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: install demo test check format bench clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo "== setting up .venv (about a minute with a warm pip cache)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "agentpager needs Python 3.11 or newer; set PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install
	@$(BIN)/agentpager demo

test: install
	@$(BIN)/python -m pytest -n auto --dist loadscope

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.memory

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info
