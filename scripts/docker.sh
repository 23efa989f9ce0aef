#!/usr/bin/env bash
# Installs Docker where it is missing and starts it where it does not run: with
# systemd where there is one, else as a process of its own.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# The engine itself is asked: newer distributions package the command apart.
answers() { curl -fsS --max-time 5 --unix-socket "${DOCKER_SOCKET:-/var/run/docker.sock}" http://docker/_ping; }

need_command curl curl
if [ -n "${DOCKER_HOST:-}" ]; then exit 0; fi # somebody else's engine
if answers >/dev/null 2>&1; then exit 0; fi
socket=${DOCKER_SOCKET:-/var/run/docker.sock}
if [ -S "$socket" ] && [ ! -w "$socket" ]; then
  echo "you may not use Docker: run \`sudo usermod -aG docker $USER\`, log in again, and repeat" >&2
  exit 1
fi
command -v dockerd >/dev/null 2>&1 || need_packages docker.io iptables
if [ -d /run/systemd/system ]; then
  say "starting Docker with systemd"
  as_root systemctl enable --now docker
else
  say "starting dockerd; its output is in /var/log/dockerd.log"
  as_root bash -c "exec setsid --fork dockerd --pidfile /run/sky-dockerd.pid --log-level warn >/var/log/dockerd.log 2>&1 </dev/null"
fi
wait_for 60 answers || { echo "Docker does not start; see /var/log/dockerd.log or journalctl -u docker" >&2; exit 1; }
