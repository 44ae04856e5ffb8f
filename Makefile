.PHONY: help demo test mutants lint rehearse bench sample
VENV ?= .venv
DEMO ?= $(or $(TMPDIR),/tmp)/ml-cicd-demo
GENERATED = {{cookiecutter.project_slug}}
NEEDS = requirements-test.txt $(GENERATED)/requirements.txt
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# cookiecutter copies whatever lies in the project's folder: no caches there
export PYTHONDONTWRITEBYTECODE = 1
export RUFF_NO_CACHE = true
export MYPY_CACHE_DIR = $(CURDIR)/.mypy_cache

help:  ## what there is to say
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

$(VENV)/ready: $(NEEDS)
	python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --disable-pip-version-check -q -r requirements-test.txt
	touch $@

demo: $(VENV)/ready  ## generate a project, train its model, show the scores
	@./demo.sh "$(DEMO)"

test: $(VENV)/ready  ## everything: about a quarter of an hour on two cores
	python -m pytest -q tests -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

mutants: $(VENV)/ready  ## do the shipped unit tests notice a change in the code they test? twenty minutes
	python benchmarks/mutants.py

lint: $(VENV)/ready  ## style, types and YAML, of the template and of what it generates
	ruff check . && ruff format --check .
	cd "$(GENERATED)" && mypy && yamllint .

rehearse: $(VENV)/ready  ## a project's pull request, run here: make rehearse PROJECT=../credit-risk [LABEL=full-train]
	PYTHONPATH=tests python -m workflows.rehearse "$(PROJECT)" $(if $(LABEL),--label "$(LABEL)")

bench: $(VENV)/ready  ## the figures, each beside its reference: a quarter of an hour on a quiet machine
	python benchmarks/run.py

sample:  ## make the sample data anew, byte for byte
	python benchmarks/loans.py 10000 "$(GENERATED)/data/raw/sample.csv"
