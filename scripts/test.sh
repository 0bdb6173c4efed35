#!/usr/bin/env bash
# All checks of the project in one command: format, lints, tests, and the main job as users run it.
#
# Needs cargo (with rustfmt and clippy) and a C compiler. Tests that talk to the emulated cluster with
# foreign MySQL clients need those clients; they are installed from Debian when this runs as root and
# apt-get works, and left out, saying so, when not.
#
# Environment: CI=true turns colours and incremental compilation off.
set -u
cd "$(dirname "$0")/.." || exit 1

if [ "${CI:-}" = "true" ]; then
  export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
summary=()
left_out=()
failed=0

say() { printf '\n== %s\n' "$*"; }

# step NAME COMMAND...: runs a check, keeps its output in $log, remembers the outcome.
step() {
  local name=$1 started=$SECONDS outcome=ok
  shift
  say "$name: $*"
  "$@" 2>&1 | tee "$log"
  if [ "${PIPESTATUS[0]}" -ne 0 ]; then
    outcome=FAILED
    failed=1
  fi
  summary+=("$(printf '%-10s %-7s %4ds' "$name" "$outcome" $((SECONDS - started)))")
}

leave_out() {
  left_out+=("$1")
  printf 'left out: %s\n' "$1"
}

has_mariadb() { command -v mariadb >/dev/null 2>&1; }
has_connector() { python3 -c 'import mysql.connector' >/dev/null 2>&1; }
has_jdbc() { command -v javac >/dev/null 2>&1 && [ -e /usr/share/java/mariadb-java-client.jar ]; }
has_pymysql() { python3 -c 'import pymysql' >/dev/null 2>&1; }

# quietly COMMAND...: shows the end of what it printed only when it failed.
quietly() { "$@" >"$log" 2>&1 || tail -n 5 "$log"; }

install_clients() {
  local missing=()
  has_mariadb || missing+=(mariadb-client)
  has_pymysql || missing+=(python3-pymysql)
  # Where there is no JDK, none is installed for one test.
  { has_jdbc || ! command -v javac >/dev/null 2>&1; } || missing+=(libmariadb-java)
  [ ${#missing[@]} -eq 0 ] && has_connector && return
  say "clients: ${missing[*]} mysql-connector-python"
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    if [ ${#missing[@]} -gt 0 ]; then
      quietly timeout 300 apt-get update -qq
      quietly timeout 600 apt-get install -y -qq --no-install-recommends "${missing[@]}"
    fi
    # The first python3 on the path may be another one than Debian's.
    has_pymysql || quietly timeout 300 python3 -m pip install --quiet pymysql
    # Debian has no package of it.
    has_connector || quietly timeout 300 python3 -m pip install --quiet mysql-connector-python
  else
    echo "not root, or no apt-get: nothing is installed"
  fi
  has_mariadb || leave_out "tests with the MariaDB command line client (Debian package mariadb-client)"
  has_pymysql || leave_out "tests with PyMySQL (Debian package python3-pymysql)"
  has_jdbc || leave_out "the test with a JDBC driver (a JDK, and the Debian package libmariadb-java)"
  has_connector || leave_out "the test with Oracle's driver (Python package mysql-connector-python)"
}

install_clients

if cargo fmt --version >/dev/null 2>&1; then
  step format cargo fmt --all --check
else
  leave_out "format check (no rustfmt)"
fi
if cargo clippy --version >/dev/null 2>&1; then
  step lints cargo clippy --workspace --all-targets --locked -- -D warnings
else
  leave_out "lints (no clippy)"
fi
# Before the tests, whose output the counts below are read from. An optimising build fails where others do not.
step demo cargo run --release --locked -p ccr-demo
# Ten thousand variations of faults, which an optimised build goes through in a minute or two.
step seeds env CCR_SIM_SEEDS=10000 cargo test --release --locked -p ccr-core --test it random
step tests cargo test --workspace --locked --no-fail-fast

# The counts of all test binaries; a run without any is a failure whatever cargo says.
read -r passed failures ignored < <(awk '
  /^test result:/ { for (i = 1; i < NF; i++) {
    if ($(i + 1) ~ /^passed/) p += $i
    if ($(i + 1) ~ /^failed/) f += $i
    if ($(i + 1) ~ /^ignored/) s += $i } }
  END { print p + 0, f + 0, s + 0 }' "$log")
grep -E '^test .* FAILED$' "$log" | sort -u
say "summary"
printf '%s\n' "${summary[@]}"
if [ "$passed" -eq 0 ]; then
  echo "no test ran"
  failed=1
fi
for what in "${left_out[@]}"; do printf 'left out: %s\n' "$what"; done
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failures" "$ignored"
exit "$failed"
