# Every target sets up what it needs in .venv (see .ci/venv); nothing is installed elsewhere but the servers that `make test` needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo ui test check format docs bench wheel kube-test-binaries clean
BIN := .venv/bin
PYTEST_WORKERS ?= 2

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 28

demo: ## Run examples/01-flights through the real scheduler, from nothing, on this machine
	@.ci/venv demo
	@.ci/demo

ui: ## Build the web UI into the package (with this machine's Node, or with one from PyPI)
	@.ci/venv demo
	@.ci/ui

test: ## Run all tests (on Debian and Ubuntu it installs PostgreSQL, Redis, RabbitMQ and Chromium if there are none)
	@.ci/venv test
	@.ci/postgresql
	@.ci/brokers
	@.ci/chromium
	@.ci/ui
	@$(BIN)/pytest -n $(PYTEST_WORKERS) --dist loadgroup $(PYTEST_ARGS)

check: ## Linters, formatting, strict types, the direction of imports, the shape of the code
	@.ci/venv test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest tests/shape

format: ## Let ruff format the code and sort the imports
	@.ci/venv test
	@$(BIN)/ruff check --fix-only --select I .
	@$(BIN)/ruff format .

docs: ## Write anew what is generated in docs/
	@.ci/venv test
	@$(BIN)/python docs/generate.py

bench: ## Measure: ours, the floor, and the ratio, from one run
	@.ci/venv test
	@.ci/postgresql
	@.ci/brokers
	@.ci/ui
	@$(BIN)/python -m benchmarks

wheel: ## Build the wheel into dist/, with the web UI in it
	@.ci/venv test
	@.ci/ui
	@$(BIN)/pip wheel . --no-deps --no-build-isolation --quiet --wheel-dir dist
	@ls dist/*.whl

kube-test-binaries: ## Build what the tests on Kubernetes run, from Debian's source package, once (five to ten minutes)
	@.ci/kubernetes-binaries

clean: ## Remove what was made here: the venv, the demo's home, builds, caches
	@rm -rf .venv demo dist build ui/node_modules src/airloom/api/static .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
