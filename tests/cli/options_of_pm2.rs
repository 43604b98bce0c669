//! Every option of PM2's commands is taken, or its refusal ends with what to do instead.

use clusterctl::error::exit;

use crate::stage::Stage;

const START: &str = "-i=2 -n=x --name=x --watch --watch=src --ignore-watch=a --watch-delay=100 --cwd=/ --interpreter=node \
    --node-args=-x --interpreter-args=-x -o=a.log --output=a.log -e=a --error=a -l=a --log=a --merge-logs --log-type=json \
    --log-date-format=YYYY --time --disable-logs --env=p --only=a,b -f --force -p=a --pid=a -k=100 --kill-timeout=100 \
    --listen-timeout=100 --wait-ready --max-memory-restart=100M --restart-delay=10 --exp-backoff-restart-delay=10 \
    --max-restarts=3 --min-uptime=100 --stop-exit-codes=1 --no-autorestart --no-autostart -c=x --cron=x --cron-restart=x \
    --shutdown-with-message --no-treekill --uid=a --gid=a --namespace=a --filter-env=a -x -w --write -a --update-env \
    --attach --no-daemon --container --dist --image-name=x --no-vizion --no-pmx --no-automation -s --silent -v --no-color \
    --trace --disable-trace --v8 --event-loop-inspector --deep-monitoring --ext=js --hp=/ --source-map-support \
    --disable-source-map-support --gc --service-name=x --port=80 --parallel=2";
const RELOAD: &str = "--parallel=2 --update-env -f --force --env=x --only=a -s --no-color";
const LOGS: &str = "--lines=5 --raw --err --out --json --format --timestamp --timestamp=HH:mm --nostream --highlight=x";
const RUNTIME: &str = "--env=x --only=a --no-auto-exit --json --format --raw --formatted --delay=3 --watch --error=x \
    --output=json --web -i=2 --secret=x --public=x --machine-name=x";
const SERVE: &str =
    "--port=80 --spa --ftp --basic-auth-username=a --basic-auth-password=b --monitor -n=x --name=x";

#[test]
fn is_taken_or_explained() {
    let stage = Stage::new().without_bus();
    let mut explained = 0;
    for (verb, options) in [
        (&["start", "server.js"][..], START),
        (&["reload", "shop"], RELOAD),
        (&["restart", "shop"], RELOAD),
        (&["startOrReload", "ecosystem.toml"], "--env=x --only=a --update-env"),
        (&["stop", "shop"], "--parallel=2 --update-env -f"),
        (&["delete", "shop"], "--parallel=2 --update-env -f"),
        (&["list"], "--sort=cpu:desc -m --mini-list --watch -s -v --no-color"),
        (&["logs"], LOGS),
        (&["dev"], RUNTIME),
        (&["serve", "."], SERVE),
    ] {
        for option in options.split_whitespace() {
            // A short option takes its value as the next word.
            let long = option.starts_with("--");
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let words = if long || value.is_empty() { vec![option] } else { vec![name, value] };
            let line = [verb, &words, &["--help"]].concat();
            let (code, _, err) = stage.said(&line);
            if code == exit::OK {
                continue;
            }
            explained += 1;
            let last = err.lines().last().unwrap_or_default();
            assert!(last.starts_with(&format!("{name}: ")), "{line:?}: {err}");
            assert!(!err.contains("tip:"), "{line:?}: {err}");
        }
    }
    assert!(explained > 20, "{explained}");
}

#[test]
fn a_typing_error_is_corrected_and_nothing_else() {
    let stage = Stage::new().without_bus();
    let tip = |option: &str| {
        let (code, _, err) = stage.said(&["start", "server.js", option]);
        assert_eq!(code, exit::USAGE);
        err.contains("tip: a similar argument exists")
    };
    assert!(tip("--instnaces"));
    assert!(!tip("--insights"));
}
