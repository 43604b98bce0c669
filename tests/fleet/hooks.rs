//! What runs here before a host's app is taken away, and after it is back.

use crate::stage::{GOOD, SHOP, Stage};

/// Three hosts, and hooks that note when they run.
fn hooked() -> Stage {
    let file = format!(
        "{SHOP}[fleet]\nbefore = \"echo - $HOST >> hooks\"\nafter = \"echo + $HOST >> hooks\"\n"
    );
    let stage = Stage::new(&file);
    ["web1", "web2", "web3"].iter().for_each(|host| stage.host(host, GOOD));
    stage
}

#[test]
fn hooks_run_here_around_what_takes_a_host_away() {
    let stage = hooked();
    for (words, expected) in [
        (&["reload", "api"][..], ""),
        (&["apply"][..], ""),
        (&["stop", "api"][..], "- web1\n- web2\n- web3\n"),
        (&["start", "api"][..], "+ web1\n+ web2\n+ web3\n"),
        (&["restart", "api"][..], "- web1\n+ web1\n- web2\n+ web2\n- web3\n+ web3\n"),
        (&["delete", "api"][..], "- web1\n- web2\n- web3\n"),
        // One instance out of rotation takes no app away; all of them do.
        (&["drain", "api@0"][..], ""),
        (&["drain", "api"][..], "- web1\n- web2\n- web3\n"),
        (&["undrain", "api"][..], "+ web1\n+ web2\n+ web3\n"),
        (&["scale", "api", "1"][..], ""),
    ] {
        stage.write("shop/hooks", "");
        let (code, _, err) = stage.said(&[&["-H", "all"], words].concat());
        assert_eq!((code, stage.read("shop/hooks").as_str()), (0, expected), "{words:?} {err}");
    }
}

#[test]
fn a_host_whose_hook_fails_is_not_touched() {
    let file = format!(
        "{SHOP}[fleet]\nbefore = \"[ $HOST = web1 ] || {{ echo balancer is away; exit 1; }}\"\n"
    );
    let stage = Stage::new(&file);
    ["web1", "web2", "web3"].iter().for_each(|host| stage.host(host, GOOD));
    let (code, _, err) = stage.said(&["-H", "all", "stop", "api"]);
    assert_eq!((code, stage.worked()), (1, vec!["web1".to_owned()]), "{err}");
    assert!(
        err.contains("✗ web2: not touched: `before` failed: exit status: 1: balancer is away"),
        "{err}"
    );
    let file = format!("{SHOP}[fleet]\nafter = \"exit 4\"\n");
    stage.write("shop/ecosystem.toml", &file);
    let (code, _, err) = stage.said(&["-H", "web1", "start", "api"]);
    assert_eq!(code, 1);
    assert!(err.contains("✗ web1: done, but `after` failed: exit status: 4"), "{err}");
}

/// A host whose plan has these actions, app by app.
fn with_plan(stage: &Stage, host: &str, apps: &[&[&str]]) {
    let steps = |actions: &&[&str]| {
        let steps = actions.iter().map(|action| format!("{{\"action\":\"{action}\"}}"));
        format!("{{\"app\":\"a\",\"steps\":[{}]}}", steps.collect::<Vec<_>>().join(","))
    };
    let apps = apps.iter().map(steps).collect::<Vec<_>>().join(",");
    let plan = format!(
        "data '{{\"event\":\"plan\",\"version\":1,\"changes\":true,\"text\":\"\",\"diff\":\"\",\"apps\":[{apps}]}}'"
    );
    stage.host(host, &GOOD.replace("plan; end 0", &format!("{plan}; end 0")));
}

#[test]
fn a_plan_that_takes_an_app_away_has_them_on_the_hosts_where_it_does() {
    let stage = hooked();
    with_plan(&stage, "web1", &[&["roll"]]);
    with_plan(&stage, "web2", &[&["roll"], &["remove"]]);
    with_plan(&stage, "web3", &[&["rebind"]]);
    let (code, _, err) = stage.said(&["-H", "all", "apply", "--prune", "-n"]);
    assert_eq!((code, stage.read("shop/hooks").as_str()), (0, ""), "{err}");
    assert!(err.contains("here, before web2, web3: echo - $HOST >> hooks"), "{err}");
    assert!(err.contains("here, after web2, web3: echo + $HOST >> hooks"), "{err}");
    for words in [&["apply", "--prune"][..], &["rollback", "a"]] {
        stage.write("shop/hooks", "");
        let (code, _, err) = stage.said(&[&["-H", "all"], words].concat());
        let expected = "- web2\n+ web2\n- web3\n+ web3\n";
        assert_eq!((code, stage.read("shop/hooks").as_str()), (0, expected), "{words:?} {err}");
    }
    // Where no app is left nothing is put back, and a failure leaves the host out of rotation.
    with_plan(&stage, "web1", &[&["remove"]]);
    stage.host("web2", &stage.read("hosts/web2").replace("done_\nend 0", "end 1"));
    stage.write("shop/hooks", "");
    let (code, _, err) = stage.said(&["-H", "all", "apply", "--prune"]);
    let (hooks, expected) = (stage.read("shop/hooks"), "- web1\n- web2\n");
    assert_eq!((code, hooks.as_str()), (1, expected), "{err}");
    assert!(err.contains("when the host serves again: HOST=web2 echo + $HOST"), "{err}");
    let (_, out, _) = stage.said(&["-H", "all", "-o", "json", "apply", "--prune", "-n"]);
    let event = r#"{"command":"echo - $HOST >> hooks","event":"hooks","hosts":["web1","web2","web3"],"when":"before"}"#;
    assert!(out.contains(event), "{out}");
}

#[test]
fn a_release_that_is_not_built_yet_may_take_an_app_away() {
    let stage = hooked();
    let file = stage.read("shop/ecosystem.toml");
    let deploy = "[deploy]\npath = \"/srv/shop\"\nbuild = \"make\"\n";
    stage.write("shop/ecosystem.toml", &format!("{file}{deploy}"));
    // What a host says of it before the build: no plan.
    for host in ["web1", "web2", "web3"] {
        stage.host(host, &format!("cat >/dev/null\n{}", GOOD.replace("plan; end 0", "end 0")));
    }
    for (words, expected) in [
        (&["deploy", "."][..], ""),
        (&["deploy", ".", "--prune"], "- web1\n+ web1\n- web2\n+ web2\n- web3\n+ web3\n"),
    ] {
        let (code, _, err) = stage.said(&[&["-H", "all"], words].concat());
        assert_eq!((code, stage.read("shop/hooks").as_str()), (0, expected), "{words:?} {err}");
    }
}

#[test]
fn a_host_that_still_serves_something_of_the_file_is_put_back_after_a_delete() {
    let stage = hooked();
    let file = stage.read("shop/ecosystem.toml");
    stage.write(
        "shop/ecosystem.toml",
        &format!("{file}[[apps]]\nname = \"worker\"\nscript = \"w.js\"\n"),
    );
    // What else each host has: an app of the file that serves, one that does not, and one of another file.
    for (host, rest) in [
        ("web1", r#"{"app":"worker","status":"online"}"#),
        ("web2", r#"{"app":"worker","status":"stopped"}"#),
        ("web3", r#"{"app":"other","status":"online"}"#),
    ] {
        let api = r#"{"app":"api","status":"online"}"#;
        let list =
            |rows: &str| format!("data '{{\"version\":1,\"instances\":[{rows}]}}'; end 0 ;;");
        let script = format!(
            "begin\ncase \"$1\" in\n*' list api') {}\n*' list') {}\nesac\ndone_\nend 0\n",
            list(api),
            list(&format!("{api},{rest}"))
        );
        stage.host(host, &script);
    }
    for (words, expected) in [
        (&["delete", "api"][..], "- web1\n+ web1\n- web2\n- web3\n"),
        // Who stops an app starts it again, and that puts the host back.
        (&["stop", "api"], "- web1\n- web2\n- web3\n"),
    ] {
        stage.write("shop/hooks", "");
        let (code, _, err) = stage.said(&[&["-H", "all"], words].concat());
        assert_eq!((code, stage.read("shop/hooks").as_str()), (0, expected), "{words:?} {err}");
    }
    let (_, _, err) = stage.said(&["-H", "all", "delete", "api"]);
    assert!(err.contains("here, after web1: echo + $HOST >> hooks"), "{err}");
}
