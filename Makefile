# `make demo` and `make test` need only Python 3.11+, make and a package registry.
# Every path is relative, so that a checkout below a folder with spaces works.
PYTHON ?= python3
GPU ?= gpu-cuda12
RUN = .venv/bin/python
VENV = @$(PYTHON) .ci/venv.py

# One thread each: small arrays run no slower, and times do not depend on the machine's other work.
OMP_NUM_THREADS ?= 1
OPENBLAS_NUM_THREADS ?= 1
MKL_NUM_THREADS ?= 1
export OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS

# No window is opened; in JupyterLab and the docs the kernel chooses its own backend.
demo test test-peers bench gpu-check: export MPLBACKEND = Agg

# The index of the course is shown as a page, not as its Markdown; JupyterLab asks no server for news.
tutorials: export JUPYTER_CONFIG_PATH ?= $(CURDIR)/.ci/jupyter

.PHONY: help demo test lint notebooks tutorials docs bench test-peers gpu-check clean

help:  ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## */  make \1 | /p' Makefile | column -t -s '|' 2>/dev/null \
	  || grep '##' Makefile

demo:  ## train EchoMamba4Rec on the built-in log, print its scores, draw the plots
	$(VENV) base
	@$(RUN) -m minimamba demo

test: lint  ## what CI runs: lint, tests, doctests, notebooks, README and docs
	@$(RUN) -m pytest -n 2

lint:
	$(VENV) test
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .

notebooks:  ## write tutorials/*.ipynb anew from tutorials/source/*.md
	$(VENV) test
	@$(RUN) .ci/notebooks.py

tutorials:  ## open the course in JupyterLab
	$(VENV) tutorials
	@$(RUN) -m jupyter lab --notebook-dir=tutorials --LabApp.default_url=/lab/tree/README.md \
	  --LabApp.app_settings_dir=.ci/jupyter

docs:  ## build the site: docs/_build/html/index.html
	$(VENV) docs
	@$(RUN) .ci/mathjax.py
	@$(RUN) -m sphinx -W --keep-going -q -E -a -c docs \
	  -d docs/_build/doctrees . docs/_build/html
	@$(RUN) .ci/crawl.py docs/_build/html
	@echo "open docs/_build/html/index.html"

bench:  ## time the scans beside C and the libraries that are installed; plot time against length
	$(VENV) base
	@$(RUN) -m benchmarks scan
	@$(RUN) -m benchmarks selective
	@$(RUN) -m benchmarks length

test-peers:  ## compare with PyTorch, transformers, mambapy and JAX, which it installs
	$(VENV) test
	$(VENV) peers
	@$(RUN) -m pytest tests/peers

gpu-check:  ## on a machine with a GPU: its tests, then times, in 8 minutes (GPU=gpu-cuda13 for CUDA 13)
	@if $(PYTHON) -c "import cupy, hypothesis, matplotlib, pytest, rich, safetensors" 2>/dev/null; \
	  then $(PYTHON) -m benchmarks gpu-check; \
	  else $(PYTHON) .ci/venv.py test && $(PYTHON) .ci/venv.py $(GPU) && $(RUN) -m benchmarks gpu-check; fi

clean:  ## remove what the other targets made
	rm -rf .venv docs/_build .pytest_cache .ruff_cache build *.egg-info
