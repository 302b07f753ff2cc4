# Every target works alone on a fresh clone: it makes .venv and installs what it needs first, once.
# Needs: Python 3.11 to 3.14 with venv and pip, and coreutils.

VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
BENCHMARKS ?= $(wildcard benchmarks/[a-z]*.py)
CHOOSE := for p in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null \
	&& echo $$p && exit; done
PYTHON ?= $(shell $(CHOOSE))

.PHONY: setup demo test interop fuzz oldest lint types docs bench lock clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

setup: $(VENV)/.ready
	@echo "Ready. Type: $(BIN)/mainstay demo"

demo: $(VENV)/.ready
	$(BIN)/mainstay demo

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

# Installs the real TensorBoard, TensorFlow, PyTorch, model_signing and a browser, in places of their own; `make test` then
# compares with them.
interop: $(VENV)/.ready-dev
	$(BIN)/python tools/interop_env.py tensorboard tensorflow model-signing serving
	$(BIN)/python tools/rival_env.py torch
	tools/install_chromium.sh

# The C library's parsers on made-up input, guided by coverage, under the sanitizers, and the server's gRPC port on damaged
# conversations and requests; each for so many seconds.
FUZZ_SECONDS ?= 5
fuzz: $(VENV)/.ready-dev
	tools/install_clang.sh
	$(BIN)/python tools/fuzz.py --seconds $(FUZZ_SECONDS)
	$(BIN)/python tools/fuzz_http2.py --seconds $(FUZZ_SECONDS)
	$(BIN)/python tools/fuzz_grpc.py --seconds $(FUZZ_SECONDS)

# The programming model on the oldest JAX that pyproject.toml admits.
oldest: $(VENV)/.ready-dev
	$(BIN)/python tests/interop/oldest_jax.py

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-dev
	$(BIN)/mypy

docs: $(VENV)/.ready-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python tools/check_site.py site

bench: $(VENV)/.ready-bench
	$(BIN)/python tools/rival_env.py
	$(BIN)/python tools/rival_env.py serving
	tools/install_load_tools.sh
	@set -e; for file in $(BENCHMARKS); do echo "== $$file"; $(BIN)/python $$file; done

lock: $(VENV)/.ready-lock
	$(BIN)/python tools/pins.py lock $(if $(UPGRADE),--upgrade)

clean:
	rm -rf $(VENV) .venv-* .interop .fuzz site dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# pip verifies every file against the hashes of constraints.txt; the project itself is installed without dependencies.
INSTALL = $(BIN)/python tools/pins.py select $(1) > $(VENV)/requirements.txt \
	&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/requirements.txt \
	&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . \
	&& touch $@

# The C library is compiled when the project is installed, where there is a compiler.
NATIVE := hatch_build.py tools/build_native.py $(wildcard src/mainstay/core/native/*.[ch])

$(VENV)/.ready: $(VENV)/.made pyproject.toml constraints.txt tools/pins.py $(NATIVE)
	@echo "Installing into $(VENV) ..."
	@$(call INSTALL,)

$(VENV)/.ready-%: $(VENV)/.made pyproject.toml constraints.txt tools/pins.py $(NATIVE)
	@echo "Installing into $(VENV), with what '$*' needs ..."
	@$(call INSTALL,$*)

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.14 with venv and pip was found; name one: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@
