# `make` alone lists every target and what it takes (time measured on 2 cores without hardware virtualization).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory --no-builtin-rules

BIN := .venv/bin
PYTEST := $(BIN)/pytest
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

.PHONY: help
help: ## This list | -
	@printf 'Voice Verify %s\n\n' "$$(sed -n 's/^  version: //p' appliance.yml)"
	@printf '  %-14s %-68s %s\n' TARGET 'WHAT IT DOES' 'WHAT IT TAKES'
	@sed -nE 's/^([a-z-]+):[^#]*## (.*) \| (.*)$$/\1|\2|\3/p' $(MAKEFILE_LIST) | \
	  while IFS='|' read -r target does takes; do printf '  %-14s %-68s %s\n' "$$target" "$$does" "$$takes"; done

##@ Build

.PHONY: image
image: deps-image model ## Build the appliance: OVA, raw disks, SBOM in dist/ | root, 12 GB of disk; 6 min, 3 when only the service changed
	@$(BIN)/vvctl image build

.PHONY: model
model: deps-service ## Fetch, check and convert the speaker model into build/model | 90 MB of download; 10 s
	@$(BIN)/vvctl model build

.PHONY: generate
generate: deps-service ## Renew what is derived from appliance.yml | seconds
	@$(BIN)/vvctl config generate

##@ Try

.PHONY: run
run: model ## Start the service from this checkout, print how to enrol and verify | seconds; stops with Ctrl-C
	@scripts/run

.PHONY: boot
boot: deps-boot ## Boot the built appliance in QEMU for you to try | an image; 2 min to ready; stops with Ctrl-C
	@$(BIN)/vvctl boot

##@ Test

.PHONY: test
test: lint test-unit test-contract image test-roles test-image ## Everything below, building the image first | root; 40 min
	@echo 'all tests passed'

.PHONY: lint
lint: deps-test ## ruff, mypy, shellcheck, ansible-lint, yamllint, drift from appliance.yml | 30 s
	@scripts/lint

.PHONY: test-unit
test-unit: deps-test model ## Units: no network, no service | 2 min
	@$(PYTEST) tests/unit

.PHONY: test-contract
test-contract: deps-test model ## The running service against its contract, SQLite and PostgreSQL | 2 min
	@$(PYTEST) tests/contract

.PHONY: test-roles
test-roles: deps-test ## Molecule for every role: converge, idempotence, verify | root; 10 min
	@roles/test-roles.sh

.PHONY: test-image
test-image: deps-test ## Boot the disks out of the OVA and verify real voices | root, an image; 12 min
	@$(PYTEST) tests/image -s

##@ Measure

.PHONY: bench-engine
bench-engine: deps-test model ## Calls a core, latency, memory; options N= calls, SECONDS=, DATABASE=sqlite | 2 quiet cores; 5 min
	@$(BIN)/python -m tests.load $(if $(N),--calls $(N)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(DATABASE),--database $(DATABASE))

.PHONY: bench-accuracy
bench-accuracy: deps-service model ## EER, Cllr, FAR, FRR by net speech; DATA= folder of speaker/recording.wav | recordings; 1 min an hour of them
	@if [[ -z "$(DATA)" ]]; then \
	  echo 'error: no recordings were named' >&2; \
	  echo 'hint: make bench-accuracy DATA=/usr/share/asterisk/sounds, or a folder of speaker/recording.wav' >&2; exit 2; fi
	@$(BIN)/vvctl profile evaluate $(or $(PROFILE),mixed) --data "$(DATA)" --fp32 --html build/reports/accuracy.html --cache build/cache/embeddings

##@ House

.PHONY: lock
lock: deps-service ## Pin the newest allowed versions of all Python packages, with hashes | 10 s
	@$(BIN)/pip install --quiet uv
	@cd requirements && ../$(UV_COMPILE) --upgrade ../app/pyproject.toml -o service.txt
	@cd requirements && ../$(UV_COMPILE) --upgrade ../scripts/pyproject.toml --extra build -c service.txt -o build.txt
	@cd requirements && ../$(UV_COMPILE) --upgrade test.in -c service.txt -c build.txt -o test.txt

.PHONY: clean
clean: ## Remove what was built; keeps .venv and the downloads in build/cache | seconds
	@if [[ -x $(BIN)/vvctl ]]; then $(BIN)/vvctl image clean; fi
	@rm -rf dist build/model build/run

.PHONY: deps-service deps-image deps-boot deps-test
deps-service deps-image deps-boot deps-test: deps-%:
	@scripts/install $*
