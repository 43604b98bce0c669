//! `pm2 serve`: PM2's own server of files, which is an app of its own in its lists.

use super::draft::{Draft, LeftOut};
use super::ports::port;

/// The port that PM2 serves files on where nothing says another one.
const PORT: u16 = 8080;

/// Puts a server in the place of PM2's, which is no program of its own.
pub(super) fn replace(draft: &mut Draft) {
    let script = draft.text("script").unwrap_or_default();
    let is_pm2s = script == "serve" || script.ends_with("/pm2/lib/API/Serve.js");
    if !is_pm2s {
        return;
    }
    let of = |name: &str| draft.variable(name);
    let folder = of("PM2_SERVE_PATH").unwrap_or_else(|| ".".to_owned());
    let port = of("PM2_SERVE_PORT").and_then(|text| port(&text)).unwrap_or(PORT);
    let spa = of("PM2_SERVE_SPA").is_some_and(|value| value == "true");
    let password = of("PM2_SERVE_BASIC_AUTH").is_some_and(|value| value == "true");
    for key in ["script", "args", "interpreter", "interpreter_args", "exec_mode"] {
        draft.remove(key);
    }
    draft.tables.iter_mut().for_each(|(_, lines)| {
        lines.retain(|line| !line.key.starts_with("PM2_SERVE_"));
    });
    let words = ["python3", "-m", "http.server", &port.to_string(), "--directory", &folder];
    let words = words.into_iter().map(toml::Value::from).collect();
    draft.set("command", toml::Value::Array(words)).remark =
        Some("in the place of `pm2 serve`".to_owned());
    draft.listens(&[port.to_string()], "as `pm2 serve` was told");
    for (is, what, instead) in [
        (
            spa,
            "PM2_SERVE_SPA",
            "index.html for paths that do not exist needs another server, such as nginx or `npx serve -s`",
        ),
        (password, "PM2_SERVE_BASIC_AUTH", "a password needs another server, such as nginx"),
    ] {
        if is {
            draft.leave(LeftOut::new(what, "is a feature of PM2's own server").instead(instead));
        }
    }
}
