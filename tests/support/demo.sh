#!/bin/sh
# `make demo`, `make demo-live` and `make demo-pm2`: installs what is missing, builds the program and runs the
# demo, and says at each step what it does.
#
#   demo.sh demo|demo-live|demo-pm2
#
# CARGO   the command, with its options
# TARGET  cargo's folder; PM2 is put below it and nowhere else
set -eu
cd "$(dirname "$0")/../.."
packaging/rust.sh
case $1 in
    demo-pm2) tests/support/install.sh demo-pm2 ;;
    *) tests/support/install.sh demo ;;
esac

echo "== building clusterctl (a minute, the first time)"
# A build for the demo, which has to be quick; `make` alone builds the program for an installation.
# shellcheck disable=SC2086 # a command with its options
$CARGO build --locked
PATH=$(realpath "$TARGET/debug"):$PATH

if [ "$1" = demo-pm2 ]; then
    tools=$TARGET/tools/pm2
    if [ ! -x "$tools/node_modules/.bin/pm2" ]; then
        echo "== installing PM2 below $tools"
        npm install --silent --no-audit --no-fund --prefix "$tools" pm2@7.0.4
    fi
    PATH=$PATH:$(realpath "$tools/node_modules/.bin")
fi
export PATH
case $1 in
    demo-live) exec examples/demo.sh --live ;;
    *) exec examples/demo.sh ;;
esac
