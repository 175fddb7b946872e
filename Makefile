# Set-up, demonstration and checks. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

PYTHON ?= python3.11
VENV ?= .venv
TORCH ?= 2.13.0
DATA ?= $(if $(NAPARI_LESION_DATA),$(NAPARI_LESION_DATA)/data)
INPUT ?= resources/sample/lidc_0314_part.nii.gz
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Linux without an NVIDIA GPU: the CPU build of torch, without the CUDA libraries. `make TORCH_INDEX= ...` takes PyPI's.
ifeq ($(shell uname -s),Linux)
ifeq ($(shell command -v nvidia-smi),)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
endif
endif
TORCH_INDEX ?=

# Without a display, windows open on a virtual one.
ON_DISPLAY = $(if $(DISPLAY)$(WAYLAND_DISPLAY),,$(if $(filter Linux,$(shell uname -s)),xvfb-run -a -s "-screen 0 1920x1080x24"))

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "make %-16s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt hatch_build.py
	bash scripts/environment.sh "$(PYTHON)" "$(VENV)" "$(TORCH)" "$(TORCH_INDEX)"
	touch $@

.PHONY: environment
environment: $(READY) ## Create .venv with the pinned versions (done once)

.PHONY: system-libraries
system-libraries: ## Check the system libraries that Qt needs; install them when root on Debian or Ubuntu
	@bash scripts/system_libraries.sh

.PHONY: demo
demo: system-libraries $(READY) ## Open napari on the sample study, detect, show overlay and table
	$(BIN)/napari-lesion demo

.PHONY: test
test: system-libraries $(READY) lint types contracts docs unit ## Everything that must pass

.PHONY: lint
lint: $(READY) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(READY) ## mypy, strict
	$(BIN)/mypy

.PHONY: contracts
contracts: $(READY) ## import-linter: which package may import which
	$(BIN)/lint-imports

.PHONY: docs
docs: $(READY) ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.PHONY: unit
unit: system-libraries $(READY) ## pytest: unit, property, viewer and real-data tests
	$(ON_DISPLAY) $(BIN)/python -m pytest

.PHONY: benchmarks
benchmarks: system-libraries $(READY) ## Run every benchmark; each prints its figures: make benchmarks INPUT=/a/study
	for script in benchmarks/*.py; do \
	    echo "== $$script"; \
	    input=""; if grep -q '"--input"' "$$script"; then input=1; fi; \
	    $(ON_DISPLAY) $(BIN)/python "$$script" $${input:+--input "$(INPUT)"}; \
	done

.PHONY: train-nodules
train-nodules: $(READY) ## Train the lung nodule model: make train-nodules DATA=/folder (docs/training.md)
	@[ -n "$(DATA)" ] || { echo "Say where the training data is: make train-nodules DATA=/folder (docs/training.md)" >&2; exit 2; }
	$(BIN)/python -m napari_lesion.training.detector.reproduce --data "$(DATA)" --out runs/lung_nodule_ct

.PHONY: train-classifier
train-classifier: $(READY) ## Train the nodule classifier: make train-classifier DATA=/folder
	@[ -n "$(DATA)" ] || { echo "Say where the training data is: make train-classifier DATA=/folder (docs/training.md)" >&2; exit 2; }
	$(BIN)/python -m napari_lesion.training.classifier.networks --data "$(DATA)" --out runs/lung_nodule_classifier --nested
	$(BIN)/python -m napari_lesion.training.classifier.cross_validate --data "$(DATA)" --run runs/lung_nodule_classifier \
	    --nested --out runs/lung_nodule_classifier/nested.json
	$(BIN)/python -m napari_lesion.training.classifier.bundle --data "$(DATA)" --run runs/lung_nodule_classifier \
	    --figures runs/lung_nodule_classifier/nested.json --out runs/lung_nodule_classifier/bundle

.PHONY: train-brain
train-brain: $(READY) ## Train and measure the brain FLAIR model: make train-brain DATA=/folder (docs/training.md)
	@[ -n "$(DATA)" ] || { echo "Say where the training data is: make train-brain DATA=/folder (docs/training.md)" >&2; exit 2; }
	$(BIN)/python -m napari_lesion.training.brain.reproduce --data "$(DATA)" --out runs/brain

.PHONY: clean
clean: ## Remove what the build and the checks leave behind (not .venv)
	rm -rf build dist site demo-output .pytest_cache .mypy_cache* .ruff_cache .hypothesis .import_linter_cache
