# Two commands do everything on a machine with Python 3.11, make and git: `make demo` and `make test`.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.8
UV := $(BIN)/uv
PEERS := mlserver bentoml rayserve
PACKAGES := contracts kit records feature_repo training serving gateway monitoring pipelines cli
IMAGES := gateway lambda transformer training monitoring
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --no-emit-index-url
STAMP := $(VENV)/.installed
export UV_LINK_MODE ?= copy

.PHONY: help setup bytecode assertions tools demo coverage test tutorial lint types lock docs peers bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv and install every dependency from the hashed locks

$(UV):
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it, or name it with make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(STAMP): $(UV) requirements/dev.txt requirements/node.txt requirements/triton.txt pyproject.toml
	@# Compiled once here (about 25 s on two cores): each of the many processes of a run imports in a third of the time.
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt
	@command -v npm >/dev/null || $(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/node.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	$(UV) venv --quiet --allow-existing --python $(BIN)/python $(VENV)/triton
	$(UV) pip sync --quiet --compile-bytecode --python $(VENV)/triton/bin/python --require-hashes requirements/triton.txt
	@touch $@

tools: setup ## bring Debian's programs that tests run (promtool, amtool, chromium), unless they are here
	$(BIN)/python -m tests.kit.debian

bytecode: setup
	@# Each of the many processes of a run would compile our modules anew where writing bytecode is switched off.
	@$(BIN)/python -m compileall -q -j 2 $(PACKAGES) tests

demo: setup bytecode ## set up, then show the whole platform on real e-mail
	$(BIN)/sluice demo

assertions: setup
	@# Every worker of a run would rewrite the assertions of every test anew where writing bytecode is switched off.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --collect-only -qq > /dev/null

test: setup bytecode ## set up, then lint, types, import contracts and tests
	@# mypy keeps one core busy for a minute; what else has to be done first goes beside it.
	@$(MAKE) --no-print-directory -j 2 --output-sync=target types tools lint assertions
	$(BIN)/pytest -n 3 --dist loadgroup --no-loadscope-reorder -m "not tutorial"

tutorial: setup bytecode ## follow the tutorial as its reader would: one more test, of minutes
	$(BIN)/pytest -m tutorial

coverage: setup bytecode tools ## the tests again with line and branch coverage, which take half as long again
	$(BIN)/pytest -n 3 --dist loadgroup --no-loadscope-reorder --cov --cov-report=term

lint: setup ## ruff (format and rules) and the import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: setup ## mypy, strict
	$(BIN)/mypy

lock: $(UV) ## resolve the lock files anew (hashes, no addresses)
	$(COMPILE) --extra dev pyproject.toml -c requirements/constraints.in -o requirements/dev.txt
	for image in $(IMAGES); do \
	  $(COMPILE) --extra $$image pyproject.toml -c requirements/dev.txt -o requirements/$$image.txt; \
	done
	$(COMPILE) requirements/node.in -o requirements/node.txt
	$(COMPILE) requirements/triton.in -o requirements/triton.txt
	for peer in $(PEERS); do \
	  $(COMPILE) pyproject.toml requirements/peer-$$peer.in -o requirements/peer-$$peer.txt; \
	done

docs: setup ## write the generated references (settings, commands)
	$(BIN)/python -m cli.reference

peers: $(PEERS:%=$(VENV)/peers/%/.installed) ## install the serving frameworks that bench compares with

$(VENV)/peers/%/.installed: requirements/peer-%.txt $(STAMP)
	$(UV) venv --quiet --allow-existing --python $(BIN)/python $(VENV)/peers/$*
	$(UV) pip sync --quiet --compile-bytecode --python $(VENV)/peers/$*/bin/python --require-hashes $<
	@touch $@

bench: setup peers ## measure, and print ratios against peers
	$(BIN)/sluice bench

clean: ## remove the environment, the caches and the local state
	rm -rf $(VENV) .sluice .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage
