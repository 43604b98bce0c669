//! Verbs that change something: plan, order, failures, hooks, Ctrl-C.

use std::process::Command;
use std::time::Duration;

use crate::stage::{GOOD, SHOP, Stage};

/// A host whose work fails as a broken release does.
const BROKEN: &str = r#"
begin
case "$1" in *--dry-run*) plan; end 0 ;; *' list'*) end 0 ;; esac
data '{"event":"log","app":"api","instance":2,"line":"Error: no such module"}'
data '{"event":"done","app":"api","success":false,"text":"api@2 died at its start","next":"clusterctl logs api@2"}'
end 1
"#;

#[test]
fn every_host_is_asked_before_any_is_touched() {
    let stage = Stage::shop();
    let (code, out, err) = stage.said(&["-H", "all", "apply"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(out, "web1, web2, web3\n  api:\n    replace 2 instances (changed)\n");
    assert!(err.contains("order: web1, then web2, then web3"), "{err}");
    assert!(err.contains("✓ web1: api: 2 replaced"), "{err}");
    let log = stage.log();
    assert!(log[..3].iter().all(|line| line.contains("--dry-run")), "{log:?}");
    let there = stage.path("shop/ecosystem.toml");
    let work = format!("clusterctl --protocol 1 -o json apply - --as {}", there.display());
    assert_eq!(log[3..], ["web1", "web2", "web3"].map(|host| format!("{host} {work}")));
}

#[test]
fn a_dry_run_touches_nobody() {
    let stage = Stage::shop();
    let (code, out, err) = stage.said(&["-H", "all", "apply", "-n"]);
    assert_eq!((code, stage.worked().len()), (0, 0), "{err}");
    assert!(out.contains("replace 2 instances"), "{out}");
}

#[test]
fn hosts_go_in_batches() {
    let file = format!("{SHOP}[fleet]\nlimit = \"100%\"\nsudo = true\ncwd = \"/srv/my shop\"\n");
    let stage = Stage::new(&file);
    ["web1", "web2", "web3"].iter().for_each(|host| stage.host(host, GOOD));
    let (code, _, err) = stage.said(&["-H", "all", "reload", "api", "--min-ready", "2s"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("order: web1, then web2 and web3"), "{err}");
    let log = stage.log();
    let work = "web1 sudo -n clusterctl --protocol 1 -o json reload api --min-ready 2s";
    assert_eq!(log[3], work);
    let (_, _, err) = stage.said(&["-H", "all", "--limit", "1", "apply"]);
    assert!(err.contains("order: web1, then web2, then web3"), "{err}");
    assert!(stage.log().last().unwrap().ends_with("--as '/srv/my shop/ecosystem.toml'"));
}

#[test]
fn the_file_comes_on_standard_input_without_what_is_not_of_the_host() {
    let file = "[[hosts]]\nname = \"web1\"\napps = [\"api\"]\n[[apps]]\nname = \"worker\"\nscript = \"w.js\"\n\
                env = { TOKEN = \"secret\" }\n[[apps]]\nname = \"api\"\nscript = \"a.js\"\n\
                [apps.env]\nTOKEN = \"also secret\"\n[fleet]\nfirst = 0\n";
    let stage = Stage::new(file);
    stage.host("web1", &format!("cat > $HOSTS/input\n{GOOD}"));
    let (code, _, err) = stage.said(&["-H", "all", "apply", "--prune"]);
    assert_eq!(code, 0, "{err}");
    let input = stage.read("hosts/input");
    assert_eq!(input.lines().count(), file.lines().count());
    let table: toml::Table = input.parse().unwrap();
    assert_eq!(table.keys().collect::<Vec<_>>(), ["apps"]);
    assert_eq!(table["apps"].as_array().unwrap().len(), 1);
    assert_eq!(input.lines().nth(8), Some("name = \"api\""));
    assert!(stage.log().iter().all(|line| !line.contains("secret")));
    assert!(stage.log().last().unwrap().ends_with("--prune"));
}

#[test]
fn the_first_failure_ends_it_and_the_rest_is_named() {
    let stage = Stage::shop();
    stage.host("web2", BROKEN);
    let (code, _, err) = stage.said(&["-H", "all", "apply"]);
    assert_eq!((code, stage.worked()), (1, vec!["web1".to_owned(), "web2".to_owned()]), "{err}");
    assert!(err.contains("✗ web2: api@2 died at its start"), "{err}");
    assert!(err.contains("api@2 | Error: no such module"), "{err}");
    assert!(err.contains("✗ done: web1; failed: web2; not touched: web3"), "{err}");
    assert!(err.contains("next: clusterctl -H web2,web3 apply"), "{err}");
}

#[test]
fn who_keeps_going_does_the_others() {
    let stage = Stage::shop();
    stage.host("web1", BROKEN);
    let (code, _, err) = stage.said(&["-H", "all", "--keep-going", "apply"]);
    assert_eq!((code, stage.worked().len()), (1, 3), "{err}");
    assert!(err.contains("✗ done: web2, web3; failed: web1"), "{err}");
}

#[test]
fn a_host_that_is_not_reached_keeps_all_from_being_touched() {
    let stage = Stage::shop();
    std::fs::remove_file(stage.path("hosts/web3")).unwrap();
    let (code, _, err) = stage.said(&["-H", "all", "apply"]);
    assert_eq!((code, stage.worked().len()), (1, 0), "{err}");
    assert!(err.contains("✗ web3: not reached: ssh: Could not resolve hostname web3"), "{err}");
    assert!(err.contains("nothing was done on any host"), "{err}");
    let (code, _, err) = stage.said(&["-H", "all", "--keep-going", "apply"]);
    assert_eq!((code, stage.worked()), (1, vec!["web1".to_owned(), "web2".to_owned()]), "{err}");
    assert!(err.contains("✗ done: web1, web2; failed: web3"), "{err}");
}

#[test]
fn problems_of_the_file_have_the_exit_code_that_they_have_here() {
    let stage = Stage::shop();
    let script = "begin\nerr 'error: unknown key\\n --> ecosystem.toml:3:1\\n\\necosystem.toml: 1 problem'\nend 3\n";
    ["web1", "web2", "web3"].iter().for_each(|host| stage.host(host, script));
    let (code, _, err) = stage.said(&["-H", "all", "apply"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("   --> ecosystem.toml:3:1\n"), "{err}");
    assert!(err.contains("✗ web1: ecosystem.toml: 1 problem"), "{err}");
}

#[test]
fn what_a_host_finds_in_the_file_has_the_name_that_the_file_has_here() {
    let stage = Stage::new(&format!("{SHOP}[fleet]\ncwd = \"/srv/there\"\n"));
    let script = "begin\nerr 'error: unknown key\\n --> /srv/there/ecosystem.toml:7:8\\n\\n/srv/there/ecosystem.toml: 1 problem'\nend 3\n";
    ["web1", "web2", "web3"].iter().for_each(|host| stage.host(host, script));
    let (code, _, err) = stage.said(&["-H", "all", "apply", "../shop/ecosystem.toml"]);
    assert_eq!(code, 3, "{err}");
    assert!(
        err.contains("web1, web2, web3\n  error: unknown key\n   --> ../shop/ecosystem.toml:7:8\n"),
        "{err}"
    );
    assert!(err.contains("✗ web1: ../shop/ecosystem.toml: 1 problem"), "{err}");
    assert!(!err.contains("/srv/there"), "{err}");
}

#[test]
fn a_warning_of_several_lines_keeps_them() {
    let stage = Stage::shop();
    let warning =
        "err 'warning: a key without effect\\n --> ecosystem.toml:3:1\\n  |\\n3 | mode = 1'\n";
    let short = "err 'warning: the disk is full'\n";
    stage.host("web1", &GOOD.replace("done_\n", &format!("{warning}{short}done_\n")));
    let (code, _, err) = stage.said(&["-H", "all", "apply"]);
    assert_eq!(code, 0, "{err}");
    let shown = "warning: web1:\n  warning: a key without effect\n   --> ecosystem.toml:3:1\n    |\n  3 | mode = 1\n";
    assert!(err.contains(shown), "{err}");
    assert!(err.contains("\nwarning: web1: the disk is full\n"), "{err}");
    assert!(!err.contains('\u{fffd}'), "{err}");
}

#[test]
fn problems_of_the_hosts_are_told_here_all_at_once() {
    let stage = Stage::new("[[hosts]]\nnam = \"web1\"\n[fleet]\nlimit = \"0%\"\ncwd = \"srv\"\n");
    let (code, _, err) = stage.said(&["-H", "all", "apply"]);
    assert_eq!((code, stage.log().len()), (3, 0), "{err}");
    for part in [
        "unknown key `nam`",
        "`limit` is a number from 1",
        "`srv` is no absolute path",
        "3 problems",
    ] {
        assert!(err.contains(part), "{part}: {err}");
    }
}

#[test]
fn apps_go_to_the_hosts_that_have_them() {
    let file = "[[apps]]\nname = \"api\"\nscript = \"a.js\"\n[[apps]]\nname = \"worker\"\nscript = \"w.js\"\n\
                [[hosts]]\nname = \"web1\"\napps = [\"api\"]\n[[hosts]]\nname = \"jobs\"\napps = [\"worker\"]\n";
    let stage = Stage::new(file);
    ["web1", "jobs"].iter().for_each(|host| stage.host(host, GOOD));
    let (code, _, err) = stage.said(&["-H", "all", "reload", "worker"]);
    assert_eq!((code, stage.worked()), (0, vec!["jobs".to_owned()]), "{err}");
    assert!(err.contains("web1: has nothing of it, left alone"), "{err}");
    stage.write("hosts/log", "");
    let (code, _, err) = stage.said(&["-H", "all", "restart", "api", "worker@1"]);
    assert_eq!(code, 0, "{err}");
    let work: Vec<String> = stage.log().split_off(2);
    let words = "clusterctl --protocol 1 -o json restart";
    assert_eq!(work, [format!("web1 {words} api"), format!("jobs {words} worker@1")]);
}

#[test]
fn words_come_to_the_hosts_as_they_are() {
    let stage = Stage::shop();
    stage.host(
        "web1",
        &format!("eval \"set -- $1\"\nprintf '<%s>' \"$@\" >> $HOSTS/words\nset -- \"$*\"\n{GOOD}"),
    );
    let odd = "/^a b'c$(reboot)/";
    let (code, _, err) = stage.said(&["-H", "web1", "reload", odd]);
    assert_eq!(code, 0, "{err}");
    let words = stage.read("hosts/words");
    assert!(words.ends_with(&format!("<reload><{odd}>")), "{words}");
}

#[test]
fn ctrl_c_lets_the_host_finish_and_begins_no_other() {
    let stage = Stage::shop();
    let waits = "until [ -e $HOSTS/go ]; do sleep 0.05; done\n";
    stage.host("web1", &GOOD.replace("done_\n", &format!("touch $HOSTS/begun\n{waits}done_\n")));
    let child = stage.start(&["-H", "all", "apply"]);
    let wait = |name: &str| {
        // Until the host is at work: nothing tells it to this process but the file.
        while !stage.path(name).exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait("hosts/begun");
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    // Long enough for the signal to be seen before the host ends; either order ends the same way.
    std::thread::sleep(Duration::from_millis(300));
    stage.write("hosts/go", "");
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), stage.worked()),
        (Some(130), vec!["web1".to_owned()]),
        "{err}"
    );
    assert!(err.contains("web1 is worked on to the end, and no further host is begun"), "{err}");
    assert!(err.contains("✗ done: web1; not touched: web2, web3"), "{err}");
    assert!(err.contains("next: clusterctl -H web2,web3 apply"), "{err}");
}

#[test]
fn json_is_a_stream_with_the_host_in_each_event() {
    let stage = Stage::shop();
    let (code, out, err) = stage.said(&["-H", "all", "-o", "json", "apply"]);
    assert_eq!(code, 0, "{err}");
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["event"], "begin");
    assert_eq!(
        (lines[1]["event"].as_str(), lines[1]["host"].as_str()),
        (Some("plan"), Some("web1"))
    );
    let done = lines.iter().filter(|line| line["event"] == "done");
    assert_eq!(
        done.map(|line| line["host"].as_str().unwrap()).collect::<Vec<_>>(),
        ["web1", "web2", "web3"]
    );
    let last = lines.last().unwrap();
    assert_eq!(
        *last,
        serde_json::json!({
            "event": "end", "done": ["web1", "web2", "web3"], "failed": [], "left": [], "under_way": [],
        })
    );
}

#[test]
fn delete_goes_on_with_the_hosts_that_still_have_the_app() {
    let stage = Stage::shop();
    stage.host("web1", "begin\nerr 'error: there is no `api`'\nend 5\n");
    let (code, _, err) = stage.said(&["-H", "all", "delete", "api"]);
    assert_eq!((code, stage.worked()), (0, vec!["web2".to_owned(), "web3".to_owned()]), "{err}");
    ["web2", "web3"].iter().for_each(|host| {
        stage.host(host, "begin\nerr 'error: there is no `api`'\nend 5\n");
    });
    let (code, _, err) = stage.said(&["-H", "all", "delete", "api"]);
    assert_eq!(code, 5, "{err}");
}

/// What a host read of a file of the archive that it got.
fn of_archive(stage: &Stage, host: &str, member: &str) -> String {
    let tar = stage.path(&format!("hosts/{host}.tar"));
    let output = Command::new("tar").arg("-xOf").arg(tar).arg(member).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_host_gets_the_same_release_on_standard_input() {
    let file = "[deploy]\npath = \"/srv/shop\"\n[[hosts]]\nname = \"web1\"\n[[hosts]]\nname = \"web2\"\n\
                apps = [\"api\"]\n[[apps]]\nname = \"worker\"\nscript = \"w.js\"\n[[apps]]\nname = \"api\"\n\
                script = \"a.js\"\n";
    let stage = Stage::new("");
    std::fs::create_dir(stage.path("release")).unwrap();
    stage.write("release/ecosystem.toml", file);
    stage.write("release/a.js", "// code");
    for host in ["web1", "web2"] {
        stage.host(host, &format!("cat > $HOSTS/$NAME.tar\n{GOOD}"));
    }
    let folder = stage.path("release").display().to_string();
    let (code, out, err) = stage.said(&["-H", "all", "deploy", &folder, "--prune", "-n"]);
    assert_eq!((code, stage.worked().len()), (0, 0), "{err}");
    assert!(out.contains("replace 2 instances"), "{out}");
    let (code, _, err) = stage.said(&["-H", "all", "deploy", &folder, "--prune"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(stage.worked(), ["web1", "web2"]);
    let work = "clusterctl --protocol 1 -o json deploy - --prune";
    assert_eq!(stage.log()[4..], ["web1", "web2"].map(|host| format!("{host} {work}")));
    assert_eq!(of_archive(&stage, "web1", "ecosystem.toml"), file);
    assert_eq!(of_archive(&stage, "web2", "a.js"), "// code");
    let of_web2: toml::Table = of_archive(&stage, "web2", "ecosystem.toml").parse().unwrap();
    assert_eq!(of_web2["apps"].as_array().unwrap().len(), 1);
    assert_eq!(of_web2["deploy"]["path"].as_str(), Some("/srv/shop"));
}

#[test]
fn what_is_no_release_reaches_no_host() {
    let stage = Stage::shop();
    std::fs::create_dir(stage.path("release")).unwrap();
    stage.write("release/a.js", "// code");
    for words in [&["release"][..], &["nowhere"], &["release", "--file", "ecosystem.toml"]] {
        let mut all = vec!["-H", "all", "deploy"];
        let folder = stage.path(words[0]).display().to_string();
        all.push(&folder);
        all.extend(&words[1..]);
        let (code, _, err) = stage.said(&all);
        assert!(code != 0 && stage.log().is_empty(), "{words:?}: {code} {err}");
    }
}
