# Every target works on a fresh Debian or Ubuntu machine that has Go and git:
# what else is needed is installed by scripts/.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
DATA     ?= tmp/demo
PACKAGES := ./...

export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/sky
	$(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/sky ./cmd/sky

.PHONY: docker
docker: ## Install and start Docker where it is missing
	@scripts/docker.sh

.PHONY: demo
demo: build docker ## Start Sky here and deploy an example to it by git push
	@DATA=$(DATA) scripts/demo.sh

.PHONY: stop
stop: ## Stop what `make demo` started
	@DATA=$(DATA) scripts/stop.sh

.PHONY: test
test: build docker ## Run all tests, with real git, Docker and PostgreSQL
	@scripts/test.sh $(PACKAGES)

.PHONY: apps
apps: build docker ## Build and run every app of buildpipeline/testdata/apps, the heavy ones too
	@SKY_TEST_APPS=all scripts/apps.sh

.PHONY: lab
lab: build docker ## Play a control plane and three nodes, each with an engine of its own
	@scripts/lab.sh

.PHONY: unit
unit: ## Run the tests that need nothing but Go and git
	CGO_ENABLED=1 $(GO) test -race -short $(PACKAGES)

.PHONY: lint
lint: ## Check formatting, vet, and the rules of .golangci.yaml
	@scripts/lint.sh

.PHONY: bench
bench: build docker ## Measure: scheduler, fleet, ingress, receive, billing, build, live, rollout, neighbour, rest, api, webhook, image; see docs/benchmarks.md
	@scripts/bench.sh

.PHONY: ci
ci: ## All that must pass before a change lands
	@scripts/ci.sh
