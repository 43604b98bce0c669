//! Why a host gave no answer, or lost it half-way, and what to do about it: from what ssh and the shell there said.

use super::protocol::Refusal;

/// A host that did not say how its command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer {
    /// Why: a fragment such as `Connection refused`.
    pub why: String,
    /// What to do about it, if that can be told.
    pub next: Option<String>,
    /// Whether the command had begun there, and may go on.
    pub begun: bool,
}

/// What is known when the last line has not come.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What ssh is told.
    pub host: &'a str,
    /// Whether the first line had come.
    pub begun: bool,
    /// What was printed before it.
    pub noise: &'a [String],
    /// What ssh, the shell and the program wrote to standard error, the end of it.
    pub said: &'a str,
    /// How many lines stood before that end.
    pub dropped: u64,
    /// The exit code of ssh, which is its own 255, or the command's.
    pub code: Option<i32>,
    /// Whether nothing came in time, so that ssh was ended.
    pub silent: bool,
}

impl NoAnswer {
    /// Judges what is known.
    pub fn of(facts: Facts<'_>) -> NoAnswer {
        let Facts { host, begun, said, code, .. } = facts;
        let last = last_line(said);
        let counted = |last: &str| match facts.dropped {
            0 => last.to_owned(),
            more => format!("{last} (the last of more than {more} lines)"),
        };
        let because = |text: &str| match last {
            Some(last) => format!("{text}: {}", counted(last)),
            None => text.to_owned(),
        };
        if begun && facts.silent {
            let seconds = crate::limits::HOST_SILENT.as_secs();
            let why = because(&format!("it has said nothing more for {seconds} s"));
            return NoAnswer { why, next: Some(look_there(host)), begun };
        }
        if begun {
            let why = match (last, code) {
                (None, Some(code)) => format!("the link was lost (ssh ended with code {code})"),
                _ => because("the link was lost"),
            };
            return NoAnswer { why, next: None, begun };
        }
        let (why, next) = if facts.silent {
            let seconds = crate::limits::HOST_ANSWERS.as_secs();
            (because(&format!("no answer within {seconds} s")), Some(format!("ssh {host} true")))
        } else if code == Some(255) {
            let why = last.map_or_else(|| "ssh failed".to_owned(), counted);
            (why, Some(format!("ssh {host} true")))
        } else if let Some(line) = line_with(said, "sudo:") {
            let rule = "LOGIN ALL=(root) NOPASSWD: /usr/bin/clusterctl";
            (line.to_owned(), Some(format!("on {host}: visudo, and a line such as `{rule}`")))
        } else if code == Some(127) {
            (because("clusterctl is not found there"), Some(format!("install it on {host}")))
        } else if said.contains("--protocol") {
            ("its clusterctl is older than `-H`".to_owned(), Some(format!("upgrade {host}")))
        } else {
            let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
            let why = format!("clusterctl did not answer, ssh ended with {code}");
            let heard = last.or_else(|| facts.noise.last().map(String::as_str));
            (heard.map_or_else(|| why.clone(), |heard| format!("{why}: {heard}")), None)
        };
        NoAnswer { why, next, begun }
    }

    /// A host that does not stop to talk.
    pub fn endless(host: &str, begun: bool) -> NoAnswer {
        let why = format!("it says more than {} MiB", crate::limits::HOST_ANSWER >> 20);
        NoAnswer { why, next: Some(look_there(host)), begun }
    }

    /// A host about which nobody wants to know more.
    pub fn unasked() -> NoAnswer {
        NoAnswer { why: "Ctrl-C".to_owned(), next: None, begun: false }
    }

    /// A host that speaks another format.
    pub fn refused(host: &str, refusal: &Refusal) -> NoAnswer {
        let own = env!("CARGO_PKG_VERSION");
        let (why, next) = match refusal {
            Refusal::Newer { version, format } => (
                format!(
                    "clusterctl {version} there speaks format {format}, this one ({own}) format {}",
                    super::FORMAT
                ),
                format!("upgrade clusterctl here to {version}"),
            ),
            Refusal::Older { version } => {
                (format!("clusterctl {version} there is too old"), format!("upgrade {host}"))
            }
        };
        NoAnswer { why, next: Some(next), begun: false }
    }
}

fn look_there(host: &str) -> String {
    format!("look there: ssh {host} clusterctl list")
}

fn last_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).rfind(|line| !line.is_empty())
}

fn line_with<'a>(text: &'a str, beginning: &str) -> Option<&'a str> {
    text.lines().map(str::trim).find(|line| line.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts<'_> = Facts {
        host: "web1",
        begun: false,
        noise: &[],
        said: "",
        dropped: 0,
        code: Some(255),
        silent: false,
    };

    fn told(facts: Facts<'_>) -> (String, Option<String>) {
        let NoAnswer { why, next, begun } = NoAnswer::of(facts);
        assert_eq!(begun, facts.begun);
        (why, next)
    }

    #[test]
    fn the_reason_is_the_one_that_was_said() {
        let said = "Warning: odd\nssh: connect to host web1 port 22: Connection refused\r\n";
        let (why, next) = told(Facts { said, ..FACTS });
        assert_eq!(why, "ssh: connect to host web1 port 22: Connection refused");
        assert_eq!(next.as_deref(), Some("ssh web1 true"));
        assert_eq!(told(FACTS).0, "ssh failed");
        let silent = Facts { silent: true, code: None, ..FACTS };
        assert_eq!(told(silent).0, "no answer within 15 s");
    }

    #[test]
    fn what_is_missing_there_is_named() {
        let said = "sh: 1: clusterctl: not found";
        let (why, next) = told(Facts { said, code: Some(127), ..FACTS });
        assert_eq!(why, "clusterctl is not found there: sh: 1: clusterctl: not found");
        assert_eq!(next.as_deref(), Some("install it on web1"));
        let said = "sudo: a password is required\n";
        let (why, next) = told(Facts { said, code: Some(1), ..FACTS });
        assert_eq!(why, "sudo: a password is required");
        assert!(next.is_some_and(|next| next.contains("NOPASSWD")));
        let said = "error: unexpected argument '--protocol' found\n\nUsage: clusterctl\n";
        let (_, next) = told(Facts { said, code: Some(2), ..FACTS });
        assert_eq!(next.as_deref(), Some("upgrade web1"));
        let noise = ["This account is closed.".to_owned()];
        let (why, _) = told(Facts { noise: &noise, code: Some(1), ..FACTS });
        assert_eq!(
            why,
            "clusterctl did not answer, ssh ended with code 1: This account is closed."
        );
    }

    #[test]
    fn a_link_that_is_lost_later_is_told_apart() {
        let said = "Timeout, server web1 not responding.";
        let (why, next) = told(Facts { begun: true, said, ..FACTS });
        assert_eq!(why, "the link was lost: Timeout, server web1 not responding.");
        assert_eq!(next, None);
        let silent = Facts { begun: true, said: "a\nb", dropped: 7, silent: true, ..FACTS };
        let (why, next) = told(silent);
        let text = "it has said nothing more for 15 s: b (the last of more than 7 lines)";
        assert_eq!(why, text);
        assert_eq!(next.as_deref(), Some("look there: ssh web1 clusterctl list"));
    }

    #[test]
    fn who_has_to_upgrade_is_said() {
        let newer = Refusal::Newer { version: "9.9".into(), format: 99 };
        let refused = NoAnswer::refused("web1", &newer);
        assert!(refused.why.contains("format 99"), "{refused:?}");
        assert_eq!(refused.next.as_deref(), Some("upgrade clusterctl here to 9.9"));
        let older = NoAnswer::refused("web1", &Refusal::Older { version: "0.1".into() });
        assert_eq!(older.next.as_deref(), Some("upgrade web1"));
    }
}
