#!/usr/bin/env bash
# Plays what happens on several machines: a control plane and three nodes, each a
# network namespace with a Docker engine of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

need_command ip iproute2
need_command nsenter util-linux
need_command mmdebstrap mmdebstrap
need_packages debian-archive-keyring iptables
ca=$(extra_ca)
bin/sky stack ${ca:+--extra-ca "$ca"} python:3.11
SKY_TEST_DOCKER=required SKY_TEST_CA=$ca go test -count=1 -v -timeout 20m -run 'TestTranscripts/(lab|partition|full-node|builders|exec-nodes|swarm)$' ./cmd/sky
