#!/usr/bin/env bash
# Runs every benchmark and prints its figures; docs/benchmarks.md keeps the ones
# that we compare with.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

need_command git git
need_command ssh openssh-client
ca=$(extra_ca)
bin/sky stack ${ca:+--extra-ca "$ca"} node:22 go:1.26 python:3.11
export SKY_EXTRA_CA=$ca
need_packages postgresql
say "scheduler"; go run ./bench/scheduler
say "fleet"; go run ./bench/fleet
say "ingress"; go test ./agent/ingress -run '^$' -bench Counting -count 10
say "receive"; go run ./bench/receive
say "billing"; go run ./bench/billing
say "build"; go run ./bench/build
for name in live rollout neighbour rest api webhook image; do
  say "$name"
  go run "./bench/$name" -sky bin/sky
done
