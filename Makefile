# Retort's commands. `make help` lists them. Everything lands in .venv and in folders that git ignores.
SHELL := bash
.DEFAULT_GOAL := help
VENV ?= .venv
PY := $(VENV)/bin/python
PYTHON ?= python3
# A CUDA machine: `make TORCH=torch demo` takes the newest build for its GPU instead.
TORCH ?= torch==2.13.0
TORCHVISION ?= torchvision==0.28.0
export TORCH TORCHVISION PYTHON
# Two environments in one folder: what `make demo` needs, and that with the tests' and checks' tools.
INSTALLED := $(VENV)/.installed
RUNS := $(if $(wildcard $(INSTALLED)),$(INSTALLED),$(VENV)/.runs)
PYTEST := $(PY) -m pytest

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20

# ---- environment

$(VENV)/.runs: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Retort needs Python 3.11 or newer; set PYTHON=")'
	scripts/environment $(VENV) run
	touch $@

$(INSTALLED): pyproject.toml constraints.txt constraints-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Retort needs Python 3.11 or newer; set PYTHON=")'
	scripts/environment $(VENV) dev
	touch $@

.PHONY: env
env: $(RUNS) ## make .venv with what serving, training and the client need

.PHONY: env-dev
env-dev: $(INSTALLED) ## make .venv with the tools of tests and checks too

.PHONY: clean
clean: ## remove what the commands made, the environment included
	rm -rf $(VENV) retort-data demo-output build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

# ---- dashboard

WEB := web/dist/index.html
# Without npm, or where it hangs, the service runs all the same, without its dashboard.
$(WEB): web/package.json web/package-lock.json $(shell find web/src web/public web/index.html -type f 2>/dev/null)
	@scripts/dashboard

.PHONY: web
web: $(WEB) ## build the dashboard, which `retort serve` then shows at /ui/

.PHONY: web-types
web-types: $(INSTALLED) $(WEB) ## take over a changed API: the OpenAPI document and the types made of it
	PYTHONPATH=. $(PY) web/scripts/openapi.py
	cd web && npm run --silent types

.PHONY: test-mlflow
test-mlflow: $(INSTALLED) ## publishing to a real MLflow server, in an environment of its own (.mlflow)
	@test -x .mlflow/bin/mlflow || { $(PY) -m venv .mlflow && .mlflow/bin/pip install -q 'mlflow[auth]>=3.1,<4'; }
	RETORT_MLFLOW_SERVER=$(CURDIR)/.mlflow/bin/mlflow $(PY) -m pytest -q tests/publishing/test_mlflow.py

.PHONY: test-wandb
test-wandb: $(INSTALLED) ## offline runs read by the real client of Weights & Biases, in an environment of its own (.wandb)
	@test -x .wandb/bin/wandb || { $(PY) -m venv .wandb && .wandb/bin/pip install -q 'wandb>=0.31,<1'; }
	RETORT_WANDB=$(CURDIR)/.wandb/bin/wandb $(PY) -m pytest -q tests/publishing/test_wandb.py

.PHONY: web-test
web-test: $(WEB) ## component tests of the dashboard
	cd web && npm test

.PHONY: e2e
e2e: $(INSTALLED) $(WEB) ## the dashboard in a real browser against the real service
	@scripts/system-packages chromium
	PYTHON=$(abspath $(PY)) node --test --test-concurrency=1 tests/e2e/*.test.mjs

.PHONY: screenshots
screenshots: $(INSTALLED) $(WEB) ## pictures of every page, light and dark, into docs/images
	@scripts/system-packages chromium
	PYTHON=$(abspath $(PY)) node tests/e2e/screenshots.mjs

# ---- the two commands

.PHONY: demo
demo: $(RUNS) $(WEB) ## train a teacher on Fashion-MNIST, distil it, compare; all over the HTTP API
	@scripts/system-packages dataset-fashion-mnist
	$(VENV)/bin/retort demo

# Each job of a test is a process of its own: where Python may write no bytecode, each would compile what it imports.
SUITE := env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(PYTEST) -n 3 --dist loadscope --no-loadscope-reorder

.PHONY: test
test: $(INSTALLED) ## the test suite (real Postgres, Redis and S3 server; under 15 minutes on 2 cores)
	@scripts/system-packages postgresql redis-server docker-registry dataset-fashion-mnist
	$(SUITE) -m "not long and not slow and not gpu" $(ARGS)

.PHONY: test-long
test-long: $(INSTALLED) ## whole jobs through the service, each in a process of its own (about as long again)
	@scripts/system-packages postgresql redis-server docker-registry dataset-fashion-mnist
	$(SUITE) -m "long and not slow and not gpu" $(ARGS)

# ---- checks

.PHONY: lint
lint: $(INSTALLED) ## ruff: style and format; no conflict of a merge left anywhere
	! git grep -nE '^(<{7}|>{7}) '
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

.PHONY: types
types: $(INSTALLED) ## mypy, strict
	$(PY) -m mypy

.PHONY: imports
imports: $(INSTALLED) ## import-linter: arrows one way
	$(VENV)/bin/lint-imports

.PHONY: migrations
migrations: $(INSTALLED) ## migrations bring an empty database to exactly the tables in the code
	scripts/check-migrations

.PHONY: check
check: lint types imports migrations ## all static checks

.PHONY: test-slow
test-slow: $(INSTALLED) ## sweeps and measurements that take minutes
	@scripts/system-packages postgresql redis-server dataset-fashion-mnist
	OMP_NUM_THREADS=2 $(PYTEST) -m "slow and not gpu and not executorch and not gguf and not ray" --ignore tests/faults $(ARGS)

.PHONY: test-executorch
test-executorch: $(INSTALLED) ## the format `executorch`, in an environment that adds its packages to this one
	test -x .venv-executorch/bin/python || $(PY) -m venv .venv-executorch
	$(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $$(echo .venv-executorch/lib/python3.*/site-packages)/retort.pth
	.venv-executorch/bin/python -c 'import executorch' 2>/dev/null || .venv-executorch/bin/python -m pip install -q -c constraints.txt 'executorch>=1.5,<2'
	OMP_NUM_THREADS=1 PYTHONPATH=. .venv-executorch/bin/python -m pytest -m executorch tests/exports tests/tasks/test_exports.py $(ARGS)

.PHONY: test-gguf
test-gguf: $(INSTALLED) ## the formats of decoders for llama.cpp, in an environment that adds its packages to this one
	test -x .venv-gguf/bin/python || $(PY) -m venv .venv-gguf
	$(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $$(echo .venv-gguf/lib/python3.*/site-packages)/retort.pth
	.venv-gguf/bin/python -c 'import gguf, xllamacpp' 2>/dev/null || .venv-gguf/bin/python -m pip install -q -c constraints.txt 'gguf>=0.19,<1' 'xllamacpp>=2026.10,<2027'
	OMP_NUM_THREADS=1 PYTHONPATH=. .venv-gguf/bin/python -m pytest -m gguf tests/exports $(ARGS)

.PHONY: test-ray
test-ray: $(INSTALLED) ## jobs on several hosts: a local Ray cluster, in an environment that adds Ray to this one
	@scripts/system-packages postgresql redis-server
	test -x .venv-ray/bin/python || $(PY) -m venv .venv-ray
	$(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $$(echo .venv-ray/lib/python3.*/site-packages)/retort.pth
	.venv-ray/bin/python -c 'import ray' 2>/dev/null || .venv-ray/bin/python -m pip install -q -c constraints.txt 'ray>=2.50,<3'
	PATH="$(abspath $(VENV))/bin:$$PATH" OMP_NUM_THREADS=1 PYTHONPATH=. .venv-ray/bin/python -m pytest -m ray tests/cluster $(ARGS)

.PHONY: faults
faults: $(INSTALLED) ## break things: kills, stops, lost commits, full disks, lying stores
	@scripts/system-packages postgresql redis-server
	OMP_NUM_THREADS=1 $(PYTEST) -n 2 -m slow tests/faults $(ARGS)

.PHONY: soak
soak: $(INSTALLED) ## MINUTES=30 of mixed load and random kills: nothing lost, memory flat; figures into benchmarks/results
	@scripts/system-packages postgresql redis-server
	MINUTES=$(or $(MINUTES),30) WRITE=1 $(PYTEST) -s -m slow tests/soak/endurance.py $(ARGS)

.PHONY: test-gpu
test-gpu: $(INSTALLED) ## tests that need a CUDA device
	$(PYTEST) -m gpu $(ARGS)

.PHONY: fuzz-api
fuzz-api: $(INSTALLED) ## schemathesis against the live service in both storage modes (its own environment)
	@scripts/system-packages postgresql
	test -x .venv-schemathesis/bin/schemathesis || { $(PYTHON) -m venv .venv-schemathesis && .venv-schemathesis/bin/pip install -q schemathesis; }
	RETORT_REQUIRE_SERVICES=1 $(PYTEST) -m slow tests/api/test_schemathesis.py $(ARGS)

# ---- containers

# Another engine: `make compose-test COMPOSE="... compose" DOCKER="... docker"`.
COMPOSE ?= docker compose
DOCKER ?= $(firstword $(COMPOSE))

.PHONY: compose-test
compose-test: $(INSTALLED) ## docker-compose.yml for real: main job from outside, kills, upgrade, scale, backup (builds images)
	@$(COMPOSE) version >/dev/null 2>&1 || { echo "There is no '$(COMPOSE)' here: install Docker with Compose v2.24 or newer, or set COMPOSE=." >&2; exit 2; }
	RETORT_COMPOSE="$(COMPOSE)" RETORT_DOCKER="$(DOCKER)" $(PYTEST) -x -m slow tests/compose $(ARGS)

FUZZ_SECONDS ?= 120
FUZZ_HARNESSES := safetensors_header pickles torch_files shards

.PHONY: fuzz
fuzz: ## atheris: every harness of tests/fuzz for FUZZ_SECONDS (120), in an environment of its own
	test -x .venv-atheris/bin/python || $(PYTHON) -m venv .venv-atheris
	.venv-atheris/bin/python -c 'import atheris' 2>/dev/null || .venv-atheris/bin/pip install -q atheris numpy
	@mkdir -p .cache; set -o pipefail; for name in $(FUZZ_HARNESSES); do \
		echo "== $$name, $(FUZZ_SECONDS) s"; \
		.venv-atheris/bin/python tests/fuzz/$$name.py -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 2>&1 \
			| tee .cache/fuzz.log | grep -E '^(stat::number_of_executed_units|Done|==.*ERROR|SUMMARY)' \
			|| { cat .cache/fuzz.log; exit 1; }; \
		if grep -qE 'ERROR: libFuzzer|Uncaught Python exception' .cache/fuzz.log; then cat .cache/fuzz.log; exit 1; fi; \
	done; rm -f .cache/fuzz.log

.PHONY: gpu-check
gpu-check: $(INSTALLED) ## in 8 minutes on one GPU: modes, masks, memory, two slots, tests; a table in benchmarks/results
	PYTHON=$(PY) scripts/gpu-check $(ARGS)

# ---- benchmarks

.PHONY: bench-quality
bench-quality: $(INSTALLED) ## the Q metric against a row loop and the bare matrix product
	$(PY) -m benchmarks.quality.speed $(ARGS)

.PHONY: bench-api
bench-api: $(INSTALLED) ## requests/s, p95 and SSE delay of the API over Postgres with 10,000 jobs (loopback, about 2 minutes)
	@scripts/system-packages postgresql
	$(PY) -m benchmarks.api $(ARGS)

.PHONY: bench-export
bench-export: $(INSTALLED) ## exported students: accuracy and latency of every format beside torch eager (Fashion-MNIST)
	$(PY) -m benchmarks.export $(ARGS)

.PHONY: bench-predict
bench-predict: $(INSTALLED) ## how soon finished students answer, by task: cold, warm p50 and p95 (about 5 minutes)
	$(PY) -m benchmarks.predict $(ARGS)

.PHONY: bench-studies
bench-studies: $(INSTALLED) ## what a study costs beside its trials: a step of 1,000 tiny trials, a table of 10,000 (Postgres, about 5 minutes)
	@scripts/system-packages postgresql
	$(PY) -m benchmarks.studies $(ARGS)

.PHONY: study-cifar10
study-cifar10: $(INSTALLED) ## DATA=folder: the best student under 60 kB for CIFAR-10's JPEG copy; hours, goes on where it was interrupted
	@test -n "$(DATA)" || { echo "NOT RUN: DATA=folder with cifar10-jpeg/train.parquet and test.parquet is needed."; exit 1; }
	$(VENV)/bin/retort study --file benchmarks/studies/cifar10-60kb.json --data "$(DATA)" --output .cache/studies/cifar10 $(ARGS)

.PHONY: report-study
report-study: $(INSTALLED) ## the long study's pictures, from the lines of benchmarks/results/study-long.jsonl
	$(PY) -m benchmarks.study.figures --images .cache/study $(ARGS)

.PHONY: bench-train
bench-train: $(INSTALLED) ## images/s of training: student alone, live teacher, cached targets, naive loop
	$(PY) -m benchmarks.train $(ARGS)

.PHONY: bench-data
bench-data: $(INSTALLED) ## images/s of a core from JPEGs to crops: ours, timm's and torchvision's loaders, bare decoders (about 2 minutes)
	$(PY) -m benchmarks.data $(ARGS)

.PHONY: bench-data-large
bench-data-large: $(INSTALLED) ## the same of 2 and 12 megapixels, decoded whole and smaller, and by how much their crops differ (about 5 minutes)
	$(PY) -m benchmarks.data.large $(ARGS)
	$(PY) -m benchmarks.data.differences

.PHONY: bench-text
bench-text: $(INSTALLED) ## sequences/s of distilling language models: alone, live, cached, transformers' plain loop
	$(PY) -m benchmarks.text.speed $(ARGS)
