//! A command about one app costs the same however many others there are: it opens no file of theirs.

use crate::booted;
use crate::support::skip;

const APPS: [&str; 4] = ["one", "other0", "other1", "other2"];

booted!(a_command_about_one_app_opens_no_file_of_others, |m| {
    if m.run(["strace", "--version"]).code != 0 {
        return skip::record("strace is missing");
    }
    let apps = APPS.map(|name| {
        format!("[[apps]]\nname = '{name}'\ncommand = ['sleep', 'infinity']\nrollout = {{ min_ready = 0 }}\n")
    });
    m.write("/srv/ecosystem.toml", apps.concat());
    m.ok(["clusterctl", "apply", "/srv/ecosystem.toml"]);
    let opened = |verb: &str| {
        let trace = "strace -f -qq -e trace=openat -o /run/opened";
        let output = m.sh(&format!("{trace} clusterctl {verb}"));
        assert_eq!(output.code, 0, "{verb}: {output:#?}");
        m.read("/run/opened").lines().filter(|line| line.contains("/other")).count()
    };
    for verb in ["describe one", "env one"] {
        assert_eq!(opened(verb), 0, "{verb}");
    }
    // What is counted is there: all of them are read where all are meant.
    assert!(opened("describe all") >= 9);
});
