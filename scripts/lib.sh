# Helpers for the scripts beside this one; they source it.

# say tells what happens next.
say() { printf '==> %s\n' "$*" >&2; }

# as_root runs a command as root, through sudo where we are not.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need_packages installs Debian packages that are missing.
need_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ "${#missing[@]}" = 0 ] && return
  say "installing ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# need_command installs a package where a command is missing.
need_command() {
  command -v "$1" >/dev/null 2>&1 || need_packages "$2"
}

# wait_for runs a command until it succeeds, for at most $1 seconds.
wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}

# extra_ca names the certificate bundle that builds behind a company proxy need:
# SKY_EXTRA_CA, or the system's own where something points tools to it.
extra_ca() {
  printf '%s' "${SKY_EXTRA_CA:-${SSL_CERT_FILE:-}}"
}

# tool builds a Go program at a version, once, and prints where it is.
tool() {
  local name=$1 module=$2 version=$3 tools=$PWD/tmp/tools
  mkdir -p "$tools"
  if [ ! -x "$tools/$name-$version" ]; then
    say "building $name $version"
    GOBIN=$tools GOFLAGS= CGO_ENABLED=0 go install "$module@$version" >&2
    mv "$tools/$name" "$tools/$name-$version"
  fi
  printf '%s' "$tools/$name-$version"
}

# oasdiff finds what a change of the API would break for its clients.
oasdiff() { tool oasdiff github.com/oasdiff/oasdiff v1.35.0; }
