# Everything is set up below .venv/ and build/, and only what is out of date is made again.
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2
# A file stays with one worker, and short ones come last, so that all end together.
PYTEST := $(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder
EXT_SOURCES := $(wildcard ext/*.pyx ext/*.pxd)
# Another setting or another setup.py translates and compiles everything again.
FLAVOUR := build/flavour-$(HEADRACE_DEBUG)-$(HEADRACE_NATIVE)
FORCE = $(if $(wildcard build/ext.stamp),$(if $(filter setup.py $(FLAVOUR),$?),--force))

.PHONY: help build test lint docs demo debug soak bench micro performance performance-live node-clients dist clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: build/ext.stamp ## Make .venv, install Headrace into it, build the extensions

test: lint ## Lint, then run all tests but the soak
	$(PYTEST)

lint: build ## Check style, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: build ## Write the pages that are made of declarations and of the names of tests
	PYTHONPATH=tests/support $(BIN)/python -m write_pages

demo: demo/audience ## Make a sample audience, dry-run the example flow on it, write report.html
	$(BIN)/headrace simulate examples/welcome.yaml --audience demo/audience \
		--responses examples/responses.yaml --from 2026-04-15 --until 2026-06-15 \
		--horizon 2026-06-30 --html demo/report.html --json demo/report.json
	@echo
	@echo "Open demo/report.html in a browser. Then try:"
	@echo "  - change a wait or a weight in examples/welcome.yaml and run 'make demo' again"
	@echo "  - $(BIN)/headrace simulate examples/win-back.yaml --audience demo/audience"
	@echo "  - add '--trace c00000001' to see one customer's story, '--replicates 20' for intervals"
	@echo "  - your own customers: the README's five-minute tour imports a CSV"

demo/audience: | build
	$(BIN)/headrace sample demo/audience

debug: build ## Test ext with bounds checks and assertions compiled in
	HEADRACE_DEBUG=1 $(BIN)/python setup.py --quiet build --build-base build/debug --build-lib build/debug/lib
	PYTHONPATH=build/debug/lib $(BIN)/pytest tests/ext

soak: build ## Run the long forms of the tests
	$(BIN)/pytest -m soak --hypothesis-profile=soak

# The groups that ARGS may name are the dry run's; LIVE_ARGS says how the live engine is measured.
LIVE_ARGS ?= $(filter --quick,$(ARGS))

bench: build ## Measure speed beside rivals: tables, results in bench/results, plots (ARGS=--quick: a try)
	$(BIN)/python -m bench $(ARGS); met=$$?; \
		$(if $(filter --only,$(ARGS)),,$(BIN)/python -m bench.live $(LIVE_ARGS) || met=1; \
		$(BIN)/python -m bench.micro.catalogue $(if $(filter --quick,$(ARGS)),--short) || met=1;) exit $$met

micro: build ## Compare the micro-benchmarks with their baseline (ARGS=store: write it anew)
	$(BIN)/python -m bench.micro $(or $(ARGS),compare)

# A missed bar is told on the page as well; where nothing was measured there is no page.
performance: build ## Measure all of it, profile, and write docs/performance.md (needs Linux, valgrind)
	rm -f bench/results/latest.json
	-$(BIN)/python -m bench $(ARGS)
	$(BIN)/python -m bench.page

performance-live: build ## Measure the live engine in full, and write docs/performance-live.md (needs Linux)
	rm -f bench/results/live.json
	-$(BIN)/python -m bench.live $(or $(LIVE_ARGS),--long)
	$(BIN)/python -m bench.live.page

node-clients: ## Install the libraries for Node.js that tests connect with (needs npm)
	npm ci --prefix tests/api/http/node --no-audit --no-fund

dist: build ## Make sdist and wheel, and test the wheel in an environment of its own
	JOBS=$(JOBS) .ci/wheel

clean: ## Remove what builds and tests leave behind, but for .venv
	rm -rf build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f ext/*.so
	find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/venv.stamp:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(f"Headrace needs Python 3.11 or later, but $(PYTHON) is {v[0]}.{v[1]}: run make PYTHON=/path/to/python3.11" if v < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	touch $@

# A new pyproject.toml reinstalls; a new setup.py only builds again.
.venv/install.stamp: .venv/venv.stamp pyproject.toml
	$(BIN)/python -m pip install --quiet --group test
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --no-build-isolation --editable .
	touch $@

build/ext.stamp: .venv/install.stamp setup.py $(EXT_SOURCES) $(FLAVOUR)
	$(BIN)/python setup.py --quiet build_ext --inplace $(FORCE)
	touch $@

$(FLAVOUR):
	@mkdir -p build && rm -f build/flavour-* && touch $@
