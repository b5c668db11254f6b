# Everything a developer runs. All that is needed: make, and Python 3.11 or later with its venv module.
# `make` alone lists the targets. Another place for the environment: make VENV=/tmp/venv test

VENV ?= .venv
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	command -v $$python; break; fi; done)

KILLS ?= 200

BIN := $(VENV)/bin
INSTALL := -m pip install --quiet --no-input --disable-pip-version-check
APP_READY := $(VENV)/.app-ready
DEV_READY := $(VENV)/.dev-ready
SMOKE := build/smoke
STEPS := format lint types contracts tests wheel
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" --upgrade

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo run test check bench torture format docs lock setup $(STEPS:%=step-%)

help: ## List the targets.
	@echo "Targets:"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-22s%s\n", $$1, $$2 }'

demo: $(APP_READY) ## Everything once, on throwaway data: sample tips, one edition, its report.
	$(BIN)/newsletter demo

run: $(APP_READY) ## The service, with the settings of this folder's .env.
	$(BIN)/newsletter run

test: $(DEV_READY) ## All checks, all tests, and a trial of the built wheel.
	@failed=""; began=$$(date +%s); \
	for step in $(STEPS); do \
		echo; echo "== $$step"; \
		if $(MAKE) --no-print-directory step-$$step; then :; else failed="$$failed $$step"; fi; \
	done; \
	echo; took=$$(( $$(date +%s) - began )); \
	if [ -n "$$failed" ]; then echo "FAILED after $$took s:$$failed"; exit 1; fi; \
	echo "All passed in $$took s: $(STEPS)"

check: $(DEV_READY) ## The quick part of test: format, lint, types, imports.
	@$(MAKE) --no-print-directory step-format step-lint step-types step-contracts

bench: $(DEV_READY) ## How fast everything is, each beside its peer, such as Postfix's smtp-source; some ten minutes.
	$(BIN)/python benchmarks/run.py

bench-million: $(DEV_READY) ## What grows with the list, up to a million subscribers; half an hour.
	$(BIN)/python benchmarks/run.py --million --rows growth,freezing,importing

# Then the larger variants of tests, and the properties, with many more examples than in `make test`, new ones each time.
torture: $(DEV_READY) ## Kill the sender 200 times and count who got what; then search for broken properties.
	@seed=$(or $(SEED),$$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')); \
		echo "$(KILLS) kills; once more the same: make torture KILLS=$(KILLS) SEED=$$seed"; \
		TORTURE_KILLS=$(KILLS) TORTURE_SEED=$$seed $(BIN)/python -m pytest -v --durations=0 --durations-min=1 \
		tests/path/test_sudden_death.py tests/path/test_interruptions.py tests/path/test_sleeping_worker.py
	@$(BIN)/python -m pytest -q --numprocesses auto --dist worksteal -m torture
	@$(BIN)/python -m pytest -q --numprocesses auto --dist worksteal --hypothesis-profile=search -m hypothesis

format: $(DEV_READY) ## Put the code into its one form, and mend what can be mended.
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: $(DEV_READY) ## Write the pages of the reference anew, from the code.
	$(BIN)/python docs/generate.py

setup: $(DEV_READY) ## Only make the environment that tests use.

step-format:
	@$(BIN)/ruff format --check

# A long file is worth a look, and no more than that: some read better whole.
step-lint:
	@$(BIN)/ruff check
	@find newsletter tests benchmarks -name '*.py' -exec wc -l {} + \
		| awk '$$1 > 400 && $$2 != "total" { print "warning: " $$2 " has " $$1 " lines; would two files read better?" }'

step-types:
	@$(BIN)/mypy

step-contracts:
	@$(BIN)/lint-imports --no-logo

# `worksteal` keeps the tests of a module in one process, where they share what they build, and lets none run dry.
step-tests:
	@$(BIN)/python -m pytest -q --numprocesses auto --dist worksteal

# What is tested above is the checkout. This is what an operator installs: the wheel, and of all else only the app lock.
step-wheel: $(SMOKE)/.ready
	@rm -rf build/wheel
	@$(BIN)/python -m pip wheel --quiet --no-input --disable-pip-version-check --no-deps --no-build-isolation \
		--wheel-dir build/wheel .
	@$(SMOKE)/bin/python $(INSTALL) --no-deps --force-reinstall build/wheel/newsletter-*.whl
	@$(SMOKE)/bin/python -m pip check --disable-pip-version-check
	@folder=$$(mktemp -d) && cd "$$folder" \
		&& trial="env -i HOME=$$folder PATH=$$PATH LANG=C.UTF-8 $(abspath $(SMOKE))/bin/newsletter" \
		&& $$trial --help >/dev/null && $$trial demo; \
		result=$$?; cd / && rm -rf "$$folder"; exit $$result

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python 3.11 or later with its venv module was found; name one: make PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi
	@echo "Making $(VENV) with $(PYTHON)"
	@"$(PYTHON)" -m venv "$(VENV)"

# Compiled here, since each command would compile all it imports where PYTHONDONTWRITEBYTECODE is set: 0.2 s.
$(APP_READY): requirements.lock requirements-build.lock pyproject.toml | $(BIN)/python
	@echo "Installing what the newsletter needs"
	@$(BIN)/python $(INSTALL) --require-hashes -r requirements.lock -r requirements-build.lock
	@$(BIN)/python $(INSTALL) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q newsletter
	@touch $@

$(DEV_READY): requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "Installing what the newsletter and its tests need"
	@$(BIN)/python $(INSTALL) --require-hashes -r requirements-dev.lock
	@$(BIN)/python $(INSTALL) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q newsletter
	@touch $@

$(SMOKE)/.ready: requirements.lock | $(BIN)/python
	@rm -rf "$(SMOKE)"
	@$(BIN)/python -m venv "$(SMOKE)"
	@$(SMOKE)/bin/python $(INSTALL) --require-hashes -r requirements.lock
	@touch $@

# The dev lock comes first and rules the others, so that one package has one version in all of them.
lock: $(DEV_READY) ## Lock the newest versions that pyproject.toml allows, with their hashes.
	$(UV_COMPILE) --extra dev --output-file requirements-dev.lock pyproject.toml
	$(UV_COMPILE) --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml
	$(UV_COMPILE) --constraint requirements-dev.lock --extra postgres --extra dkim --extra webhooks \
		--output-file \
		requirements-postgres.lock pyproject.toml
	echo "hatchling" | $(UV_COMPILE) --constraint requirements-dev.lock --output-file requirements-build.lock -
