# `make lab` opens the book, `make test` holds it to its word; `make help` lists the rest.
PYTHON ?= python3
VENV ?= .venv
CHAPTER ?= 00-flow-at-a-glance
STUDENTS ?= 12
LAB ?=# more flags for JupyterLab: make lab LAB="--no-browser --port=9999"

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
BRING := .ci/bring# what pip cannot: a browser, a database server, a sandbox
INSTALLED := $(VENV)/installed
BENCH := $(VENV)/installed-bench
PARALLEL := -n logical --dist=# on all cores; what shares a file, or a notebook, stays together
OFFLINE = $(if $(shell command -v bwrap),bwrap --dev-bind / / --unshare-net)# the book needs no download

help:  ## this list
	@awk -F ':.*##  *' '/^[a-z-]+:.*##/ { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED)  ## .venv with the pinned packages; once, and again when they change

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; (3, 11, 4) <= sys.version_info < (3, 14) or sys.exit( \
	    "$(PYTHON) is %d.%d.%d; expected 3.11.4 to 3.13: try make setup PYTHON=python3.12" % sys.version_info[:3])'
	@PYTHON=$(PYTHON) $(BRING) venv
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -c constraints.txt -e '.[lab,test]'
	jupyter labextension disable --level=sys_prefix @jupyterlab/apputils-extension:announcements  # versions are pinned
	@touch $@

lab: setup  ## JupyterLab on chapter 0; formgrader and the assignment list are in its menu Nbgrader
	jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) \
	    --LabApp.default_url=/lab/tree/chapters/$(CHAPTER)/$(CHAPTER).ipynb $(LAB)

test:  ## every part, two at a time, whatever fails on the way; each is shown when it is done
	@$(MAKE) --no-print-directory --jobs=2 setup tools
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target BRING=: \
	    lint unit notebooks types in-sync browser
	@echo "all parts passed"

tools:
	@$(BRING) bubblewrap chromium postgresql

lint: setup  ## ruff
	ruff check .
	ruff format --check -q .

types: setup  ## mypy
	mypy

unit: setup  ## unit tests and doctests
	@$(BRING) bubblewrap postgresql
	pytest -q -m forks $$(grep -rl mark.forks tests)
	pytest -q $(PARALLEL)loadfile -m 'not forks' --ignore=tests/notebooks --ignore=tests/browser

notebooks: setup  ## every chapter's stored outputs against a fresh run, with the network cut off
	@$(BRING) bubblewrap
	$(OFFLINE) pytest -q $(PARALLEL)loadscope tests/notebooks --nbval --nbval-current-env solutions/*/*.ipynb

in-sync: setup  ## chapters/ against a fresh release of solutions/
	autograde release --check

browser: setup  ## every page, all widgets, formgrader and the assignment list in headless Chromium
	@$(BRING) chromium
	pytest -q tests/browser

pythons:  ## the unit tests on each Python from 3.11 to 3.13 that this machine has
	.ci/pythons

release: setup  ## chapters/ from solutions/
	autograde release

class: setup  ## a simulated class, from release to report
	@$(BRING) bubblewrap
	autograde release
	autograde simulate $(STUDENTS)
	autograde grade
	autograde feedback
	autograde report

bench: setup $(BENCH)  ## benchmarks against peers, as ratios
	@for script in $$(grep -l __main__ bench/*.py); do echo "== $$script"; python "$$script" || exit 1; done

bench-gpu: setup $(BENCH)  ## the same on a CUDA device: memory, predicted and measured, and speed against peers
	@python bench/gpu_memory.py
	@if python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
	    python bench/models.py --device cuda --how eager compiled; fi

$(BENCH): pyproject.toml constraints.txt
	$(VENV)/bin/python -m pip install -c constraints.txt -e '.[lab,test,bench]'
	@touch $@

.PHONY: help setup lab test tools lint types unit notebooks in-sync browser pythons release class bench bench-gpu
