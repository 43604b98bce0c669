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
    let home = of("PM2_SERVE_HOMEPAGE").filter(|_| spa);
    let listing = of("PM2_SERVE_FTP").is_some_and(|value| value == "true");
    for key in ["script", "args", "interpreter", "interpreter_args", "exec_mode"] {
        draft.remove(key);
    }
    draft.tables.iter_mut().for_each(|(_, lines)| {
        // The server takes its password from them.
        lines.retain(|line| {
            !line.key.starts_with("PM2_SERVE_") || line.key.starts_with("PM2_SERVE_BASIC_AUTH")
        });
    });
    let mut words = vec!["clusterctl".to_owned(), "serve-files".to_owned(), folder];
    words.extend(["--port".to_owned(), port.to_string()]);
    words.extend(spa.then(|| "--spa".to_owned()));
    words.extend(home.into_iter().flat_map(|home| ["--homepage".to_owned(), home]));
    let words = words.into_iter().map(toml::Value::from).collect();
    draft.set("command", toml::Value::Array(words)).remark =
        Some("in the place of `pm2 serve`".to_owned());
    draft.listens(&[port.to_string()], "as `pm2 serve` was told");
    if listing {
        let instead =
            "write a list of the files into index.html, or take another server, such as nginx";
        draft.leave(LeftOut::new("PM2_SERVE_FTP", "shows the names of all files").instead(instead));
    }
}
