#!/bin/sh
# The long tests that `make check` leaves out; the first that fails ends it.
set -eu
cd "$(dirname "$0")/../.."

# long TARGET ARGUMENTS...
long() {
    target=$1
    shift
    ${CARGO:-cargo} test --test "$target" -- --ignored "$@"
}

# The scenarios that take long on Debian 13, and all of `make check` on Debian testing.
long boot ::trixie
long boot --skip every_point testing
# Containers in podman.
long boot podman
# A cluster of three machines by Pacemaker, with crashes and cut links.
long boot pacemaker
# Every operation under every kind of connection for every runtime; takes an hour.
long boot matrix_whole
# Two builds of the program, compared; and each way to install it, in roots with nothing but what its users have.
long packages --skip support::
(
    # These wait more than they compute.
    export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$(($(nproc) * 2))}"
    # A kill and an error at every system call of every verb that changes something, and the bus or the
    # manager interrupted at every message.
    long boot --skip every_point_testing every_point
    # A sample of these on Debian testing.
    export CLUSTERCTL_POINTS="${CLUSTERCTL_POINTS:-10}"
    long boot every_point_testing
)
# Two and three commands on one app at once; takes two hours.
long boot pairs::long
# Every verb beside a manager that reads its units all the time (rounds with CLUSTERCTL_POINTS).
long boot manager_reloads::
# 1000 reloads of two apps at a time (more with CLUSTERCTL_RELOADS).
long boot faults::long
# The programs of npm and PyPI in docs/programs.md.
long boot catalogue
# One instance of each server behind the shared port, for docs/programs.md.
long boot one_instance
# A hundred drains and a hundred kills under 300 new connections per second.
long boot --nocapture a_hundred_drains
# A thousand instances of one app and of several, five minutes of reloads and kills (more with
# SOAK_SECONDS), and what the start of an instance costs.
long boot --nocapture --test-threads=1 crowd throng::a_thousand throng::ten_apps soak start_cost
# The long tests in a virtual machine.
long vm --skip support:: --test-threads=1
