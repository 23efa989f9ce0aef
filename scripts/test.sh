#!/usr/bin/env bash
# Runs the given packages' tests with the race detector, on real parts: git,
# Docker, base images made from Debian packages, PostgreSQL.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

need_command gcc gcc
need_command git git
need_command ssh openssh-client
need_command curl curl
need_command mmdebstrap mmdebstrap
need_packages debian-archive-keyring
need_command iptables iptables
need_packages postgresql
need_command ip iproute2
need_command nsenter util-linux
need_command nginx nginx

ca=$(extra_ca)
say "base images"
bin/sky stack ${ca:+--extra-ca "$ca"} node:22 python:3.11 static:1
export SKY_TEST_CA=$ca SKY_TEST_DOCKER=required SKY_TEST_POSTGRES_BIN=${SKY_TEST_POSTGRES_BIN:-required}
SKY_TEST_OASDIFF=$(oasdiff)
export SKY_TEST_OASDIFF
say "tests"
# SQLite's driver is pure Go, which the race detector makes ten times slower: the
# packages that use it most run without on SQLite, and with it on PostgreSQL.
packages=$(go list "$@")
heavy=$(grep -E 'sky/(api|platform)$' <<<"$packages" || true)
light=$(grep -vE 'sky/(api|platform)$' <<<"$packages" || true)
[ -z "$light" ] || CGO_ENABLED=1 go test -race -count=1 -timeout 30m $light
[ -z "$heavy" ] || go test -count=1 -timeout 20m $heavy
say "tests on PostgreSQL"
export SKY_TEST_DATABASE=postgres
CGO_ENABLED=1 go test -race -count=1 -timeout 20m ./api ./platform
CGO_ENABLED=1 go test -race -count=1 -timeout 20m -run 'TestTranscripts/(first-push|first-day|operate|crash)' ./cmd/sky
unset SKY_TEST_DATABASE
say "real apps"
SKY_TEST_APPS=ci scripts/apps.sh
