//! What an app listens on, as far as its definition says: `PORT`, `port`, and options of its command line.
//! It never looks at what runs.

use super::draft::{Draft, DraftLine};
use super::value::plain;

/// Options that say a port or an address with one.
const OPTIONS: [&str; 8] =
    ["--port", "-p", "--bind", "-b", "--listen", "-l", "--http-port", "--server.port"];

/// Writes `listen` where the definition says it.
pub(super) fn from_definition(draft: &mut Draft) {
    if draft.has_listener() {
        return;
    }
    if let Some(port) = draft.variable("PORT").and_then(|text| port(&text)) {
        by_variable(draft, port);
    } else if let Some((value, option)) = by_option(draft) {
        draft.listens(&[value], &format!("as {option} says"));
    }
}

/// `PORT`, which may be another one with each `--env NAME`.
fn by_variable(draft: &mut Draft, port: u16) {
    let of_profile = |(name, lines): &(String, Vec<DraftLine>)| {
        let name = name.strip_prefix("env_")?;
        let value = plain(&lines.iter().find(|line| line.key == "PORT")?.value);
        (value != port.to_string()).then(|| format!("{value} with --env {name}"))
    };
    let others: Vec<String> = draft.tables.iter().filter_map(of_profile).collect();
    if others.is_empty() {
        return draft.listens(&[port.to_string()], "as PORT says");
    }
    let remark = format!("listens on PORT: {port}, {}", others.join(", "));
    draft.set("exec_mode", "cluster").remark = Some(remark);
    draft.by_variable = true;
}

/// A port or an address behind an option of the command line.
fn by_option(draft: &Draft) -> Option<(String, String)> {
    let words: Vec<String> =
        ["script", "command", "args"].into_iter().flat_map(|key| words(draft, key)).collect();
    words.iter().enumerate().find_map(|(at, word)| {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (word.as_str(), words.get(at + 1).map(String::as_str)),
        };
        let value = value.filter(|_| OPTIONS.contains(&option))?;
        Some((listen_value(value)?, word.split('=').next()?.to_owned()))
    })
}

fn words(draft: &Draft, key: &str) -> Vec<String> {
    match draft.get(key) {
        Some(toml::Value::Array(items)) => items.iter().map(plain).collect(),
        Some(toml::Value::String(line)) => line.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// `8000`, `:8000`, `0.0.0.0:8000`, `localhost:8000`, `unix:/run/a.sock` as a value of `listen`.
fn listen_value(text: &str) -> Option<String> {
    let text = text.trim_matches(['\'', '"']);
    if let Some(path) = text.strip_prefix("unix:") {
        return path.starts_with('/').then(|| text.to_owned());
    }
    if let Some(port) = port(text.strip_prefix(':').unwrap_or(text)) {
        return Some(port.to_string());
    }
    let (host, number) = text.rsplit_once(':')?;
    let number = port(number)?;
    let host = if host == "localhost" { "127.0.0.1" } else { host };
    format!("{host}:{number}")
        .parse::<std::net::SocketAddr>()
        .ok()
        .map(|address| address.to_string())
}

/// A port that may be listened on.
pub(super) fn port(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_behind_options() {
        for (text, expected) in [
            ("8000", Some("8000")),
            (":8000", Some("8000")),
            ("0.0.0.0:8000", Some("0.0.0.0:8000")),
            ("[::1]:8000", Some("[::1]:8000")),
            ("localhost:80", Some("127.0.0.1:80")),
            ("unix:/run/a.sock", Some("unix:/run/a.sock")),
            ("unix:a.sock", None),
            ("0", None),
            ("$PORT", None),
            ("production", None),
        ] {
            assert_eq!(listen_value(text).as_deref(), expected, "{text}");
        }
    }
}
