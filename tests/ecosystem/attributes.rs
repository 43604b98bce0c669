//! Attributes of PM2 that are neither a directive of a unit nor one of the keys that other files here test.

use std::path::Path;

use clusterctl::ecosystem::{Asks, Color, PidFile};

use crate::host::FakeHost;
use crate::{app, app_on, read};

/// The name of the only app of a file that is read with a profile.
fn name(more: &str, profile: Option<&str>) -> String {
    let text = format!("[[apps]]\nscript = 'server.js'\nenv_qa = {{ A = 1 }}\n{more}\n");
    let loaded = read(&text, profile, &FakeHost::new());
    let loaded = loaded.unwrap_or_else(|problems| panic!("{}", problems.render(Color::Off)));
    loaded.ecosystem.apps.into_keys().next().unwrap().to_string()
}

/// What is said of a file that is refused or warned of.
fn said(text: &str) -> String {
    let read = read(&format!("[[apps]]\nscript = 'server.js'\n{text}\n"), None, &FakeHost::new());
    read.map(|loaded| loaded.warnings).unwrap_or_else(|problems| problems).render(Color::Off)
}

#[test]
fn name_prefix_stands_before_the_name() {
    assert_eq!(name("name = 'api'\nname_prefix = 'shop'", None), "shop-api");
    // The prefix stands before a name made from the script too, and may be empty.
    assert_eq!(name("name_prefix = 'shop-'", None), "shop-server");
    assert_eq!(name("name = 'api'\nname_prefix = ''", None), "api");
}

#[test]
fn append_env_to_name_adds_the_profile() {
    let text = "name = 'api'\nappend_env_to_name = true";
    assert_eq!(name(text, Some("qa")), "api-qa");
    assert_eq!(name(text, None), "api");
    assert_eq!(name(&format!("{text}\nname_prefix = 'shop'"), Some("qa")), "shop-api-qa");
}

#[test]
fn filter_env_names_variables_of_the_manager() {
    let filtered =
        |value: &str| app(&format!("script = 'server.js'\nfilter_env = {value}")).filtered;
    assert_eq!(filtered("'DISPLAY'"), ["DISPLAY"]);
    assert_eq!(filtered("['DISPLAY', 'SSH_AUTH_SOCK']"), ["DISPLAY", "SSH_AUTH_SOCK"]);
    assert!(filtered("true").is_empty(), "nothing of a shell comes here anyway");
    assert!(
        said("filter_env = false").contains("lets nothing of your shell's environment through")
    );
}

#[test]
fn log_file_is_for_both_streams() {
    let logs = app("script = 'server.js'\nlog_file = '/var/log/a.log'").logs;
    let path = Some(Path::new("/var/log/a.log"));
    assert_eq!((logs.out_file.as_deref(), logs.error_file.as_deref()), (path, path));
    let logs = app("script = 'server.js'\nlog = false").logs;
    assert_eq!((logs.out_file, logs.error_file), (None, None));
    assert!(said("log_file = true").contains("the journal holds both streams"));
}

#[test]
fn merge_logs_says_whether_instances_share_a_file() {
    let of_each = |text: &str| app(&format!("script = 'server.js'\n{text}")).logs.of_each;
    assert!(of_each("out_file = '/var/log/a.log'\nmerge_logs = false"));
    assert!(of_each("log_file = '/var/log/a.log'\ncombine_logs = false"));
    assert!(!of_each("out_file = '/var/log/a.log'\nmerge_logs = true"));
    assert!(!of_each("out_file = '/var/log/a.log'"));
    assert_eq!(said("out_file = '/var/log/a.log'\nmerge_logs = false").trim(), "");
    assert!(said("combine_logs = false").contains("keeps every instance apart anyway"));
}

#[test]
fn pid_file_is_written_with_the_rights_that_its_folder_asks_for() {
    let pid = |text: &str| app(&format!("script = 'server.js'\n{text}")).process.pid_file;
    let file = |path: &str, by_program| Some(PidFile { path: path.into(), by_program });
    assert_eq!(pid("pid_file = '/run/a.pid'"), file("/run/a.pid", false));
    assert_eq!(pid("pid = '/run/a.pid'\nuser = 'api'"), file("/run/a.pid", false));
    assert_eq!(pid("pid_file = '/home/api/a.pid'\nuser = 'api'"), file("/home/api/a.pid", true));
    assert_eq!(pid(""), None);
}

#[test]
fn treekill_says_who_is_asked_to_stop() {
    let asks = |text: &str| app(&format!("script = 'server.js'\n{text}")).asks;
    assert_eq!((asks(""), asks("treekill = true")), (Asks::All, Asks::All));
    assert_eq!(asks("treekill = false"), Asks::MainAlone);
}

#[test]
fn uid_and_gid_are_names_or_numbers() {
    let app = app_on("script = 'server.js'\nuid = 1000\ngid = 'www-data'", &FakeHost::new());
    assert_eq!(
        (app.process.user.as_deref(), app.process.group.as_deref()),
        (Some("api"), Some("www-data"))
    );
    assert!(said("uid = 4711").contains("`useradd --system --uid 4711 NAME`"));
}

#[test]
fn node_args_stand_before_the_script() {
    let app = app("script = 'server.js'\nnode_args = '--max-old-space-size=512'");
    assert_eq!(app.command.args, ["--max-old-space-size=512", "/srv/app/server.js"]);
}

#[test]
fn exec_interpreter_is_another_word_for_interpreter() {
    let app = app("exec = 'worker.py'\nexec_interpreter = 'python3'");
    assert_eq!(app.command.program, Path::new("/usr/bin/python3"));
}

#[test]
fn watch_is_a_folder_or_paths() {
    let paths = |text: &str| {
        app(&format!("script = 'server.js'\n{text}")).reloads.watch.map(|watch| watch.paths)
    };
    assert_eq!(paths("watch = true"), Some(vec!["/srv/app".into()]));
    assert_eq!(paths("watch = 'src'"), Some(vec!["/srv/app/src".into()]));
    assert_eq!(paths("watch = ['src', '/etc/api.env']").unwrap().len(), 2);
    for off in ["", "watch = false", "watch = ''", "watch = []"] {
        assert_eq!(paths(off), None, "{off}");
    }
}

#[test]
fn ignore_watch_and_watch_delay_say_what_counts_and_when() {
    let text = "script = 'server.js'\nwatch = true\nwatch_delay = 1000\n\
                ignore_watch = ['node_modules', './client/img/', '**/*.tmp', '/var/x/*']";
    let watch = app(text).reloads.watch.unwrap();
    assert_eq!(watch.delay.as_millis(), 1000);
    assert_eq!(watch.ignore, ["node_modules", "/srv/app/client/img", "*.tmp", "/var/x"]);
    assert!(said("ignore_watch = 'a'").contains("does nothing without `watch`"));
    assert!(said("watch_delay = 9").contains("does nothing without `watch`"));
}

#[test]
fn commands_run_around_a_rollout() {
    let text = "script = 'server.js'\nbefore_reload = 'npm run migrate'\nafter_reload = ['a', 'b']";
    let hooks = app(text).reloads;
    assert_eq!((hooks.before.len(), hooks.after), (1, vec!["a".to_owned(), "b".to_owned()]));
    let job = said("autorestart = false\nbefore_reload = 'x'");
    assert!(job.contains("`before_reload` is never run"), "{job}");
}
