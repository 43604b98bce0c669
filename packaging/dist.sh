#!/bin/sh
# Everything that a release publishes, below target/dist, from this checkout: `make dist`.
#
#   dist.sh [x86_64] [aarch64]     both by default
#
# Each program is linked with the C library of Debian 11, so that it runs wherever there is one as old as that
# or newer; its symbols are looked at before anything is packed. Both are built on either machine, with
# Debian's compiler for the other one. The same checkout gives the same files, byte for byte.
#
# TARGET  cargo's folder
# CARGO   the command, with its options
set -eu
cd "$(dirname "$0")/.."
TARGET=${TARGET:-${CARGO_TARGET_DIR:-target}}
CARGO=${CARGO:-cargo}
mkdir -p "$TARGET"
TARGET=$(realpath "$TARGET")
out=$TARGET/dist
oldest=2.31
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || date -r Cargo.lock +%s)}"
export SOURCE_DATE_EPOCH TARGET

debian() { case $1 in x86_64) echo amd64 ;; aarch64) echo arm64 ;; esac; }

# The C library of Debian 11 for a machine, unpacked and never run.
sysroot() {
    root=$TARGET/sysroots/glibc-$oldest-$1
    if [ ! -d "$root" ]; then
        echo "== unpacking the C library of Debian 11 for $1" >&2
        rm -rf "$root.part"
        mkdir -p "$TARGET/sysroots"
        mmdebstrap --quiet --variant=extract --architectures="$(debian "$1")" \
            --include=libc6-dev,libgcc-s1 bullseye "$root.part" \
            "${CLUSTERCTL_DEBIAN_MIRROR:-http://deb.debian.org/debian}" >&2
        # Absolute links would lead to the libraries of this machine.
        find "$root.part" -type l -lname '/*' | while read -r link; do
            ln -sfnr "$root.part$(readlink "$link")" "$link"
        done
        mv "$root.part" "$root"
    fi
    echo "$root"
}

# The linker that takes start files and libraries from there; Debian's compilers look at their own places
# first, whatever --sysroot says.
linker() {
    root=$(sysroot "$1")
    path=$TARGET/sysroots/cc-$1
    libraries=$root/usr/lib/$1-linux-gnu
    cat >"$path" <<end
#!/bin/sh
exec $1-linux-gnu-gcc --sysroot="$root" -B"$libraries" -L"$libraries" -L"$root/lib/$1-linux-gnu" "\$@"
end
    chmod +x "$path"
    echo "$path"
}

# build ARCH: prints where the program is.
build() {
    triple=$1-unknown-linux-gnu
    upper=$(echo "$triple" | tr a-z- A-Z_)
    linker=$(linker "$1")
    export "CARGO_TARGET_${upper}_LINKER=$linker" "CARGO_TARGET_${upper}_RUSTFLAGS=--remap-path-prefix=$PWD=."
    # shellcheck disable=SC2086 # a command with its options
    $CARGO build --release --locked --bin clusterctl --target "$triple" --target-dir "$TARGET" >&2
    echo "$TARGET/$triple/release/clusterctl"
}

# check ARCH PROGRAM: nothing newer than the oldest C library, and no library but what every system has.
check() {
    newest=$(objdump -T "$2" | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p' | sort -Vu | tail -n 1)
    if [ "$(printf '%s\n' "$oldest" "$newest" | sort -V | tail -n 1)" != "$oldest" ]; then
        echo "$2 needs glibc $newest, $oldest was promised" >&2
        exit 1
    fi
    others=$(objdump -p "$2" | sed -n 's/^ *NEEDED *//p' |
        grep -vxE 'lib(c|gcc_s|dl|pthread|m|rt)\.so\.[0-9]|ld-linux-.*' || :)
    if [ -n "$others" ]; then
        echo "$2 needs libraries that not every system has: $others" >&2
        exit 1
    fi
    echo "== $1: needs glibc $newest"
}

packages() {
    export CLUSTERCTL_ARCH="$1" CLUSTERCTL_GLIBC="$oldest"
    for kind in tarball deb rpm arch npm; do
        packaging/build.sh "$kind" "$2" "$out"
    done
}

rm -rf "$out"
mkdir -p "$out"
for arch in ${*:-x86_64 aarch64}; do
    echo "== building for $arch"
    program=$(build "$arch")
    check "$arch" "$program"
    packages "$arch" "$program"
done
echo "== source, crate, bill of materials"
packaging/build.sh source - "$out"
# shellcheck disable=SC2086 # a command with its options
$CARGO package --locked --allow-dirty --no-verify --quiet --target-dir "$TARGET"
cp "$TARGET/package/clusterctl-$version.crate" packaging/sbom.cdx.json packaging/release/install.sh "$out"
(cd "$out" && sha256sum -- * >../SHA256SUMS && mv ../SHA256SUMS .)
echo "== $out"
ls -l "$out"
