#!/bin/sh
# Builds a package from this checkout.
#
#   build.sh deb|rpm|arch PROGRAM [DIR]
#
# PROGRAM  clusterctl as it was built; the recipes below packaging/ build it themselves when a
#          distribution uses them without this script
# DIR      where packages go, target/package by default
#
# CLUSTERCTL_VERSION gives a Debian package another version than the changelog's. With
# SOURCE_DATE_EPOCH the same program and checkout give the same packages, byte for byte.
set -eu
cd "$(dirname "$0")/.."
top=$PWD

kind=$1 program=$2
out=${3:-${CARGO_TARGET_DIR:-target}/package}
mkdir -p "$out"
out=$(realpath "$out")
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Directories of a package are for everybody.
umask 022
chmod 755 "$work"
CLUSTERCTL_BINARY=$work/clusterctl
export CLUSTERCTL_BINARY
strip -o "$CLUSTERCTL_BINARY" "$program"

# What is published as the source of a release, below its usual folder.
source_tree() {
    mkdir -p "$1"
    tar -C "$top" --exclude=./target --exclude=./.git --exclude="$out" -cf - . | tar -C "$1" -xf -
}

deb() {
    tree=$work/clusterctl-$version
    source_tree "$tree"
    cp -R packaging/debian "$tree/debian"
    # The program is here already, whoever installed the compiler and libraries for it.
    export DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-} noautodbgsym nocheck"
    (cd "$tree" && dpkg-buildpackage --build=binary --no-check-builddeps --no-sign)
    deliver "$work"/*.deb
}

tarball() {
    source_tree "$work/source/clusterctl-$version"
    tar -C "$work/source" --owner=root:0 --group=root:0 -czf "$1" "clusterctl-$version"
}

rpm() {
    mkdir -p "$work/SOURCES"
    tarball "$work/SOURCES/clusterctl-$version.tar.gz"
    # Or the package would hold when and where it was built.
    set -- --define "_buildhost localhost"
    if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
        set -- "$@" --define "use_source_date_epoch_as_buildtime 1" \
            --define "clamp_mtime_to_source_date_epoch 1"
    fi
    rpmbuild -bb --define "_topdir $work" "$@" packaging/rpm/clusterctl.spec
    deliver "$work"/RPMS/*/*.rpm
}

# makepkg refuses to run as root.
arch() {
    cp packaging/arch/PKGBUILD packaging/arch/clusterctl.install "$work"
    tarball "$work/clusterctl-$version.tar.gz"
    run=
    if [ "$(id -u)" = 0 ]; then
        chown -R nobody "$work"
        run='setpriv --reuid=nobody --clear-groups'
    fi
    # What it depends on has other names where this is no Arch Linux.
    (cd "$work" && HOME=$work $run makepkg --nodeps --force)
    deliver "$work"/*.pkg.tar.*
}

deliver() {
    for package in "$@"; do
        cp "$package" "$out"
        echo "$out/${package##*/}"
    done
}

case $kind in
    deb | rpm | arch) "$kind" ;;
    *) echo "usage: build.sh deb|rpm|arch PROGRAM [DIR]" >&2; exit 2 ;;
esac
