//! What is known of some servers by their names: the signal at which they finish what they have begun, as their
//! documentation says. At SIGTERM their processes end at once, or do something else.

use std::path::Path;

use super::nature::Nature;
use crate::ecosystem::app::Remark;
use crate::ecosystem::elf;
use crate::ecosystem::host::Search;

/// Begins of the names of their programs (`php-fpm8.2`), and the signal.
const GRACEFUL: &[(&str, &str)] = &[
    ("nginx", "SIGQUIT"),
    ("openresty", "SIGQUIT"),
    ("angie", "SIGQUIT"),
    ("php-fpm", "SIGQUIT"),
    ("apache2", "SIGWINCH"),
    ("httpd", "SIGWINCH"),
    ("lighttpd", "SIGINT"),
    ("haproxy", "SIGUSR1"),
    ("unicorn", "SIGQUIT"),
    ("starman", "SIGQUIT"),
    ("hypnotoad", "SIGQUIT"),
    ("uwsgi", "SIGTERM"),
];

/// At SIGTERM, uWSGI starts again, or with `die-on-term` ends at once. It reads its options from the environment as well.
const UWSGI: (&str, &str) = ("UWSGI_HOOK_MASTER_START", "unix_signal:15 gracefully_kill_them_all");

/// The master of php-fpm asks its processes by SIGQUIT, and those that are at work by SIGTERM in the same moment: that is
/// what the library has to put off in them.
const PHP_FPM: (&str, &str) = ("CLUSTERCTL_KILL_SIGNAL", "SIGTERM");

/// A function that Apache offers to its modules; other programs that are called `httpd`, such as busybox, have none.
const APACHE_SYMBOL: &str = "ap_hook_child_init";

/// A server and its signal.
#[derive(Debug)]
pub(super) struct Graceful {
    /// The name of its program.
    pub program: String,
    /// Such as `SIGQUIT`.
    pub signal: &'static str,
}

/// How an app is asked to stop.
#[derive(Debug)]
pub(super) struct Stop {
    /// Such as `SIGTERM`.
    pub signal: String,
    /// Whether all its processes get it.
    pub all: bool,
    /// A variable without which the program does not take it so.
    pub variable: Option<(&'static str, &'static str)>,
    /// What nobody has written.
    pub remark: Option<Remark>,
}

/// The signal for a program that is started so, where SIGTERM is not the one to send.
pub(super) fn graceful(host: Search<'_>, program: &Path, args: &[String]) -> Option<Graceful> {
    let name = match (program.file_name()?.to_str()?, args) {
        ("bundle" | "bundler", [exec, name, ..]) if exec == "exec" => name,
        (name, _) => name,
    };
    let (known, signal) = GRACEFUL.iter().find(|(known, _)| starts(name, known))?;
    let meant = *known != "httpd" || is_apache(host, program);
    meant.then(|| Graceful { program: name.to_owned(), signal })
}

/// What is written, and for a known server what suits it. Its signal is for its main process, which asks its own: they,
/// and programs that they have started for a request, would take it for another one.
pub(super) fn stop(signal: Option<String>, all: Option<bool>, nature: Option<&Nature>) -> Stop {
    match (signal, nature.and_then(|nature| nature.graceful.as_ref())) {
        (None, Some(Graceful { program, signal })) => {
            let signal = (*signal).to_owned();
            let remark = Remark::StopSignal { program: program.clone(), signal: signal.clone() };
            let variable = match program {
                name if name.starts_with("uwsgi") => Some(UWSGI),
                name if name.contains("php-fpm") => Some(PHP_FPM),
                _ => None,
            };
            Stop { signal, all: all.unwrap_or(false), variable, remark: Some(remark) }
        }
        (signal, _) => Stop {
            signal: signal.unwrap_or_else(|| "SIGTERM".to_owned()),
            all: all.unwrap_or(true),
            variable: None,
            remark: None,
        },
    }
}

/// Whether nothing but a version or a variant follows: not `nginx-exporter`.
fn starts(name: &str, known: &str) -> bool {
    // Some distributions put a version before it: `php83-fpm`, `php83-php-fpm`.
    let name = name.rfind("php").filter(|_| name.ends_with("fpm")).map_or(name, |at| &name[at..]);
    let rest = name.strip_prefix(known);
    let variants =
        ["", "-core", "_python3", "_rails", "-prefork", "-worker", "-event", ".worker", ".event"];
    rest.is_some_and(|rest| {
        variants.contains(&rest) || rest.chars().all(|c| c.is_ascii_digit() || c == '.')
    })
}

fn is_apache(host: Search<'_>, program: &Path) -> bool {
    host.head(program, elf::HEAD).is_some_and(|head| {
        elf::has_symbol(&head, APACHE_SYMBOL, |offset, length| host.part(program, offset, length))
    })
}
