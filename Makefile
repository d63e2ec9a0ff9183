# `make` lists the targets. Everything is installed into .venv, each group of packages when a target
# first needs it; nothing outside this folder is touched.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:
MAKEFLAGS += --no-print-directory --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
# Stamps live in .venv, so that removing it forgets them as well.
DONE := $(VENV)/.done
PDM_VERSION := ~=2.29
# PDM has its own nested environment: its dependencies never meet the application's.
PDM := PDM_CHECK_UPDATE=0 PDM_IGNORE_SAVED_PYTHON=1 PDM_IGNORE_ACTIVE_VENV=1 PDM_USE_VENV=1 $(VENV)/pdm/bin/python -m pdm
LOCKED := pyproject.toml pdm.lock

# An environment whose interpreter has gone (an upgraded Python) is made anew, stamps included.
$(shell [ -x $(BIN)/python ] || rm -rf $(DONE))

# Extra arguments of a target: make test ARGS="-k article", make run ARGS="--port 9000".
ARGS ?=
# The most processes that `make test` uses; it never uses more than there are cores.
JOBS ?= 8

export NO_MKDOCS_2_WARNING := 1

# Sets $$python to the first interpreter that runs and is new enough. Each candidate is executed:
# a shim of a version manager can exist and still fail.
define find_python
	python= found=; \
	for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python); do \
		version=$$("$$candidate" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue; \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
		then python=$$candidate; break; else found=$${found:-found $$version}; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Groundwork needs Python 3.11 or newer; $${found:-none was found}. Install it or run: make $(or $(MAKECMDGOALS),run) PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi; \
	if ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "Groundwork needs Python's venv module; $$python $$version has none. Install it (Debian, Ubuntu: apt install python$${version%.*}-venv) or run: make $(or $(MAKECMDGOALS),run) PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi
endef

# Installs the groups named by $(1) into .venv, beside what is there already.
define sync
	@echo "Installing the packages of $(@F) from pdm.lock"
	@$(PDM) sync --no-self $(1)
	@# Otherwise the first start compiles what it imports, and every start where Python may not write.
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib app >/dev/null 2>&1 || true
	@touch $@
endef

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: $(DONE)/run ## Start the application with sample data on http://127.0.0.1:8000
	@exec $(BIN)/python -m flask --app app.main serve --demo $(ARGS)

.PHONY: test
test: $(DONE)/test ## Run the tests on all cores (ARGS="-k name" selects some)
	@exec $(BIN)/python -m pytest -n auto --maxprocesses $(JOBS) $(ARGS)

# One line per step: a step's output appears only when it fails, and the rest still runs.
.PHONY: check
check: $(DONE)/test $(DONE)/dev $(DONE)/doc ## Check format, style, types, imports, spelling, lock file, docs
	@work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && trap 'exit 130' INT TERM && failed=; \
	step() { \
		name=$$1; shift; printf '%-12s ' "$$name"; \
		if "$$@" >"$$work/log" 2>&1; then echo ok; else echo FAILED; cat "$$work/log"; failed="$$failed $$name"; fi; \
	}; \
	step black $(BIN)/black --check --quiet --diff .; \
	step ruff $(BIN)/ruff check --quiet .; \
	step mypy $(BIN)/mypy; \
	step pyright $(BIN)/pyright; \
	step imports $(BIN)/lint-imports --no-logo; \
	step codespell $(BIN)/codespell; \
	step lock env $(PDM) lock --check; \
	if [ -d docs ]; then step docs $(BIN)/mkdocs build --strict --quiet --site-dir "$$work/site"; fi; \
	if [ -n "$$failed" ]; then echo "make check failed:$$failed" >&2; exit 1; fi

.PHONY: docs
docs: $(DONE)/run $(DONE)/doc ## Build the documentation into site/
	@$(BIN)/mkdocs build --strict --quiet $(ARGS)
	@echo "Built site/index.html"

.PHONY: bench
bench: $(DONE)/bench ## Run the benchmarks
	@exec $(BIN)/python -m benchmarks $(ARGS)

.PHONY: lock
lock: $(DONE)/pdm ## Bring pdm.lock up to date with pyproject.toml (UPGRADE=1 takes the newest versions)
	@$(PDM) lock --group :all $(if $(UPGRADE),,--update-reuse)

.PHONY: format
format: $(DONE)/dev ## Format the code and apply ruff's safe fixes
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/black --quiet .

.PHONY: migration
migration: $(DONE)/run $(DONE)/dev ## Write a migration for the changed models: make migration m="Add a column"
	@if [ -z "$(m)" ]; then echo 'Say what changes: make migration m="Add a column"' >&2; exit 1; fi
	@$(BIN)/python -m flask --app app.main db upgrade
	@$(BIN)/python -m flask --app app.main db revision "$(m)"
	@$(BIN)/black --quiet migrations

# var/ holds the data and .venv the packages: neither is litter.
.PHONY: clean
clean: ## Remove caches and built files; keeps .venv and the data in var/
	@rm -rf site var/coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.*
	@find . \( -path ./$(VENV) -o -path ./.git -o -path ./var \) -prune -o -type d -name __pycache__ -exec rm -rf {} +

# The stamps: each is written only when its step has succeeded, so an interrupted step is repeated.

$(DONE)/run: $(LOCKED) | $(DONE)/pdm
	$(call sync,--prod)

$(DONE)/dev $(DONE)/doc $(DONE)/bench: $(LOCKED) | $(DONE)/pdm
	$(call sync,--no-default --dev --group $(@F))

# Tests need the application's own packages too.
$(DONE)/test: $(LOCKED) | $(DONE)/run
	$(call sync,--no-default --dev --group test)

# .venv itself stays without pip: PDM fills it.
$(DONE)/pdm: | $(BIN)/python
	@if ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "The environment in $(VENV) has a Python older than 3.11. Remove it and run make again: rm -rf $(VENV)" >&2; exit 1; \
	fi
	@echo "Installing PDM into $(VENV)/pdm"
	@$(BIN)/python -m venv --clear $(VENV)/pdm
	@$(VENV)/pdm/bin/python -m pip install -qq --disable-pip-version-check "pdm[locked]$(PDM_VERSION)"
	@mkdir -p $(DONE) && touch $@

$(BIN)/python:
	@$(find_python); \
	echo "Creating $(VENV) with Python $$version"; \
	"$$python" -m venv --clear --without-pip $(VENV)
