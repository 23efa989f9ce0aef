#!/usr/bin/env bash
# Runs the quick start twice, as a newcomer would, and stops it again. It uses
# ports of its own, so that it disturbs no Sky that runs here.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

export DATA=tmp/demo-check SKY_HTTP=127.0.0.1:18080 SKY_SSH=127.0.0.1:12222 SKY_INGRESS=127.0.0.1:18000
# finish leaves nothing: no container, no image, no data.
finish() {
  SKY_URL="http://$SKY_HTTP" SKY_TOKEN=$(cat "$DATA/data/admin-token") bin/sky apps destroy hello --confirm hello || true
  scripts/stop.sh
  rm -rf "$DATA"
}
trap finish EXIT
rm -rf "$DATA"
make demo DATA="$DATA"
make demo DATA="$DATA"
make stop DATA="$DATA"
make demo DATA="$DATA"
