# The commands of this project. Each target installs what it needs into .venv or .envs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENVS := .envs
PEERS := $(ENVS)/singer-io/ready $(ENVS)/airbyte/ready
TARGET_JSONL := target-jsonl==0.1.4
UV_COMPILE = $(BIN)/python -m uv pip compile --quiet --upgrade --universal --custom-compile-command "make constraints"
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test test-integration test-fleet test-versions check format generate bench soak fuzz constraints audit clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: $(VENV)/demo $(ENVS)/target-jsonl/ready  ## Sync a sandbox account into DuckDB and show the rows; needs no Klaviyo account
	@$(BIN)/python -m demo --target $(ENVS)/target-jsonl/bin/target-jsonl

test: $(VENV)/dev  ## Run the tests
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m "not integration"

test-integration: $(VENV)/dev  ## Run the tests with real targets, PostgreSQL, Meltano and singer-check-tap
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile tests/integration

test-fleet: $(VENV)/dev  ## Sync many accounts with real schedulers, and kill a worker; ARGS="--accounts 5" for less
	@sh tools/install_servers.sh
	$(BIN)/python -m pytest -m integration $(wildcard tests/integration/fleet/check_*.py) $(ARGS)

test-versions: $(VENV)/dev  ## Run tests and demo on each Python with the lowest and newest dependencies (an hour); ARGS="--ends --short" for less
	$(BIN)/python -m tools.version_matrix --target $(TARGET_JSONL) --folder $(ENVS)/versions $(ARGS)

check: $(VENV)/dev  ## Check format, lint, types and tests; must pass before each commit
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m "not integration"

format: $(VENV)/dev  ## Format the code and fix lint errors where possible
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

generate: $(VENV)/dev  ## Write the generated files: catalog.json, tables and drawings in the documents
	$(BIN)/python -m tools.generate

bench: $(VENV)/dev $(ENVS)/target-jsonl/ready $(PEERS)  ## Compare the speed with other taps (20 minutes)
	$(BIN)/python -m benchmarks

soak: $(VENV)/dev  ## Run random failures, kills and stops for an hour; MINUTES=5 for less, SEED=1 to repeat
	PYTHONPATH=.:tests $(BIN)/python tests/reliability/soak.py --minutes $(or $(MINUTES),60) $(if $(SEED),--seed $(SEED))

fuzz: $(VENV)/dev  ## Run the command with 10,000 random changes of its files and answers; EXAMPLES=500 for less, SEED=1 to repeat
	PYTHONPATH=.:tests $(BIN)/python tests/reliability/fuzz.py --examples $(or $(EXAMPLES),10000) $(if $(SEED),--seed $(SEED))

constraints: $(VENV)/dev  ## Update the pinned versions of all dependencies: constraints.txt, examples/*/requirements.txt
	$(UV_COMPILE) --python-version 3.10 --output-file constraints.txt setup.py
	$(UV_COMPILE) --python-version 3.11 --output-file examples/airflow/requirements.txt examples/airflow/requirements.in
	$(UV_COMPILE) --python-version 3.10 --output-file examples/dagster/requirements.txt examples/dagster/requirements.in

audit: $(VENV)/bin/python $(ENVS)/pip-audit/ready  ## Check constraints.txt for known vulnerabilities
	@$(BIN)/python -m tools.audit $(ENVS)/pip-audit/bin/pip-audit $(ARGS)

clean:  ## Remove everything that these commands created
	rm -rf $(VENV) $(ENVS) .demo build dist *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) tools/check_python.py
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/demo: $(VENV)/bin/python setup.py
	@echo "Installing the demo ..."
	@$(BIN)/python $(PIP_INSTALL) -e '.[demo]'
	@touch $@

$(VENV)/dev: $(VENV)/bin/python setup.py
	@echo "Installing the tests ..."
	@$(BIN)/python $(PIP_INSTALL) -e '.[dev]'
	@touch $@

$(ENVS)/target-jsonl/ready:
	@echo "Installing target-jsonl in its own environment ..."
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) $(TARGET_JSONL)
	@touch $@

$(ENVS)/pip-audit/ready:
	@echo "Installing pip-audit in its own environment ..."
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) pip-audit
	@touch $@

$(ENVS)/singer-io/ready: PACKAGE = tap-klaviyo==1.1.5
$(ENVS)/airbyte/ready: PACKAGE = airbyte-source-klaviyo==2.13.1

# A tap that cannot be installed on this machine is left out of the results.
$(PEERS):
	@echo "Installing $(PACKAGE) in its own environment ..."
	@$(PYTHON) -m venv $(@D)
	-@$(@D)/bin/python $(PIP_INSTALL) $(PACKAGE) && touch $@
