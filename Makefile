# Every target works from a fresh clone; `make setup` installs what is missing.
.DEFAULT_GOAL := help
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 20s
SOAK_TIME ?= 10m

.PHONY: help setup run test lint bench bench-growth bench-gc bench-check bench-compare bench-brokers filters filters-check fuzz soak cluster faults

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what the tests need
	scripts/setup

run: ## build, and serve config.yaml on the embedded broker
	scripts/run

cluster: ## Redis, two nodes and nginx in front, on loopback, until Ctrl-C
	scripts/cluster

test: ## set up, lint, and run all tests with the race detector
	scripts/test

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(git ls-files '*.go' | xargs gofmt -l); \
	  if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...

bench: ## Go benchmarks, then whole processes against the least that a server can cost, as ratios (test/performance)
	scripts/bench --raw bin/comparison.jsonl --chart docs/images/floor.svg

bench-growth: ## how costs grow with connections, rooms, members, payload and filters
	scripts/bench --growth --raw bin/growth.jsonl

bench-gc: ## what GOGC and GOMEMLIMIT do to a loaded node
	scripts/bench --gc --raw bin/gc.jsonl

bench-check: ## Go benchmarks against the stored baseline, as information
	scripts/bench-check

bench-compare: ## one policy by a filter and by other means: HTTP hook, CEL, goja, OPA
	cd test/compare && go test -run '^$$' -bench . -benchmem ./...

bench-brokers: ## what a node spends on a message with the embedded broker and on Redis, in one run, and what batching buys
	go test -run '^$$' -bench . -benchtime 5x ./test/brokers
	go test -run '^$$' -bench 'Publish$$' -benchtime 1s ./router/redisbroker

filters: ## rebuild the bundled filters and the hand-written test guests
	scripts/filters

filters-check: ## rebuild them elsewhere and compare with what is committed
	scripts/filters --check

fuzz: ## run each fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

soak: ## reload a thousand times under load, then SOAK_TIME of hostile filters, and print the figures
	SOAK_TIME=$(SOAK_TIME) go test -count=1 -timeout 2h -v -run Soak ./test/reload

faults: ## every fault of Redis and of nodes under load, with and without history, and the gap and duplicate checker
	FAULTS=full go test -count=1 -timeout 3h -v ./test/faults
