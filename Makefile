# The commands people type. `make help` lists them; CI calls the same.

.DEFAULT_GOAL := help
SHELL := /bin/bash
CARGO ?= cargo
HARNESS = $(CARGO) run --quiet --package credsmith-harness --bin harness --
# The operator runs as a process beside the harness: both are built first, with progress shown.
BUILD = $(CARGO) build --locked --package credsmith --package credsmith-harness
# For the kill test: a build of its own, which tells the harness what it is about to do.
BUILD_PROBE = $(CARGO) build --locked --features probe --bin credsmith-probe

.PHONY: help demo test lint generate keys drift torture bench bench-operator bench-burst up env down clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## watch the main job happen against a real Kubernetes API server (CONTEXT=name: on that cluster)
	@$(BUILD)
	@$(HARNESS) demo

test: ## run every test, the real API server included
	@$(BUILD)
	@$(BUILD_PROBE)
	@$(HARNESS) tools
	@$(CARGO) test --locked --workspace

lint: ## formatting, clippy, and the ban on a second TLS stack
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@$(CARGO) clippy --locked --features probe --bin credsmith-probe -- -D warnings
	@! $(CARGO) tree --locked --workspace --prefix none --edges normal,build | grep -E '^(ring|openssl-sys) '

generate: ## write again what is generated and checked in: crds/, docs/configuration.md, docs/metrics.md
	@BLESS=1 $(CARGO) test --quiet --locked --package credsmith --lib reference >/dev/null
	@BLESS=1 $(CARGO) test --quiet --locked --package credsmith --test it house >/dev/null
	@git status --short crds charts docs

keys: ## make many keys and let openssl check each (RSA=500 EC=10000)
	@RSA_KEYS=$(or $(RSA),500) EC_KEYS=$(or $(EC),10000) $(CARGO) test --locked --package credsmith --test it keys::bulk -- --nocapture

drift: ## edit thousands of Secrets behind the operator's back and count the repairs (N=2000)
	@$(BUILD)
	@$(HARNESS) drift --secrets $(or $(N),2000)

torture: ## kill the operator under load, again and again, and look for anything lost (KILLS=200, CONTROL=nofsync)
	@$(BUILD)
	@$(BUILD_PROBE)
	@$(HARNESS) torture --kills $(or $(KILLS),200) $(if $(CONTROL),--control $(CONTROL))

bench: ## measure against floors of the same run, in ratios; on a machine at rest
	@$(CARGO) bench --locked --bench store

bench-operator: ## measure the operator's first sync and its quiet against a bare client of the same run (N=2000)
	@$(CARGO) build --locked --release --package credsmith --package credsmith-bench --bin credsmith --bin bench-operator
	@target/release/bench-operator --objects $(or $(N),2000)

bench-burst: ## measure GETs beside 32 RSA keys that are asked for at once, with the pool of keys and without; on a machine at rest
	@$(CARGO) build --locked --release --package credsmith --package credsmith-bench --bin credsmith --bin bench-burst
	@target/release/bench-burst

up: ## start a control plane and the operator, to play with
	@$(BUILD)
	@$(HARNESS) up

env: ## print the exports for it: eval "$(make -s env)"
	@$(HARNESS) env

down: ## end what `make up` started
	@$(HARNESS) down

clean: ## remove what was built from this work tree
	@$(CARGO) clean
