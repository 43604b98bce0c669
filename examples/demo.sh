#!/bin/sh
# The demonstration behind `make demo`: the app of examples/node-http under a private service manager, with a new
# release, a broken one, a kill of every process and a scale, all under load and counted. Where PM2 is
# installed, the same is done to it. Leaves nothing behind. `--live` stays until Ctrl-C.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

# The service manager wants a control group: a user has it from a manager of the user's own, or from root.
if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null && ! systemctl --user is-active --quiet -- -.slice; then
    exec sudo env "PATH=$PATH" "$0" "$@"
fi

case ${1-} in
    --live) exec clusterctl dev "$here/node-http/ecosystem.toml" ;;
    --inside) ;;
    *)
        # A copy, since the demo edits the app.
        DEMO=$(mktemp -d)
        export DEMO
        trap 'rm -rf "$DEMO"' EXIT
        trap 'exit 130' INT TERM
        cp "$here"/node-http/* "$DEMO"
        DEMO_PORT=$(node "$here/demo/load.js" free 3000)
        export DEMO_PORT
        sed -i "s/3000/$DEMO_PORT/" "$DEMO/ecosystem.toml"
        clusterctl dev --quiet "$DEMO/ecosystem.toml" -- "$0" --inside
        exit
        ;;
esac

load=$here/demo/load.js
app=$DEMO/server.js

say() {
    if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); fi
    printf '\n%s\n' "${bold-}== $*${plain-}"
}
indent() { sed 's/^/    /'; }

# under_load NAME COMMAND: says the command, runs it while requests come in, and notes what became of them.
under_load() {
    echo "  \$ $2"
    node "$load" watch "$port" "$DEMO/$who.$1" sh -c "$2"
}

# release WORDS: the next version of the app, whatever was there before.
release() {
    sed "s/hello from/$1 from/" "$here/node-http/server.js" >"$app"
}

# A release with a typo: the program throws when it starts.
break_app() {
    sed 's/http.createServer/htpp.createServer/' "$here/node-http/server.js" >"$app"
}

# lost WHO STEP: how many requests, and of how many.
lost() {
    read -r answered lost <"$DEMO/$1.$2"
    echo "$lost of $((answered + lost))"
}

# row STEP WORDS: one line of the table at the end.
row() {
    if [ -n "$pm2" ]; then beside=$(lost pm2 "$1"); else beside=; fi
    printf '    %-42s %-16s %s\n' "$2" "$(lost clusterctl "$1")" "$beside"
}

with_clusterctl() {
    who=clusterctl port=$DEMO_PORT
    say "Four instances share port $port"
    clusterctl list | indent
    node "$load" ask "$port" 12

    say "A new release, under 100 requests a second: every process is replaced"
    release "hello, new release,"
    under_load release 'clusterctl reload hello'

    say "A broken release: refused, and the former one serves on"
    break_app
    if under_load broken 'clusterctl reload hello'; then broken=accepted; else broken=refused; fi
    release "hello, new release,"

    say "kill -9 of all four: what they had begun is lost, and whoever comes then waits for the next ones"
    # shellcheck disable=SC2016 # for the shell under load
    under_load kill 'kill -9 $(systemctl --user show --property=MainPID --value "hello@*")'

    say "More instances, and fewer"
    under_load scale 'clusterctl scale hello 6 && clusterctl scale hello 3'
}

# started_again: the app of PM2 from its beginning. `pm2 restart` fails while PM2 itself starts the broken release again.
started_again() {
    for _ in 1 2 3 4 5; do
        pm2 delete --silent hello || :
        if PORT=$port pm2 start --silent "$app" --instances 4 --name hello; then return; fi
        sleep 1 # a process that PM2 is starting has to end first
    done
    return 1
}

with_pm2() {
    who=pm2 port=$(node "$load" free 3100)
    say "The same app and the same steps with PM2 $(pm2 --version 2>/dev/null | tail -n 1), on port $port"
    release hello
    PORT=$port pm2 start --silent "$app" --instances 4 --name hello
    node "$load" ask "$port" 12

    release "hello, new release,"
    under_load release 'pm2 reload hello' || :

    break_app
    under_load broken 'pm2 reload hello' || :
    release "hello, new release,"
    started_again
    node "$load" ask "$port" 4

    # shellcheck disable=SC2016 # for the shell under load
    under_load kill 'kill -9 $(pm2 pid hello)' || :

    under_load scale 'pm2 scale hello 6 --silent && pm2 scale hello 3 --silent' || :
}

say "An app as in every PM2 tutorial, unchanged, and the one file that clusterctl wants"
indent <"$app"
echo
indent <"$DEMO/ecosystem.toml"

with_clusterctl
pm2=$(command -v pm2 || :)
if [ -n "$pm2" ]; then
    export PM2_HOME="$DEMO/pm2"
    trap 'pm2 kill --silent >/dev/null' EXIT
    with_pm2
fi

say "Lost requests"
printf '    %-42s %-16s %s\n' "" clusterctl "${pm2:+PM2}"
row release "a new release"
row broken "a broken release ($broken${pm2:+; PM2 takes it})"
row kill "kill -9 of every process"
row scale "6 instances, then 3"
[ -n "$pm2" ] || echo "    (make demo-pm2 does the same to PM2 and shows it beside)"

# Fails unless clusterctl has kept its promise.
read -r _ release <"$DEMO/clusterctl.release"
read -r _ refused <"$DEMO/clusterctl.broken"
read -r _ scaled <"$DEMO/clusterctl.scale"
[ "$release $refused $scaled $broken" = "0 0 0 refused" ]
