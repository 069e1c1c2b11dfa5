# make demo   set up, then run both tasks on the embedded model and room; look at demo/index.html
# make test   set up, then everything CI runs: linters, import contract, types, tests (which build the site, strictly)
# make docs   set up, then build the documentation site into site/; open site/index.html
#
# On a machine with an NVIDIA GPU: make demo TORCH=torch  (PyPI's build brings CUDA). Without one, PyPI's plain
# torch brings several GB of CUDA packages all the same: pass the CPU build your index has.

TORCH ?= torch==2.13.0
TORCHVISION ?= torchvision==0.28.0
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= auto
DIST ?= loadfile
BIN := $(VENV)/bin

.PHONY: demo test setup setup-dev lint types unit docs clean

demo: setup
	$(BIN)/video4spatial demo --out demo

test: setup-dev lint types unit

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup-dev
	$(BIN)/pyright --pythonpath $(BIN)/python

# one worker a core, each with one thread: two workers that take every core each are slower than one
unit: setup-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist $(DIST)

docs: setup-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

setup: $(VENV)/.installed
setup-dev: $(VENV)/.installed-dev

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet "$(TORCH)"
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --editable ".[dev]"
	@# apart: beside a CPU torch PyPI's torchvision cannot be imported, and breaks diffusers; one test knows a way
	$(BIN)/pip install --quiet --no-deps --upgrade --target $(VENV)/torchvision "$(TORCHVISION)"
	touch $@

clean:
	rm -rf $(VENV) demo site
