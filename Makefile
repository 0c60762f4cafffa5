# make demo | make test | make lint: each works alone from a fresh clone.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
STAMPS := $(VENV)/.stamps
PIN = $$(grep -E '^$(1)==' requirements.txt)
# The package is installed, not linked: mim looks for the shipped tools beside the installed files.
SOURCES := setup.py pyproject.toml README.md $(shell find dynaseg configs tools -type f -not -name '*.pyc')

# Set MMCV_CUDA=1 to compile MMCV's CUDA kernels too (DynaSeg uses none of them; a CUDA toolkit
# matching torch's is needed) and MMCV_CFLAGS= to compile its CPU operators with optimisation.
MMCV_CUDA ?= 0
MMCV_CFLAGS ?= -O0 -g0

export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help install demo test check-gpu lint docs clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

$(STAMPS)/venv:
	@PYTHON='$(PYTHON)' bash scripts/make_venv.sh $(VENV)
	$(PIP) install --quiet --upgrade pip "$$(grep -E '^setuptools' requirements.txt)" wheel ninja psutil
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/torch: $(STAMPS)/venv
	@echo 'Installing PyTorch (about 3 GB the first time)'
	$(PIP) install --quiet $(call PIN,torch) $(call PIN,torchvision)
	@touch $@

$(STAMPS)/mmcv: $(STAMPS)/torch
	@bash scripts/build_mmcv.sh $(BIN)/python "$(call PIN,mmcv-full)" $(MMCV_CUDA) "$(MMCV_CFLAGS)"
	@touch $@

$(STAMPS)/requirements: requirements.txt requirements-dev.txt $(STAMPS)/mmcv
	$(PIP) install --quiet -r requirements.txt -r requirements-dev.txt
	@touch $@

$(STAMPS)/dynaseg: $(SOURCES) $(STAMPS)/requirements
	@rm -rf build
	$(PIP) install --quiet --no-deps --no-build-isolation --force-reinstall .
	@rm -rf build
	@touch $@

install: $(STAMPS)/dynaseg ## Install everything into .venv

demo: install ## Train and test on sample data, segment two photographs
	@PATH="$(abspath $(BIN)):$$PATH" bash scripts/demo.sh

test: export OMP_NUM_THREADS = 1
test: install ## Run the tests, file by file, in two processes
	@PATH="$(abspath $(BIN)):$$PATH" python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

check-gpu: install ## Test, train and time on the GPUs of this machine, if it has any
	@PATH="$(abspath $(BIN)):$$PATH" python benchmarks/check_gpu.py

docs: $(STAMPS)/requirements ## Build the site of the docs into work_dirs/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

lint: $(STAMPS)/requirements ## Check style with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean: ## Remove the environment and everything that was built
	rm -rf $(VENV) build *.egg-info
