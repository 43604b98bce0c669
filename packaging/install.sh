#!/bin/sh
# Installs clusterctl from this checkout. `make install` and the recipes of packages call it.
#
#   install.sh program   the program, its handover files, manual, schema, bill of materials, completions
#   install.sh docs      documentation, licences and examples
#
# BINARY   the program, as it was built
# PREFIX   where everything goes, such as /usr
# DESTDIR  what stands before PREFIX while a package is made; empty where this machine is meant
# ZSH      the folder of zsh's completions, below DESTDIR
# INSTALL  the command that copies files
set -eu
cd "$(dirname "$0")/.."
prefix=$DESTDIR$PREFIX
share=$prefix/share

# put MODE FILE DESTINATION
put() {
    # shellcheck disable=SC2086 # a command with its options
    $INSTALL -D -m "$1" "$2" "$3"
}

program() {
    put 0755 "$BINARY" "$prefix/bin/clusterctl"
    # The program brings its handover files along; in lib/clusterctl they lie for units that are written
    # by hand, and to be read. Units of apps name a directory below lib/clusterctl/bin that no later
    # version replaces: with DESTDIR it is for the package's scripts to make it.
    # shellcheck disable=SC2086 # an emulator with its options, for the program of another machine
    ${CLUSTERCTL_RUN:-} "$BINARY" unpack "$prefix/lib/clusterctl"
    [ -n "$DESTDIR" ] || "$BINARY" unpack --by-content "$PREFIX/lib/clusterctl/bin"
    for page in man/*.[1-8]; do
        put 0644 "$page" "$share/man/man${page##*.}/${page##*/}"
    done
    put 0644 packaging/ecosystem.schema.json "$share/clusterctl/ecosystem.schema.json"
    # The units are installed and not enabled: an administrator who wants metrics, or whose balancer asks, does that.
    for unit in units/clusterctl-metrics.socket units/clusterctl-metrics@.service \
        units/clusterctl-agent.socket units/clusterctl-agent@.service; do
        put 0644 "$unit" "$prefix/lib/systemd/system/${unit#units/}"
        sed -i -e "s|/usr/bin/clusterctl|$PREFIX/bin/clusterctl|" \
            -e "s|/usr/share/clusterctl|$PREFIX/share/clusterctl|" "$prefix/lib/systemd/system/${unit#units/}"
    done
    put 0755 units/agent-check "$share/clusterctl/agent-check"
    put 0644 packaging/sbom.cdx.json "$share/clusterctl/sbom.cdx.json"
    completions=packaging/completions
    put 0644 $completions/clusterctl.bash "$share/bash-completion/completions/clusterctl"
    put 0644 $completions/_clusterctl "$DESTDIR$ZSH/_clusterctl"
    put 0644 $completions/clusterctl.fish "$share/fish/vendor_completions.d/clusterctl.fish"
}

docs() {
    # shellcheck disable=SC2046 # names of this checkout, without spaces
    for text in *.md LICENSE-* docs/* $(find examples packaging/polkit packaging/grafana -type f); do
        case $text in packaging/*) to=examples/${text#packaging/} ;; *) to=$text ;; esac
        if [ -x "$text" ]; then mode=0755; else mode=0644; fi
        put "$mode" "$text" "$share/doc/clusterctl/$to"
    done
}

case ${1:-} in
program | docs) "$1" ;;
*)
    echo "usage: install.sh program|docs" >&2
    exit 2
    ;;
esac
