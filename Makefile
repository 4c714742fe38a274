# Two commands on a machine with git, make and python3: `make demo` and `make test`. VENV= names another environment.
PYTHON ?= python3
VENV ?= .venv
DOCS ?= .venv-docs
BIN := $(VENV)/bin

.PHONY: demo test check install-test docs bench clean

demo: $(VENV)/.demo
	$(BIN)/counteract evaluate --out demo

test: $(VENV)/.test # two processes of one thread each: more of either is no faster on two cores, and takes memory
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --max-worker-restart 0

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_captions.py

install-test: # the packages, each in an empty environment
	PYTHON=$(PYTHON) .ci/install

docs: $(DOCS)/.ready
	PYTHONPATH=src NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/python -m mkdocs build --quiet

bench: $(VENV)/.test
	for name in counteraction executions spent adaptive pgd growth compiled arithmetic art_defences table1 train_step; do \
	  $(BIN)/python eval/benchmarks/$$name.py || exit 1; done

clean:
	rm -rf $(VENV) $(DOCS) demo site

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.demo: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[report]'
	touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[test]'
	touch $@ $(VENV)/.demo

$(VENV)/.dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@ $(VENV)/.test $(VENV)/.demo

$(DOCS)/.ready: docs/requirements.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet -r docs/requirements.txt
	touch $@
