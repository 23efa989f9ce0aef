#!/bin/sh
# Makes this machine a node of the Sky at the address below: installs Docker where
# it is missing, fetches the program from there, registers with the join token in
# SKY_JOIN, and starts the agent, under systemd where there is one.
#
#   SKY_BIN       where the program goes        /usr/local/bin/sky
#   SKY_DATA_DIR  where the agent keeps state   /var/lib/sky-agent
#   SKY_INGRESS   where apps answer             0.0.0.0:80
#   SKY_PEER      where other nodes reach it    :7443
#   SKY_RUNTIME   docker or swarm               docker
#   SKY_BUILDS    how many builds run here    0: this is no builder
#   SKY_SERVICE   systemd or none               systemd where there is one
#   SKY_CA        the authority of the address' certificate, where it is no public one
set -eu
server='@SERVER@'
bin=${SKY_BIN:-/usr/local/bin/sky}
data=${SKY_DATA_DIR:-/var/lib/sky-agent}
ingress=${SKY_INGRESS:-0.0.0.0:80}
peer=${SKY_PEER:-:7443}
runtime=${SKY_RUNTIME:-docker}
builds=${SKY_BUILDS:-0}

say() { printf '==> %s\n' "$*"; }
fail() {
  printf 'sky: %s\n' "$*" >&2
  exit 1
}

[ -n "${SKY_JOIN:-}" ] || fail "SKY_JOIN is not set: an admin makes a join token with \`sky admin nodes add NAME\`"
[ "$(uname -s)" = Linux ] || fail "a node runs Linux"
[ "$(id -u)" = 0 ] || fail "run this as root"
command -v curl >/dev/null || fail "curl is missing: apt-get install curl"

has_systemd() { [ "${SKY_SERVICE:-systemd}" = systemd ] && [ -d /run/systemd/system ]; }

if ! command -v dockerd >/dev/null; then
  command -v apt-get >/dev/null || fail "Docker is missing, and this is not Debian or Ubuntu: install it, then run this again"
  say "installing Docker"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq docker.io >/dev/null
fi
if ! docker info >/dev/null 2>&1; then
  say "starting Docker"
  if has_systemd; then
    systemctl enable --now docker
  else
    setsid nohup dockerd >/var/log/dockerd.log 2>&1 </dev/null &
  fi
  tries=0
  until docker info >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || fail "Docker does not start"
    sleep 1
  done
fi
if [ "$runtime" = swarm ] && [ "$(docker info --format '{{.Swarm.ControlAvailable}}')" != true ]; then
  fail "SKY_RUNTIME is swarm, and this machine is no manager of a swarm: \`docker swarm init\` makes one, \`docker node promote\` makes a worker a manager"
fi

if [ "$builds" != 0 ] && ! command -v mmdebstrap >/dev/null && command -v apt-get >/dev/null; then
  say "installing mmdebstrap, to make base images with"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq mmdebstrap debian-archive-keyring >/dev/null
fi

say "fetching sky from $server"
mkdir -p "$(dirname "$bin")" "$data"
chmod 700 "$data"
printf 'Authorization: Bearer %s\n' "$SKY_JOIN" |
  curl -fsS ${SKY_CA:+--cacert "$SKY_CA"} -H @- -o "$bin.new" "$server/api/internal/paas/program/$(uname -m)" ||
  fail "the control plane did not give its program: is the join token still valid?"
chmod 755 "$bin.new"
mv -f "$bin.new" "$bin"

say "registering"
SKY_JOIN=$SKY_JOIN "$bin" agent join --server "$server" --data-dir "$data"
unset SKY_JOIN

if has_systemd; then
  say "starting the agent under systemd"
  cat >/etc/systemd/system/sky-agent.service <<UNIT
[Unit]
Description=Sky agent
After=docker.service network-online.target
Wants=docker.service network-online.target

[Service]
ExecStart=$bin agent --server $server --data-dir $data --ingress $ingress --peer $peer --runtime $runtime --builds $builds
Restart=always
RestartSec=2
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
UNIT
  systemctl daemon-reload
  systemctl enable sky-agent
  systemctl restart sky-agent
else
  say "starting the agent; there is no systemd, so start it again after a reboot"
  setsid nohup "$bin" agent --server "$server" --data-dir "$data" --ingress "$ingress" --peer "$peer" --runtime "$runtime" --builds "$builds" >"$data/agent.log" 2>&1 </dev/null &
  echo $! >"$data/agent.pid"
fi
say "this machine is a node; \`sky admin nodes list\` shows it"
