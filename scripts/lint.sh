#!/usr/bin/env bash
# Formatting, vet, the linters of .golangci.yaml and, where its database can be
# reached, govulncheck.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

golangci=v2.15.0
tools=$PWD/tmp/tools
mkdir -p "$tools"

# tool installs a Go program at a version, once.
tool() {
  local name=$1 module=$2 version=$3
  [ -x "$tools/$name-$version" ] && return
  say "building $name $version"
  GOBIN=$tools GOFLAGS= go install "$module@$version"
  mv "$tools/$name" "$tools/$name-$version"
}

unformatted=$(gofmt -l $(git ls-files '*.go'))
[ -z "$unformatted" ] || { echo "not formatted: $unformatted" >&2; exit 1; }
go vet ./...
go mod tidy -diff
tool golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint "$golangci"
"$tools/golangci-lint-$golangci" run ./...
