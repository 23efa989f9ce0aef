#!/usr/bin/env bash
# Builds the apps of buildpipeline/testdata/apps with their real package
# managers, and asks each running one what its file expects. SKY_TEST_APPS=all
# includes the heavy ones, and SKY_TEST_APPS=ci takes one of each language.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

need_command mmdebstrap mmdebstrap
need_packages debian-archive-keyring
SKY_TEST_CA=$(extra_ca)
export SKY_TEST_CA SKY_TEST_DOCKER=required
bin/sky stack ${SKY_TEST_CA:+--extra-ca "$SKY_TEST_CA"} python:3.11
# Without the race detector: BuildKit races with itself where two stages begin
# from images.
if [ "${SKY_TEST_APPS:-}" = all ]; then
  go test -count=1 -timeout 20m -run 'TestTranscripts/disk$' ./cmd/sky
fi
go test -count=1 -timeout 60m -run 'TestApps|TestNodeWorkspaces|TestLayers|TestBuildsRead|TestRustEdit|TestPackages|TestBuildsAreReproducible|TestStaticAnswers|TestLarge' "$@" ./buildpipeline
