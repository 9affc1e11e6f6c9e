# `make help` lists what there is. Everything lives in .venv and in MATCHER_HOME (default ./var).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data
export MATCHER_HOME ?= $(CURDIR)/var

.DEFAULT_GOAL := help
.PHONY: help run test lint format openapi schema sight bench picture load night fuzz torture weights constraints clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

run: $(VENV)/.run ## install, load the sample corpus, show one match, serve on 127.0.0.1:8000
	@$(BIN)/matcher demo
	@exec $(BIN)/matcher serve

test: $(VENV)/.dev ## run the whole test suite
	$(BIN)/python -m pytest

lint: $(VENV)/.dev ## ruff and mypy, as CI runs them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: $(VENV)/.run ## write the description of the API to api/openapi.json
	$(BIN)/python -m api.openapi

schema: $(VENV)/.dev ## hold a running service to its description, thoroughly (EXAMPLES=50 a route)
	EXAMPLES=$(or $(EXAMPLES),50) $(BIN)/python -m pytest tests/e2e/test_schema.py

sight: $(VENV)/.dev ## random people who must not see what they must not, thoroughly (EXAMPLES=500 lives)
	EXAMPLES=$(or $(EXAMPLES),500) $(BIN)/python -m pytest tests/api/test_nobody_sees.py

bench: $(VENV)/.bench ## measure speed and memory beside peers (SIZES=10000,100000 for fewer, DATA=DIR of real texts)
	$(BIN)/python bench/run.py --data $(DATA) $(if $(SIZES),--sizes $(SIZES)) $(BENCH)

picture: $(VENV)/.dev ## draw the mail that the README shows (needs Chromium and Noto's Chinese letters)
	$(BIN)/python bench/picture.py

load: $(VENV)/.bench ## measure 64 clients on two workers beside the bare model (LOAD='--seconds 20 --sets needs' for less)
	$(BIN)/python bench/load.py --data $(DATA) $(LOAD)

night: $(VENV)/.bench ## measure three nights of mail for 10,000 subscriptions (NIGHT='--subscriptions 1000' for fewer)
	$(BIN)/python bench/night.py --data $(DATA) $(NIGHT)

fuzz: $(VENV)/.dev ## feed 100,000 broken files to every reader (FUZZ="--inputs 5000 --only pdf" for others)
	$(BIN)/python -m tests.fuzz $(FUZZ)

torture: $(VENV)/.dev ## kill processes at random under load, and look for what was lost (TORTURE="--kills 20" for fewer)
	$(BIN)/python -m tests.e2e.torture $(TORTURE)

weights: $(VENV)/.run ## make the shipped calibration, tagger and ranker anew (needs the public texts in DATA)
	$(BIN)/python bench/calibrate.py
	rm -rf matcher/weights/tagger.npz matcher/weights/ranker.json var/weights
	MATCHER_HOME=var/weights $(BIN)/python bench/tagger.py --data $(DATA)
	MATCHER_HOME=var/weights $(BIN)/matcher train --no-remember --needs $(DATA)/needs/needs.csv \
		--judgements $(DATA)/needs/judgements.csv --out matcher/weights

constraints: ## resolve the dependencies anew and pin them all
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH) && $(BIN)/python -m pip install --quiet -e '.[dev,notebooks,bench]'
	$(BIN)/python -m pip freeze --exclude-editable | sed -E 's/\+cpu$$//' > constraints.txt

clean: ## remove the environment and all caches, not the data
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

# torch's CPU build where the package index offers one: the plain build brings several GB of CUDA libraries.
TORCH := torch==2.13.0

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "需要 Python 3.11 或更新的版本")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install -c constraints.txt $(TORCH)+cpu || $(BIN)/python -m pip install -c constraints.txt $(TORCH)
	$(BIN)/python -m pip install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev,notebooks]'
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install -c constraints.txt -e '.[bench]'
	@touch $@
