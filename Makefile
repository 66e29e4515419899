# `make run` starts Repartee on this machine; `make test` checks everything. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME_LOCKS := requirements.txt requirements-models.txt
DEV_LOCKS := requirements-dev.txt
# A stamp is named after what it stands for: a changed lock file means a stamp that does not exist yet.
RUNTIME_STAMP := $(VENV)/.runtime-$(shell cat $(RUNTIME_LOCKS) | sha256sum | cut -c1-16)
DEV_STAMP := $(VENV)/.dev-$(shell cat $(RUNTIME_LOCKS) $(DEV_LOCKS) | sha256sum | cut -c1-16)
# The locks are complete, so nothing is resolved, nothing is built, and every file must have the hash on record.
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes --only-binary :all:
LOCK := $(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --generate-hashes --no-header

CLIENT_LOCKS := $(basename $(wildcard tests/clients/*/requirements.in benchmarks/*/requirements.in))

PORT ?= 8000
TLS ?=
export PORT

.PHONY: help
help:  ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: run
run: $(RUNTIME_STAMP)  ## set up what is missing and serve (PORT, REPARTEE_DATA, REPARTEE_DEV_API_KEY; TLS=1 for https)
	@exec env REPARTEE_ENV=development $(BIN)/python -m project.launch $(if $(filter-out 0,$(TLS)),--tls)

.PHONY: test
test: lint  ## every check and every test, on real Redis, PostgreSQL and Chromium
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: test-clients
test-clients: $(DEV_STAMP)  ## other projects' Realtime clients against a running server (CLIENTS="openai-node …")
	@$(BIN)/python -m tests.clients $(CLIENTS)

.PHONY: lint
lint: $(DEV_STAMP)  ## style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(DEV_STAMP)  ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: $(DEV_STAMP)  ## print the figures that docs/ quotes
	@for file in $$(grep -l '^if __name__ == "__main__"' benchmarks/*.py); do \
	    name=$$(basename "$$file" .py); \
	    case $$name in relay) continue;; guide_latency) options="--recorded --questions 20";; *) options="";; esac; \
	    echo "== $$name $$options"; $(BIN)/python -m "benchmarks.$$name" $$options; \
	done

.PHONY: bench-table
bench-table: $(DEV_STAMP)  ## the table of figures beside a peer and the floor (BENCH_ARGS="--only latency --quick")
	@$(BIN)/python -m benchmarks.table $(BENCH_ARGS)

.PHONY: lock
lock: $(DEV_STAMP)  ## write the lock files anew; UPGRADE=1 takes the newest versions
	for name in requirements requirements-models requirements-gguf requirements-dev; do \
	    $(LOCK) $(if $(UPGRADE),--upgrade) $$name.in -o $$name.txt; \
	done
	for name in $(CLIENT_LOCKS); do \
	    $(LOCK) --config-file tests/clients/uv.toml $(if $(UPGRADE),--upgrade) $$name.in -o $$name.txt; \
	done
	$(BIN)/python -m tests.clients.lock

.PHONY: clean
clean:  ## remove what was installed and built; the data folder stays
	rm -rf $(VENV) .clients staticfiles .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './data/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Repartee needs Python 3.11 or newer: make run PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Creating $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "On Debian: apt-get install python3-venv"; exit 1; }

$(RUNTIME_STAMP): | $(BIN)/python
	@echo "Installing Repartee and its models (about 1 GB on disk) …"
	@$(INSTALL) $(addprefix -r ,$(RUNTIME_LOCKS))
	@rm -f $(VENV)/.runtime-* && touch $@

$(DEV_STAMP): $(RUNTIME_STAMP)
	@echo "Installing what the tests need …"
	@$(INSTALL) $(addprefix -r ,$(DEV_LOCKS))
	@rm -f $(VENV)/.dev-* && touch $@
