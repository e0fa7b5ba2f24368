#!/usr/bin/env bash
# Installs what the tests need and is missing (Redis, Postgres and NATS binaries), then runs every test.
# The tests start their own servers on free ports of the loopback interface and remove them afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."

have_redis() { command -v redis-server >/dev/null; }
have_postgres() { command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
have_nats() { command -v nats-server >/dev/null; }

missing=()
have_redis || missing+=(redis-server)
have_postgres || missing+=(postgresql)
have_nats || missing+=(nats-server)
command -v cc >/dev/null || missing+=(gcc libc6-dev)

if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "Please install ${missing[*]} (Redis 7.0 or later, Postgres 15 or later, NATS 2.9 or later), then run this again." >&2
    exit 1
  fi
  run=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "Please install ${missing[*]} as root, then run this again." >&2; exit 1; }
    run=(sudo)
  fi
  echo "installing ${missing[*]}"
  "${run[@]}" apt-get update -qq
  # Run level 1: the packages' own services stay off; the tests start private ones.
  "${run[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

echo 'building and running all tests; the first build takes some minutes and about 6 GB'
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo test --workspace --locked --no-fail-fast --lib --bins --tests "$@" 2>&1 | tee "$log" || status=$?

# The runner sums up each binary; this sums up all of them.
awk '/^test result:/ { passed += $4; failed += $6 } END { printf "\n%d passed, %d failed\n", passed, failed }' "$log"
exit "$status"
