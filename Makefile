# Everything that developers and operators do with a clone. `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/sh

# The Python that makes the virtual environment: make setup PYTHON=python3.12
PYTHON ?= python3
# Python keeps what it has compiled: the tests start hundreds of processes that import the program.
export PYTHONDONTWRITEBYTECODE :=
# The number of test processes: more than two cores, because tests wait a third of their time.
WORKERS ?= 3
# make soak plays this many times the programs of make test.
TIMES ?= 20

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.project $(VENV)/.chromium
PIP := $(BIN)/python -m pip --no-input --disable-pip-version-check --quiet
# What make bench runs; the other benchmarks take many minutes, and have targets of their own.
BENCHES := api_load bulk_inbound console deciding enrichment vendors warm_inbound wide_runs
RUN_BENCH = for each in $(BENCHES); do echo "$$each"; $(BIN)/python "bench/$$each.py" || exit 1; done
# The sizes of make bench-scale: make bench-scale CLINICS="50 200"
CLINICS ?= 50 200 500 1000 2000
# How often make bench-peers measures each load.
ROUNDS ?= 3
# Keep the figures of a benchmark in bench/results: make bench-network RECORD=now NOTE="quiet"
RECORDED = $(if $(RECORD),--record $(RECORD)) $(if $(NOTE),--note "$(NOTE)")
# Measure another checkout's installation: make bench-network OTHER=../other/.venv/bin/python
MEASURED = $(if $(OTHER),--python $(OTHER))
PEERS := .venv-peers

.PHONY: help setup demo up test check lock bench soak reliability image mutants docs examples clean clean-data
.PHONY: bench-everyday bench-network bench-peers bench-scale

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: $(READY) $(VENV)/.pgbouncer ## Make .venv, install the locked packages, find a Chromium, a PgBouncer

demo: $(READY) ## Run a simulated vendor and three clinics, and watch a day's edits become cases
	@$(BIN)/pims demo

up: $(READY) ## Start everything, a simulated vendor too; Ctrl-C stops it
	@$(BIN)/pims up --demo

test: setup ## Run all tests
	@$(BIN)/python -m pytest -p pims_pipeline_tests.no_skips -n $(WORKERS) --dist worksteal

check: setup ## Check lint, format, types, floors, lock, words, sizes, documents and the Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=bench $(BIN)/mypy tools/*.py bench/*.py bench/adoption/*.py bench/peers/*.py
	$(BIN)/lint-imports --no-logo
	$(BIN)/hadolint --config deploy/hadolint.yaml deploy/Dockerfile
	$(BIN)/python -m pytest -q -p pims_pipeline_tests.no_skips \
		pims_pipeline_tests/test_docs.py pims_pipeline_tests/test_repository.py \
		pims_pipeline_tests/test_sizes.py pims_pipeline_tests/test_words.py

lock: ## Resolve pyproject.toml again into requirements.lock (needs uv)
	@UV=$$(command -v uv || echo $(BIN)/uv); test -x "$$UV" || { \
		echo "make lock needs uv: see CONTRIBUTING.md" >&2; exit 1; }; \
	"$$UV" pip compile --quiet --universal --generate-hashes --no-emit-index-url \
		--all-extras --group dev pyproject.toml -o requirements.lock; \
	"$$UV" pip compile --quiet --universal --generate-hashes --no-emit-index-url \
		--extra browser --extra reports --constraint requirements.lock pyproject.toml \
		-o deploy/requirements.lock; \
	"$$UV" pip compile --quiet --universal --generate-hashes --no-emit-index-url \
		--constraint requirements.lock deploy/build.in -o deploy/build.lock; \
	for each in dlt target_postgres; do \
		"$$UV" pip compile --quiet --universal --generate-hashes --no-emit-index-url \
			bench/peers/$$each.in -o bench/peers/$$each.lock; done

bench: setup ## Run the shorter benchmarks; prints figures, checks none
	@$(RUN_BENCH)

bench-everyday: setup ## Measure a warm sync, the API and two commands (some minutes)
	@$(BIN)/python bench/everyday.py $(MEASURED) $(RECORDED)

bench-network: setup ## Measure a sync with the database 0 to 50 ms away (some minutes)
	@$(BIN)/python bench/network.py $(MEASURED) $(RECORDED)

bench-peers: setup $(PEERS)/dlt/.packages $(PEERS)/target_postgres/.packages ## Measure bulk loads beside dlt, target-postgres and SQL alone (some minutes)
	@$(BIN)/python bench/peers.py --rounds $(ROUNDS) $(RECORDED)

bench-scale: setup ## Measure scheduled syncs of 50 to 2,000 clinics (an hour)
	@$(BIN)/python bench/scale.py --clinics $(CLINICS) $(RECORDED)

soak: setup ## Run many more random programs of a clinic than make test (TIMES=20)
	@PIMS_SOAK=$(TIMES) $(BIN)/python -m pytest -p pims_pipeline_tests.no_skips -n $(WORKERS) \
		--dist worksteal --timeout 0 pims_pipeline_tests/reliability/test_clinic_life.py

reliability: setup ## Generate the fault tables of docs/reliability.md
	@PIMS_WRITE_FAULT_TABLE=1 $(BIN)/python -m pytest -q \
		pims_pipeline_tests/reliability/test_faults.py \
		pims_pipeline_tests/reliability/test_login_faults.py

image: setup ## Build the image of deploy/ from Debian's packages, and run the demonstration in it (some minutes, as root)
	@$(BIN)/python tools/try_image.py

mutants: setup ## Mutate the three plans, and print the mutants that no test detects (some minutes)
	@$(BIN)/python tools/mutants.py

docs: setup ## Generate the tables of docs/ that come from the code, and the plots of bench/results
	@$(BIN)/cog -r -I tools docs/cli.md docs/settings.md docs/performance.md \
		docs/providers/README.md docs/providers/writing-one.md
	@$(BIN)/python tools/performance_plots.py

examples: setup ## Generate the API's examples (a simulated day) and its outline
	@PIMS_WRITE_EXAMPLES=1 $(BIN)/python -m pytest -q pims_pipeline_tests/api/test_examples.py
	@PIMS_WRITE_OUTLINE=1 $(BIN)/python -m pytest -q pims_pipeline_tests/api/test_outline.py \
		pims_pipeline_tests/cli/test_outline.py

clean: ## Remove caches and .venv, keep data
	rm -rf $(VENV) $(PEERS) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-data: ## Remove .pims: the embedded database, its key, Dagster's records
	rm -rf .pims

# A new lock gets a new environment, so that no unlocked package remains. --no-deps: the lock names
# every package, so there is nothing to resolve.
$(VENV)/.packages: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, but '$(PYTHON)' is not: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { \
		echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing the locked packages (about half a minute)"
	@$(PIP) install --no-deps --require-hashes -r requirements.lock
	@touch $@

# Programs to compare with, each in an environment of its own: their packages are no part of ours.
$(PEERS)/%/.packages: bench/peers/%.lock $(VENV)/.packages
	@$(BIN)/python -m venv --clear $(@D)
	@echo "Installing the packages of $*"
	@$(@D)/bin/python -m pip --no-input --disable-pip-version-check --quiet \
		install --no-deps --require-hashes -r $<
	@touch $@

$(VENV)/.project: pyproject.toml $(VENV)/.packages
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.chromium: tools/ensure_chromium.py tools/system_packages.py $(VENV)/.packages
	@$(BIN)/python tools/ensure_chromium.py
	@touch $@

# The script touches the target only if PgBouncer is found, so that the next make searches again.
$(VENV)/.pgbouncer: tools/ensure_pgbouncer.py tools/system_packages.py $(VENV)/.packages
	@$(BIN)/python tools/ensure_pgbouncer.py $@
