#!/bin/sh
# The demonstration behind `make demo`: runs the app of examples/node-http under a private service
# manager, shows what a user would look at, and leaves nothing behind. `--live` stays until Ctrl-C.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
port=3000
url=http://localhost:$port/

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

case ${1-} in
    --live) exec clusterctl dev "$here/node-http/ecosystem.toml" ;;
    --inside) ;;
    *) exec clusterctl dev --quiet "$here/node-http/ecosystem.toml" -- "$0" --inside ;;
esac

say "Four instances of an unmodified Node app share port $port"
for _ in 1 2 3 4 5 6 7 8; do curl -s "$url" & done
wait

say "clusterctl list"
clusterctl list

say "An instance crashes (kill -9); the others serve on, and systemd starts it again"
systemctl --user kill --signal=KILL hello@2
for _ in 1 2 3 4; do curl -s "$url" & done
wait
clusterctl list

say "systemctl reload hello, while 400 requests come in: every process is replaced"
log=$(mktemp)
before=$(systemctl --user show -P MainPID 'hello@*' | sort | xargs)
seq 400 | xargs -P 60 -I{} sh -c "curl -sf -m 20 $url >>$log || echo lost >>$log" &
load=$!
systemctl --user reload hello
wait $load
after=$(systemctl --user show -P MainPID 'hello@*' | sort | xargs)
echo "processes before: $before"
echo "processes after:  $after"
answered=$(grep -c hello "$log" || :)
lost=$(grep -c lost "$log" || :)
rm -f "$log"
echo "answered: $answered, lost requests: $lost"

say "A clean end: everything stops, nothing is left behind"
[ "$answered" = 400 ] && [ "$lost" = 0 ]
