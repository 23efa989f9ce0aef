#!/usr/bin/env bash
# Runs every benchmark and prints its figures; docs/benchmarks.md keeps the ones
# that we compare with.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

need_command git git
need_command ssh openssh-client
ca=$(extra_ca)
bin/sky stack ${ca:+--extra-ca "$ca"} node:22 go:1.26
export SKY_EXTRA_CA=$ca
say "receive"; go run ./bench/receive
for name in live rollout rest; do
  say "$name"
  go run "./bench/$name" -sky bin/sky
done
