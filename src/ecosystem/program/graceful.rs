//! What is known of some servers by their names: the signal at which they finish what they have begun, as their
//! documentation says. At SIGTERM their processes end at once, or do something else.
//!
//! Known servers are told by their names (`resolve/signals.rs`), since no file says which signal
//! its program takes for a graceful end. Apache is told by what is in it as well, because busybox
//! has an `httpd` that ignores SIGWINCH. Nothing is chosen where the file writes `kill_signal`.

use std::path::Path;

use super::elf;
use crate::ecosystem::model::host::Search;

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

/// A function that Apache offers to its modules; other programs that are called `httpd`, such as busybox, have none.
const APACHE_SYMBOL: &str = "ap_hook_child_init";

/// A server and its signal.
#[derive(Debug)]
pub(crate) struct Graceful {
    /// The name of its program.
    pub program: String,
    /// The signal for a graceful end, such as `SIGQUIT`.
    pub signal: &'static str,
}

/// The signal for a program that is started so, where SIGTERM is not the one to send.
pub(crate) fn graceful(host: Search<'_>, program: &Path, args: &[String]) -> Option<Graceful> {
    let name = match (program.file_name()?.to_str()?, args) {
        ("bundle" | "bundler", [exec, name, ..]) if exec == "exec" => name,
        (name, _) => name,
    };
    let (known, signal) = GRACEFUL.iter().find(|(known, _)| starts(name, known))?;
    let meant = *known != "httpd" || is_apache(host, program);
    meant.then(|| Graceful { program: name.to_owned(), signal })
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
