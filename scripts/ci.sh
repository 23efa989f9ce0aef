#!/usr/bin/env bash
# All that must pass before a change lands, in the order of what fails fastest.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

say "build"; make build
say "lint"; make lint
say "vulnerabilities"; scripts/vuln.sh
say "docker"; make docker
say "test"; make test
say "demo"; scripts/demo-check.sh
