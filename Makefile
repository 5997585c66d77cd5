# The commands of a contributor; `make` alone lists them.
VENV   := .venv
PYTHON := $(VENV)/bin/python
PYTEST := $(PYTHON) -m pytest

# The pure core, whose line coverage must not fall.
COVERED := spec certs model resolve conversion graph run.schedule
# Three processes, each with a testbed of its own: tests of the engine often wait. A process that has finished its tests
# takes over some of the others'.
SIDE_BY_SIDE := -n 3 --dist worksteal
COVERAGE := $(foreach module,$(COVERED),--cov=mpbake.$(module)) --cov-report=term --cov-fail-under=95

export PATH := $(abspath $(VENV)/bin):$(PATH)
# Tests start mpbake hundreds of times, so let Python keep its compiled files.
unexport PYTHONDONTWRITEBYTECODE

# A folder with docker-buildx, buildkitd and buildctl of a newer release, for test-newest.
NEWEST ?=

.PHONY: help coverage demo demo-clean test test-unit test-engine test-newest test-cluster test-long test-pythons faulty-registry lint docs lock clean

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

demo: $(VENV)/.installed ## set up an engine, a registry and two nodes, and run `mpbake run release` on them
	@$(PYTHON) scripts/demo.py

demo-clean: $(VENV)/.installed ## stop what the demo started and remove what it made
	@$(PYTHON) scripts/demo.py --clean

test: lint ## run all checks except the hour-long ones, on a real engine that it sets up
	$(PYTEST) -m "not long and not newest and not cluster" $(SIDE_BY_SIDE) tests/unit tests/engine

test-unit: $(VENV)/.installed ## run the tests that need no engine, in seconds
	$(PYTEST) -m "not long and not newest and not cluster" tests/unit

coverage: $(VENV)/.installed ## measure the line coverage of the pure core; the unit tests take twice as long
	$(PYTEST) -m "not long and not newest and not cluster" $(SIDE_BY_SIDE) $(COVERAGE) tests/unit

test-engine: $(VENV)/.installed ## run the tests that need an engine, with the buildx that MPBAKE_TEST_BUILDX names (default: the installed one)
	$(PYTEST) -m "not long and not newest and not cluster" $(SIDE_BY_SIDE) tests/engine

test-newest: $(VENV)/.installed ## run the engine tests with newer releases: make test-newest NEWEST=FOLDER (docker-buildx, buildkitd, buildctl)
	@test -x "$(NEWEST)/docker-buildx" || { echo "test-newest: set NEWEST to a folder with docker-buildx, buildkitd, buildctl"; exit 2; }
	MPBAKE_TEST_BUILDX=$(abspath $(NEWEST))/docker-buildx MPBAKE_TEST_BUILDKIT=$(abspath $(NEWEST)) \
		$(PYTEST) -m "not long and not cluster and not one_release" $(SIDE_BY_SIDE) tests/engine
	MPBAKE_TEST_BUILDKIT=$(abspath $(NEWEST)) $(PYTEST) -m newest $(SIDE_BY_SIDE) tests/engine/test_mixed_fleet.py

test-cluster: $(VENV)/.installed ## run the tests that need a real Kubernetes cluster, of the program that MPBAKE_TEST_KUBERNETES names
	$(PYTEST) -m cluster -n 4 --dist worksteal tests/cluster

test-long: $(VENV)/.installed ## run the tests that take longer: fuzzing, kill loops
	$(PYTEST) -m long --timeout 3600 tests

faulty-registry: $(VENV)/.installed ## run against a registry that fails at one request after another; print the claims of each run and what is served
	$(PYTEST) -s -q --timeout 3600 tests/engine/test_faulty_registry.py -k claimed

test-pythons: ## install with the oldest pips of each Python on this machine, and run the unit tests on each
	python3 scripts/test_pythons.py

lint: $(VENV)/.installed ## run ruff, mypy and import-linter
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

docs: $(VENV)/.installed ## regenerate docs/build.schema.json, docs/plan.schema.json, docs/reference.md and docs/diagnostics.md from the code
	$(PYTHON) -m mpbake schema > docs/build.schema.json
	$(PYTHON) -m mpbake schema --format plan > docs/plan.schema.json
	$(PYTHON) -m mpbake schema --format markdown > docs/reference.md
	$(PYTHON) -m mpbake schema --format diagnostics > docs/diagnostics.md

LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-strip-extras --quiet --no-header

lock: ## update requirements.lock and action/requirements.lock from pyproject.toml (needs uv)
	$(LOCK) --group dev --output-file requirements.lock
	$(LOCK) --group action --constraint requirements.lock --output-file action/requirements.lock

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage dist

$(VENV)/.installed: requirements.lock pyproject.toml scripts/make-venv
	@echo "making the virtual environment $(VENV)"
	@scripts/make-venv $(VENV)
