#!/bin/sh
# Says what to do where cargo is missing, or older than what Cargo.toml asks for: before anything is
# installed or built.
#
# CARGO  the command, with its options
set -eu
cd "$(dirname "$0")/.."
needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
# shellcheck disable=SC2086 # a command with its options
found=$(${CARGO:-cargo} --version 2>/dev/null | sed -n 's/^cargo \([0-9.]*\).*/\1/p')

if [ -n "$found" ] && [ "$(printf '%s\n' "$needed" "$found" | sort -V | head -n 1)" = "$needed" ]; then
    exit 0
fi
if command -v rustup >/dev/null; then
    get='`rustup update stable` brings it'
else
    get='get it from https://rustup.rs'
fi
is=${found:+cargo $found is too old}
echo "${is:-cargo is missing}: clusterctl is built with Rust $needed or newer ($get), and README.md, Install, names the ways without Rust." >&2
exit 1
