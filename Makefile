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
	@printf '  %-20s %-68s %s\n' TARGET 'WHAT IT DOES' 'WHAT IT TAKES'
	@sed -nE 's/^([a-z-]+):[^#]*## (.*) \| (.*)$$/\1|\2|\3/p' $(MAKEFILE_LIST) | \
	  while IFS='|' read -r target does takes; do printf '  %-20s %-68s %s\n' "$$target" "$$does" "$$takes"; done

##@ Build

.PHONY: image
image: deps-image model ## Build OVA, raw disks and SBOM into dist/; LICENCE= packages a licence | root, 12 GB of disk; 6 min, 3 when only the service changed
	@$(BIN)/vvctl image build $(if $(EULA),--eula "$(EULA)") $(if $(LICENCE),--licence "$(LICENCE)")

.PHONY: verify-reproducible
verify-reproducible: deps-image model ## Build the committed image twice and compare the OVAs | root, 16 GB of disk; 8 min
	@$(BIN)/vvctl image reproduce

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
test: lint test-unit test-contract test-media image test-roles test-upgrade-sample test-image ## Everything below, building the image first | root; 65 min
	@echo 'all tests passed'

.PHONY: lint
lint: deps-test ## ruff, mypy, shellcheck, ansible-lint, yamllint, drift from appliance.yml | 30 s
	@scripts/lint

.PHONY: test-unit
test-unit: deps-test model ## Units: no network, no service | 4 min
	@$(PYTEST) -n auto tests/unit

.PHONY: test-contract
test-contract: deps-test model ## The running service against its contract, SQLite and PostgreSQL | 10 min
	@$(PYTEST) -n auto --dist loadgroup tests/contract

.PHONY: test-media
test-media: deps-test model ## Calls of sipp, baresip, Kamailio and a SIPREC source to the running service | root; 4 min
	@$(PYTEST) tests/media

.PHONY: test-asterisk
test-asterisk: deps-test model ## Calls of Asterisk with the configuration that the documentation prints | root, a mirror with sid; 6 min
	@$(PYTEST) tests/asterisk -m asterisk

.PHONY: test-upgrade-sample
test-upgrade-sample: deps-test ## Upgrades on doubles and real machines, a fault at some of their calls | root, an image; 10 min
	@# One worker for each platform and one for the rest: they mostly wait.
	@$(PYTEST) -n 4 --dist loadgroup tests/upgrade -s

.PHONY: test-upgrade
test-upgrade: deps-test ## The same, every fault at every call, and the real appliance | root, an image; hours
	@$(PYTEST) tests/upgrade -s -m 'matrix or not matrix'

.PHONY: test-roles
test-roles: deps-test ## Molecule for every role: converge, idempotence, check mode, verify | root; 15 min
	@roles/test-roles.sh

.PHONY: test-image
test-image: deps-test ## Boot the disks out of the OVA and verify real voices | root, an image; 20 min
	@$(PYTEST) tests/image -s

##@ Measure

.PHONY: bench-engine
bench-engine: deps-test model ## Calls a core, latency, memory; options N= calls, SECONDS=, DATABASE=sqlite | 2 quiet cores; 5 min
	@$(BIN)/python -m tests.load $(if $(N),--calls $(N)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(DATABASE),--database $(DATABASE))

.PHONY: bench-rtp
bench-rtp: deps-test ## Receiving 50 and 150 calls: CPU, loss, exactness on a bad line; option SECONDS= | 2 quiet cores; 4 min
	@$(BIN)/python -m tests.load.rtp $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: bench-calls
bench-calls: deps-test model ## SIP calls with real speech, also over a bad road; options N=, SECONDS=, DATABASE=sqlite | root, 2 quiet cores; 4 min
	@$(BIN)/python -m tests.load.calls $(if $(N),--calls $(N)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(DATABASE),--database $(DATABASE))

.PHONY: bench-publish
bench-publish: deps-test ## Upload to AWS's double, next to a plain S3 upload of the same disk | an image, 3 GB of disk; 2 min
	@$(BIN)/python -m tests.load.publish

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
