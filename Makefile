# Every target works from a fresh clone; `make setup` installs what is missing.
.DEFAULT_GOAL := help
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 20s
SOAK_TIME ?= 10m

.PHONY: help setup run test lint bench bench-compare filters filters-check fuzz soak

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what the tests need
	scripts/setup

run: ## build, and serve config.yaml on the embedded broker
	scripts/run

test: ## set up, lint, and run all tests with the race detector
	scripts/test

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(git ls-files '*.go' | xargs gofmt -l); \
	  if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...

bench: ## Go benchmarks: filters, metering, decoding, fan-out
	go test -run '^$$' -bench . -benchmem ./router/... ./plugins/... ./sdk/conformance

bench-compare: ## one policy by a filter and by other means: HTTP hook, CEL, goja, OPA
	cd test/compare && go test -run '^$$' -bench . -benchmem ./...

filters: ## rebuild the bundled filters and the hand-written test guests
	scripts/filters

filters-check: ## rebuild them elsewhere and compare with what is committed
	scripts/filters --check

fuzz: ## run each fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

soak: ## reload a thousand times under load, then SOAK_TIME of hostile filters, and print the figures
	SOAK_TIME=$(SOAK_TIME) go test -count=1 -timeout 2h -v -run Soak ./test/reload
