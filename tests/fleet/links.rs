//! What comes over the link: noise, words of other versions, and nothing at all.

use crate::stage::{BEGIN, GOOD, Stage};

#[test]
fn noise_of_a_shell_and_unknown_events_do_no_harm() {
    let stage = Stage::shop();
    let noisy = format!(
        "echo 'Welcome to web1!'; echo '{{\"event\":\"end\",\"code\":7}}'; echo motd >&2\n{}",
        GOOD.replace(
            "begin\n",
            "begin\necho '{\"event\":\"sparkle\",\"n\":[1]}'\ndata '{\"event\":\"new\"}'\n"
        )
    );
    ["web1", "web2", "web3"].iter().for_each(|host| stage.host(host, &noisy));
    let (code, _, err) = stage.said(&["-H", "all", "apply"]);
    assert_eq!((code, stage.worked().len()), (0, 3), "{err}");
}

#[test]
fn a_newer_format_is_refused() {
    let stage = Stage::shop();
    let newer = BEGIN.replace(":1}", ":99}").replace("0.1.0", "9.9.0");
    stage.host("web1", &format!("echo '{newer}'\nsleep 60\n"));
    let (code, _, err) = stage.said(&["-H", "all", "apply"]);
    assert_eq!((code, stage.worked().len()), (1, 0), "{err}");
    assert!(err.contains("web1: not reached: clusterctl 9.9.0 there speaks format 99"), "{err}");
    assert!(err.contains("next: upgrade clusterctl here to 9.9.0"), "{err}");
}

#[test]
fn an_older_version_is_to_be_upgraded() {
    let stage = Stage::shop();
    stage.host("web1", "echo \"error: unexpected argument '--protocol' found\" >&2; exit 2\n");
    let (code, _, err) = stage.said(&["-H", "all", "list"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("next: upgrade web1"), "{err}");
}

#[test]
fn what_is_missing_there_is_said() {
    let stage = Stage::shop();
    stage.host("web1", "echo 'sh: 1: clusterctl: not found' >&2; exit 127\n");
    stage.host("web2", "echo 'sudo: a password is required' >&2; exit 1\n");
    let (code, out, err) = stage.said(&["-H", "all", "list"]);
    assert_eq!(code, 1, "{err}");
    assert!(out.contains("✗ web1: not reached: clusterctl is not found there"), "{out}");
    assert!(out.contains("✗ web2: not reached: sudo: a password is required"), "{out}");
    assert!(err.contains("next: install it on web1") && err.contains("NOPASSWD"), "{err}");
}

#[test]
fn a_link_that_is_lost_leaves_the_rollout_there() {
    let stage = Stage::shop();
    let lost = "echo 'Timeout, server web2 not responding.' >&2; exit 255\n";
    stage.host("web2", &GOOD.replace("done_\n", lost));
    let (code, _, err) = stage.said(&["-H", "all", "apply"]);
    assert_eq!((code, stage.worked().len()), (1, 2), "{err}");
    let told = "✗ web2: the link was lost: Timeout, server web2 not responding.; what has begun there goes on";
    assert!(err.contains(told), "{err}");
    assert!(
        err.contains("web2: the link was lost, and not its rollout: clusterctl -H web2 list"),
        "{err}"
    );
    assert!(err.contains("not touched: web3"), "{err}");
}

#[test]
fn a_host_that_says_nothing_is_given_up() {
    let stage = Stage::shop();
    stage.host("web2", "exec sleep 120\n");
    let (code, out, err) = stage.said(&["-H", "all", "list"]);
    assert_eq!(code, 1, "{err}");
    assert!(out.contains("✗ web2: not reached: no answer within 15 s"), "{out}");
    assert!(out.contains("web3"), "{out}");
}

#[test]
fn a_host_that_falls_silent_is_given_up_where_it_is_only_asked() {
    let stage = Stage::shop();
    // With a child that holds the link open, as a shell there may have.
    stage.host("web2", "begin\necho 'a disk hangs' >&2\nsleep 120 &\nexec sleep 120\n");
    let (code, out, err) = stage.said(&["-H", "all", "list"]);
    assert_eq!(code, 1, "{err}");
    let why = "✗ web2: it has said nothing more for 15 s: a disk hangs\n";
    assert!(out.contains(why) && out.contains("web3"), "{out}");
    assert!(err.contains("next: look there: ssh web2 clusterctl list"), "{err}");
    let (code, _, err) = stage.said(&["-H", "web1,web2", "apply"]);
    assert_eq!((code, stage.worked().len()), (1, 0), "{err}");
    assert!(err.contains("web2: it has said nothing more for 15 s"), "{err}");
}

#[test]
fn a_host_that_works_may_be_silent() {
    let stage = Stage::shop();
    // Longer than any limit of a host that is asked.
    stage.host("web1", &GOOD.replace("done_\n", "sleep 17\ndone_\n"));
    let (code, _, err) = stage.said(&["-H", "web1", "apply"]);
    assert_eq!((code, stage.worked().len()), (0, 1), "{err}");
}

#[test]
fn of_what_a_host_writes_to_standard_error_the_last_words_count() {
    let stage = Stage::shop();
    stage.host("web1", "yes 'a warning' | head -n 1000000 >&2\necho 'no route' >&2\nexit 255\n");
    let (_, out, _) = stage.said(&["-H", "web1", "list"]);
    assert!(out.contains("✗ web1: not reached: no route (the last of more than 99"), "{out}");
    // One that never stops is ended with its command.
    stage.host("web1", &format!("yes 'a warning' >&2 &\n{GOOD}\n"));
    let (code, _, err) = stage.said(&["-H", "web1", "apply"]);
    assert_eq!(code, 0, "{err}");
}

#[test]
fn what_hosts_say_commands_no_terminal() {
    let stage = Stage::shop();
    stage.host("web1", "begin\nerr 'error: \\u001b[2J\\u0007gone'\nend 1\n");
    let (_, _, err) = stage.said(&["-H", "web1", "apply"]);
    assert!(!err.contains('\x07') && !err.contains("\x1b[2J"), "{err:?}");
}

#[test]
fn without_ssh_the_reason_is_told() {
    let stage = Stage::shop();
    std::fs::remove_file(stage.path("bin/ssh")).unwrap();
    let mut command = stage.command(&["-H", "web1", "list"]);
    let output = command.env("PATH", stage.path("bin")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("ssh cannot be started"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}
