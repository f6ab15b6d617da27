# `make repro` and `make test` first install all they need in .venv: Python 3.11 or newer, pip, git
# and make are enough. Both are quick when there is nothing to do.
PYTHON ?= python3
BIN := .venv/bin
# What is installed, as pyproject.toml names it: tests need more than the pipeline.
EXTRA := pipeline
test bench: EXTRA := dev
READY = .venv/ready-$(EXTRA)
WITH_VENV := PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: repro test studies bench environment moved

repro: environment
	@$(WITH_VENV) fsr-fer repro

test: environment
	@$(WITH_VENV) ruff check src stages tests benchmarks
	@$(WITH_VENV) ruff format --check src stages tests benchmarks
	@$(WITH_VENV) mypy
	@$(WITH_VENV) pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

studies: environment
	@$(WITH_VENV) fsr-fer studies

bench: environment
	@$(WITH_VENV) pip install -q -c constraints.txt opencv-python-headless
	@$(WITH_VENV) pip install -q -c constraints.txt --no-deps resize-right basicsr || true
	@$(WITH_VENV) python benchmarks/resize.py
	@$(WITH_VENV) python benchmarks/cost.py

# Of two started at once in a new folder, one installs, and the other waits for it and finds all there.
# Writing is what a lock on a network's disk needs; the lock goes on to the make that is started.
WAIT := import fcntl, os, sys; \
  mode = os.O_RDWR if os.access("Makefile", os.W_OK) else os.O_RDONLY; \
  makefile = os.open("Makefile", mode); os.set_inheritable(makefile, True); \
  fcntl.flock(makefile, fcntl.LOCK_EX); os.execvp(sys.argv[1], sys.argv[1:])

environment:
	@$(MAKE) --silent --question EXTRA=$(EXTRA) $(READY) 2>/dev/null || \
	  $(PYTHON) -c '$(WAIT)' $(MAKE) --silent EXTRA=$(EXTRA) $(READY)

# The virtual environment follows pyproject.toml and constraints.txt; installing compiles the kernel.
# Python compiles modules when they are first imported, which few of the packages' ever are. Scripts in
# it name its folder: one that was moved or copied with the project is made anew.
ifneq "$(shell cat $(READY) 2>/dev/null)" "$(CURDIR)"
$(READY): moved
endif
moved:
	@test ! -s $(READY) || rm -rf .venv
$(READY): pyproject.toml constraints.txt src/fsr_fer/resize/kernel.c
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@echo "installing the pinned packages into .venv (a few minutes, once)"
	@$(BIN)/python -m pip install -q --no-compile --disable-pip-version-check -c constraints.txt -e '.[$(EXTRA)]'
	@pwd -P > $@
