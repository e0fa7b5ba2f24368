#!/usr/bin/env bash
# Counts the instructions that one claim takes through the use case, and compares them with the number that is kept in instructions.txt.
# Counts are the same on a busy machine as on an idle one, so that a claim which becomes slower is seen at once.
#
# --renew keeps the number that is counted now: for a change that is worth it, or a new compiler.
set -euo pipefail
cd "$(dirname "$0")/.."

kept_in=scripts/instructions.txt
few=20000
many=60000
tolerance_percent=5

renew=no
case "${1:-}" in
  '') ;;
  --renew) renew=yes ;;
  *) echo "usage: $0 [--renew]" >&2; exit 2 ;;
esac

missing=()
command -v valgrind >/dev/null || missing+=(valgrind)
command -v cc >/dev/null || missing+=(gcc libc6-dev)
if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "Please install ${missing[*]} (Valgrind 3.19 or later), then run this again." >&2
    exit 1
  fi
  run=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "Please install ${missing[*]} as root, then run this again." >&2; exit 1; }
    run=(sudo)
  fi
  echo "installing ${missing[*]}"
  "${run[@]}" apt-get update -qq
  # The C library's symbols, which Valgrind cannot do without, come with libc6-dbg.
  "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" libc6-dbg >/dev/null
fi

echo 'building the example that claims'
cargo build --release --locked --quiet -p coupon-usecases --example claims
program=${CARGO_TARGET_DIR:-target}/release/examples/claims

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# All that a run of so many claims takes, from start to end.
instructions() {
  local log=$folder/log
  if ! valgrind --tool=callgrind --callgrind-out-file="$folder/out" "$program" "$1" >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
  fi
  sed -n 's/^==[0-9]*== Collected *: *\([0-9]*\)$/\1/p' "$log"
}

# What both have in common, the start above all, is gone from the difference.
first=$(instructions $few)
second=$(instructions $many)
counted=$(((second - first) / (many - few)))

if [ "$renew" = yes ]; then
  echo "$counted" >"$kept_in"
  echo "a claim takes $counted instructions; kept in $kept_in"
  exit
fi

kept=$(cat "$kept_in")
change=$(awk -v now="$counted" -v then="$kept" 'BEGIN { printf "%+.1f", 100 * (now - then) / then }')
if awk -v change="$change" -v most="$tolerance_percent" 'BEGIN { exit !(change > most || change < -most) }'; then
  cat >&2 <<TEXT
A claim takes $counted instructions; $kept are kept in $kept_in ($change %, allowed are $tolerance_percent).
If that is meant, or if the compiler is another one: $0 --renew
TEXT
  exit 1
fi
echo "a claim takes $counted instructions; $kept are kept ($change %, allowed are $tolerance_percent)"
