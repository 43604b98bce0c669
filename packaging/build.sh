#!/bin/sh
# Builds a package from this checkout.
#
#   build.sh deb|rpm|arch|npm|tarball PROGRAM [DIR]
#   build.sh source - [DIR]
#
# PROGRAM  clusterctl as it was built; the recipes below packaging/ build it themselves when a
#          distribution uses them without this script
# DIR      where packages go, target/package by default
#
# CLUSTERCTL_VERSION gives a Debian package another version than the changelog's. CLUSTERCTL_ARCH is what
# PROGRAM runs on, as `uname -m` says it, where that is another machine, and CLUSTERCTL_GLIBC the oldest C
# library that it runs with. With SOURCE_DATE_EPOCH the same program and checkout give the same packages,
# byte for byte.
set -eu
cd "$(dirname "$0")/.."
top=$PWD

kind=$1 program=${2:-}
out=${3:-${CARGO_TARGET_DIR:-target}/package}
mkdir -p "$out"
out=$(realpath "$out")
field() { sed -n "s/^$1 = \"\(.*\)\"/\1/p" Cargo.toml | head -n 1; }
version=$(field version)
arch=${CLUSTERCTL_ARCH:-$(uname -m)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Directories of a package are for everybody.
umask 022
chmod 755 "$work"
CLUSTERCTL_BINARY=$work/clusterctl
# How a program of another machine is run here, to hand out what it carries.
CLUSTERCTL_RUN=
strip=strip
if [ "$arch" != "$(uname -m)" ]; then
    CLUSTERCTL_RUN="qemu-$arch -L /usr/$arch-linux-gnu"
    strip=$arch-linux-gnu-strip
fi
export CLUSTERCTL_BINARY CLUSTERCTL_RUN
[ "$kind" = source ] || "$strip" -o "$CLUSTERCTL_BINARY" "$program"

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
    case $arch in x86_64) to=amd64 ;; aarch64) to=arm64 ;; *) to=$(dpkg --print-architecture) ;; esac
    (cd "$tree" && dpkg-buildpackage --host-arch "$to" --build=binary --no-check-builddeps --no-sign)
    deliver "$work"/*.deb
}

# pack DIR NAME FILE: the same bytes at every time and place, given SOURCE_DATE_EPOCH.
pack() {
    tar -C "$1" --owner=root:0 --group=root:0 --sort=name \
        ${SOURCE_DATE_EPOCH:+--mtime="@$SOURCE_DATE_EPOCH"} -cf - "$2" | gzip -9n >"$3"
}

source_archive() {
    source_tree "$work/source/clusterctl-$version"
    pack "$work/source" "clusterctl-$version" "$1"
}

source() {
    source_archive "$work/clusterctl-$version.tar.gz"
    deliver "$work/clusterctl-$version.tar.gz"
}

# What release/install.sh copies below its prefix.
tarball() {
    name=clusterctl-$version-$arch-linux
    for part in program docs; do
        BINARY=$CLUSTERCTL_BINARY PREFIX='' DESTDIR=$work/release/$name ZSH=/share/zsh/site-functions \
            INSTALL=install packaging/install.sh $part
    done
    pack "$work/release" "$name" "$work/$name.tar.gz"
    deliver "$work/$name.tar.gz"
}

# fill FILE: a template of packaging/npm.
fill() {
    pages=$(for page in man/*.[1-8]; do printf '"./%s", ' "$page"; done)
    sed -e "s|@VERSION@|$version|" -e "s|@REPOSITORY@|$(field repository)|" -e "s|@CPU@|$cpu|" \
        -e "s|@PAGES@|${pages%, }|" "packaging/npm/$1"
}

# Two packages: what a user names, and the program for one machine, which the former lets npm choose.
npm() {
    case $arch in x86_64) cpu=x64 ;; aarch64) cpu=arm64 ;; *) cpu=$arch ;; esac
    for name in clusterctl "clusterctl-linux-$cpu"; do
        tree=$work/npm/$name/package
        mkdir -p "$tree/bin"
        cp LICENSE-* "$tree"
        if [ "$name" = clusterctl ]; then
            fill package.json >"$tree/package.json"
            cp packaging/npm/clusterctl "$tree/bin"
            cp -R README.md man packaging/ecosystem.schema.json "$tree"
        else
            fill platform.json >"$tree/package.json"
            cp "$CLUSTERCTL_BINARY" "$tree/bin/clusterctl"
        fi
        pack "$work/npm/$name" package "$work/$name-$version.tgz"
    done
    deliver "$work"/*.tgz
}

rpm() {
    mkdir -p "$work/SOURCES"
    source_archive "$work/SOURCES/clusterctl-$version.tar.gz"
    # Otherwise the package would record when and where it was built.
    set -- --target "$arch" --define "_buildhost localhost"
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
    source_archive "$work/clusterctl-$version.tar.gz"
    run=
    if [ "$(id -u)" = 0 ]; then
        chown -R nobody "$work"
        run='setpriv --reuid=nobody --clear-groups'
    fi
    # The packages that it depends on have other names where this is not Arch Linux.
    sed "s/^CARCH=.*/CARCH=\"$arch\"/" /etc/makepkg.conf >"$work/makepkg.conf"
    (cd "$work" && HOME=$work $run makepkg --config "$work/makepkg.conf" --nodeps --force)
    deliver "$work"/*.pkg.tar.*
}

deliver() {
    for package in "$@"; do
        cp "$package" "$out"
        echo "$out/${package##*/}"
    done
}

case $kind in
    deb | rpm | arch | npm | tarball | source) "$kind" ;;
    *) echo "usage: build.sh deb|rpm|arch|npm|tarball|source PROGRAM [DIR]" >&2; exit 2 ;;
esac
