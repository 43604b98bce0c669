#!/bin/sh
# Installs clusterctl from the archives of a release, after their checksums were verified.
#
#   sh install.sh [--from PLACE] [--prefix DIR]
#   curl -fsSL PLACE/install.sh | sh -s -- --from PLACE
#
# --from    where SHA256SUMS and the archives are: a directory, or an address that curl or wget fetches
#           from; the directory of this script by default
# --prefix  where it goes: /usr/local by default, which wants root
#
# Nothing is started, stopped or restarted. Run it again with a newer release to upgrade: apps do not notice.
set -eu

fail() {
    echo "error: $1" >&2
    [ -z "${2:-}" ] || echo "next: $2" >&2
    exit 1
}

usage() {
    sed -n '/^#   /s/^#   //p' "$0" >&2
    exit 2
}

prefix=/usr/local
from=
while [ $# -gt 0 ]; do
    case $1 in
        --from) from=${2:?--from wants a place} && shift ;;
        --prefix) prefix=${2:?--prefix wants a directory} && shift ;;
        *) usage ;;
    esac
    shift
done
if [ -z "$from" ]; then
    from=$(dirname "$0")
    [ -f "$from/SHA256SUMS" ] || fail "there is no SHA256SUMS beside this script" "name the place of the release: --from PLACE"
fi

[ "$(uname -s)" = Linux ] || fail "clusterctl is made of systemd units, which are Linux's own"
machine=$(uname -m)
case $machine in
    x86_64 | aarch64) ;;
    *) fail "there is no archive for $machine" "build it with Rust: cargo install clusterctl" ;;
esac
command -v sha256sum >/dev/null || fail "sha256sum is missing, and nothing is installed unverified" "install coreutils"

# get NAME DIR: a file of the release.
get() {
    case $from in
        *://*)
            if command -v curl >/dev/null; then
                curl -fsSL --proto '=https,http,file' -o "$2/$1" "$from/$1"
            elif command -v wget >/dev/null; then
                wget -q -O "$2/$1" "$from/$1"
            else
                fail "neither curl nor wget is here" "fetch the release by other means, and name its directory: --from DIR"
            fi || fail "$from/$1 cannot be fetched"
            ;;
        *) cp "$from/$1" "$2/$1" || fail "$from has no $1" ;;
    esac
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

get SHA256SUMS "$work"
archive=$(sed -n "s/^[0-9a-f]\{64\}  \(clusterctl-[0-9.]*-$machine-linux\.tar\.gz\)\$/\1/p" "$work/SHA256SUMS")
[ -n "$archive" ] || fail "SHA256SUMS names no archive for $machine"
[ "$(echo "$archive" | wc -l)" = 1 ] || fail "SHA256SUMS names several archives for $machine"
get "$archive" "$work"
grep -F "  $archive" "$work/SHA256SUMS" >"$work/sum"
(cd "$work" && sha256sum --check --status sum) ||
    fail "$archive is not what SHA256SUMS says: it was damaged or changed on its way" "fetch it again; nothing was installed"

tar -xzf "$work/$archive" -C "$work"
tree=$work/${archive%.tar.gz}
version=$("$tree/bin/clusterctl" --version 2>&1) ||
    fail "the program does not run here: $version" "it needs glibc 2.31 or newer: build it with Rust on other systems: cargo install clusterctl"

mkdir -p "$prefix" 2>/dev/null && [ -w "$prefix" ] ||
    fail "$prefix cannot be written" "run it as root (sudo sh install.sh …), or choose another place: --prefix ~/.local"
absolute=$(cd "$prefix" && pwd)
# Each file takes its place at once: a program that runs keeps the one that it has. Units name programs by whole paths.
(cd "$tree" && find . ! -type d) | while read -r file; do
    mkdir -p "$(dirname "$prefix/$file")"
    cp -p "$tree/$file" "$prefix/$file.new"
    case $file in
        ./lib/systemd/system/*)
            sed -i -e "s|-/bin/clusterctl|-$absolute/bin/clusterctl|" \
                -e "s| /share/clusterctl| $absolute/share/clusterctl|" "$prefix/$file.new"
            ;;
    esac
    mv -f "$prefix/$file.new" "$prefix/$file"
done
# What units run and load: a directory for each version of it, which no upgrade replaces.
[ "$(id -u)" != 0 ] || "$prefix/bin/clusterctl" unpack --by-content "$prefix/lib/clusterctl/bin"

echo "$version is installed: $prefix/bin/clusterctl"
case :$PATH: in
    *:"$prefix/bin":*) echo "next: clusterctl init, in the folder of your app" ;;
    *) echo "next: put $prefix/bin into your PATH" ;;
esac
