#!/usr/bin/env bash
# Stops what demo.sh started: Sky, and the containers of its apps. The data stay.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

: "${DATA:=tmp/demo}"
if [ ! -f "$DATA/sky.pid" ]; then
  say "nothing to stop"
  exit 0
fi
pid=$(cat "$DATA/sky.pid")
gone() { ! kill -0 "$pid"; }
if kill -0 "$pid" 2>/dev/null; then
  export PATH="$PWD/bin:$PATH" SKY_URL="http://${SKY_HTTP:-127.0.0.1:8080}"
  SKY_TOKEN=$(cat "$DATA/data/admin-token")
  export SKY_TOKEN
  for app in $(sky apps list --json | sed -n 's/^    "name": "\(.*\)",$/\1/p'); do
    sky stop -a "$app" || true
  done
  kill "$pid"
  wait_for 30 gone || kill -9 "$pid"
fi
rm -f "$DATA/sky.pid"
say "stopped; make demo starts it again with its data, rm -rf $DATA forgets them"
