#!/usr/bin/env bash
# Formatting, vet, the linters of .golangci.yaml and, where its database can be
# reached, govulncheck.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

golangci=v2.15.0
unformatted=$(gofmt -l $(git ls-files '*.go'))
[ -z "$unformatted" ] || { echo "not formatted: $unformatted" >&2; exit 1; }
go vet ./...
go mod tidy -diff
"$(tool golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint "$golangci")" run ./...
# What api/openapi.json promises, clients of the last release rely on.
"$(oasdiff)" breaking --fail-on WARN api/testdata/openapi-baseline.json api/openapi.json
