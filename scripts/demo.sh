#!/usr/bin/env bash
# Starts Sky, makes base images where none can be pulled, and deploys the
# Node.js example to it by a real git push. Run again, it deploys a change.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
. scripts/lib.sh

: "${DATA:=tmp/demo}"
mkdir -p "$DATA"
DATA=$(realpath "$DATA")
http=${SKY_HTTP:-127.0.0.1:8080} ssh=${SKY_SSH:-127.0.0.1:2222} ingress=${SKY_INGRESS:-127.0.0.1:8000}
need_command ssh openssh-client
need_command git git
need_command curl curl
need_command mmdebstrap mmdebstrap
need_packages debian-archive-keyring
need_command iptables iptables

export PATH="$PWD/bin:$PATH"
export SKY_URL="http://$http"
ca=$(extra_ca)

if [ ! -f "$DATA/sky.pid" ] || ! kill -0 "$(cat "$DATA/sky.pid")" 2>/dev/null; then
  say "starting sky; its log is in $DATA/sky.log"
  : >"$DATA/ready"
  setsid --fork bash -c 'echo $$ >"$1/sky.pid"; exec "${@:2}"' sky "$DATA" \
    sky up --data-dir "$DATA/data" --http "$http" --ssh "$ssh" --ingress "$ingress" ${ca:+--extra-ca "$ca"} \
    >"$DATA/ready" 2>>"$DATA/sky.log" </dev/null
  wait_for 60 grep -q 'sky is ready' "$DATA/ready" || { tail -n 20 "$DATA/sky.log" >&2; exit 1; }
fi
SKY_TOKEN=$(cat "$DATA/data/admin-token")
export SKY_TOKEN

key=$DATA/id_ed25519
[ -f "$key" ] || ssh-keygen -q -t ed25519 -N '' -C sky-demo -f "$key"
sky keys list --json | grep -q '"sky-demo"' || sky keys add "$key.pub"
export GIT_SSH_COMMAND="ssh -i $key -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=$DATA/known_hosts"

work=$DATA/hello
if [ ! -d "$work/.git" ]; then
  rm -rf "$work"
  cp -r examples/node "$work"
  git -C "$work" init -q -b main
fi
cd "$work"
sed -i "s/^const greeting = .*/const greeting = \"Hello from Sky, $(date +%T)\";/" server.js
git add -A
git -c user.name=Demo -c user.email=demo@example.invalid commit -q -m "Say hello"
sky apps info -a hello >/dev/null 2>&1 || sky apps create hello

say "git push sky main"
git push sky main

say "curl http://hello.localhost:${ingress##*:}/"
curl -fsS -H "Host: hello.localhost" "http://$ingress/"
cat <<EOF

Sky runs. To use it yourself:

  export PATH=$root/bin:\$PATH
  sky login http://$http --token-file $DATA/data/admin-token
  sky keys add ~/.ssh/id_ed25519.pub
  cd YOUR-APP && sky apps create NAME && git push sky main

Stop it with: make stop
EOF
