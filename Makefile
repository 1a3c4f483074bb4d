# Everything a developer or a visitor runs. Each target sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENVS := .envs
PEERS := $(ENVS)/singer-io/ready $(ENVS)/airbyte/ready
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test test-integration check format generate bench soak constraints audit clean

help:  ## What there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: $(VENV)/demo $(ENVS)/target-jsonl/ready  ## From nothing to rows in a table, on a sandbox account
	@$(BIN)/python -m demo --target $(ENVS)/target-jsonl/bin/target-jsonl

test: $(VENV)/dev  ## The test suite
	$(BIN)/python -m pytest --numprocesses auto -m "not integration"

test-integration: $(VENV)/dev  ## Real targets, PostgreSQL, Meltano, singer-check-tap
	$(BIN)/python -m pytest -m integration

check: $(VENV)/dev  ## Format, lint, types and tests: what has to pass before a commit
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses auto -m "not integration"

format: $(VENV)/dev  ## Formats the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

generate: $(VENV)/dev  ## Writes the generated files anew
	$(BIN)/python -m tools.generate

bench: $(VENV)/dev $(ENVS)/target-jsonl/ready $(PEERS)  ## Measures the tap beside others (20 min)
	$(BIN)/python -m benchmarks

soak: $(VENV)/dev  ## Random faults and kills for an hour; MINUTES=5 and SEED=1 if you like
	PYTHONPATH=. $(BIN)/python tests/reliability/soak.py --minutes $(or $(MINUTES),60) $(if $(SEED),--seed $(SEED))

constraints: $(ENVS)/uv/ready  ## Pins all that the tap needs anew, for every Python and system at once
	$(ENVS)/uv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.10 \
		--custom-compile-command "make constraints" --output-file constraints.txt setup.py

audit: $(ENVS)/pip-audit/ready  ## Asks PyPI whether anything in constraints.txt is known to be vulnerable
	$(ENVS)/pip-audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

clean:  ## Removes all that was made
	rm -rf $(VENV) $(ENVS) .demo build dist *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo: $(VENV)/bin/python setup.py
	@echo "Setting up the demo ..."
	$(BIN)/python $(PIP_INSTALL) -e '.[demo]'
	@touch $@

$(VENV)/dev: $(VENV)/bin/python setup.py
	@echo "Setting up the tests ..."
	$(BIN)/python $(PIP_INSTALL) -e '.[dev]'
	@touch $@

$(ENVS)/target-jsonl/ready:
	@echo "Setting up target-jsonl in an environment of its own ..."
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) target-jsonl==0.1.4
	@touch $@

$(ENVS)/uv/ready $(ENVS)/pip-audit/ready:
	@echo "Setting up $(notdir $(@D)) in an environment of its own ..."
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) $(notdir $(@D))
	@touch $@

$(ENVS)/singer-io/ready: PACKAGE = tap-klaviyo==1.1.5
$(ENVS)/airbyte/ready: PACKAGE = airbyte-source-klaviyo==2.13.1

# A peer that cannot be installed here is left out of the results.
$(PEERS):
	@echo "Setting up $(PACKAGE) in an environment of its own ..."
	@$(PYTHON) -m venv $(@D)
	-@$(@D)/bin/python $(PIP_INSTALL) $(PACKAGE) && touch $@
