//! Variables of PM2's processes: what somebody meant for the app, without PM2's own words and the shell of
//! whoever started it. It decides by names and by the shell's values alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

/// What PM2 writes as attributes although nobody set it, or under a name of its own.
const OWN: &[&str] = &[
    "pm_exec_path",
    "pm_cwd",
    "pm_out_log_path",
    "pm_err_log_path",
    "pm_pid_path",
    "pm_log_path",
    "pm_id",
    "pm_uptime",
    "status",
    "created_at",
    "restart_time",
    "unstable_restarts",
    "axm_actions",
    "axm_monitor",
    "axm_options",
    "axm_dynamic",
    "node_version",
    "version",
    "unique_id",
    "exit_code",
    "prev_restart_delay",
    "versioning",
    "vizion_running",
    "km_link",
    "pmx_module",
    "NODE_APP_INSTANCE",
    "started_inside",
    "monitor",
    "exec_interpreter",
    "interpreter_args",
    "env",
    "name",
    "args",
    "node_args",
    "exec_mode",
    "instances",
    "PM2_HOME",
    "windowsHide",
    "kill_retry_time",
    "username",
    "vizion",
    "pmx",
    "automation",
    "treekill",
    "merge_logs",
    "instance_var",
    "namespace",
    "watch",
    "autorestart",
    "autostart",
    "filter_env",
    "increment_var",
    "cwd",
    "script",
    "_args",
    "command",
    "PM2_USAGE",
    "PM2_JSON_PROCESSING",
    "PM2_PROGRAMMATIC",
    "dump",
    "source_map_support",
    "disable_source_map_support",
    "disable_trace",
    "trace",
    "prev_status",
    "stopped_at",
    "_pm2_version",
    "time",
    "pid",
    "min_uptime",
    "max_restarts",
    "restart_delay",
    "execute_command",
];

/// Attributes that are taken as they are, where somebody has set them.
pub(super) const TAKEN: &[&str] = &[
    "max_memory_restart",
    "cron_restart",
    "kill_timeout",
    "listen_timeout",
    "wait_ready",
    "shutdown_with_message",
    "stop_exit_codes",
    "exp_backoff_restart_delay",
    "disable_logs",
    "log_date_format",
    "log_type",
    "uid",
    "gid",
    "port",
    "ignore_watch",
    "watch_delay",
    "watch_options",
    "post_update",
    "append_env_to_name",
    "name_prefix",
    "log_file",
    "error_file",
    "out_file",
    "pid_file",
];

/// Attributes that PM2 always writes, with what it writes where nobody has set them.
pub(super) const CHANGED: &[(&str, &str)] = &[
    ("watch", "false"),
    ("autorestart", "true"),
    ("autostart", "true"),
    ("treekill", "true"),
    ("namespace", "\"default\""),
    ("instance_var", "\"NODE_APP_INSTANCE\""),
    ("increment_var", "null"),
    ("min_uptime", "1000"),
    ("max_restarts", "16"),
    ("restart_delay", "0"),
];

/// Names of variables that a shell, a terminal, ssh, npm or PM2 itself sets.
const OF_SHELLS: &[&str] = &[
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "TERM",
    "LANG",
    "LANGUAGE",
    "PATH",
    "MAIL",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "LS_COLORS",
    "LESSOPEN",
    "LESSCLOSE",
    "HOSTNAME",
    "DISPLAY",
    "COLORTERM",
    "MOTD_SHOWN",
    "_",
    "INVOCATION_ID",
    "PIDFILE",
    "MAINPID",
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "WATCHDOG_USEC",
    "JOURNAL_STREAM",
    "SYSTEMD_EXEC_PID",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
    "TMUX",
    "TMUX_PANE",
    "STY",
    "WINDOW",
    "INIT_CWD",
    "NODE",
    "COLOR",
    "EXECIGNORE",
    "HISTFILE",
    "WSLENV",
    "WSL_DISTRO_NAME",
    "SILENT",
    "DEBUGINFOD_URLS",
    "LD_LIBRARY_PATH_ORIG",
    "NODE_CHANNEL_FD",
    "NODE_UNIQUE_ID",
    "NODE_CHANNEL_SERIALIZATION_MODE",
];
const OF_SHELLS_BY_START: &[&str] = &[
    "LC_",
    "SSH_",
    "XDG_",
    "SUDO_",
    "DBUS_",
    "NVM_",
    "FNM_",
    "VOLTA_",
    "npm_",
    "PM2_",
    "pm_",
    "axm_",
    "VSCODE_",
    "TERM_",
    "GPG_",
    "LESS",
    "BASH_FUNC_",
];

/// The variables that somebody meant for the app, and the names of the others.
pub(super) fn variables(
    env: &Map<String, Json>,
    shell: &BTreeMap<String, String>,
) -> (Map<String, Json>, BTreeSet<String>) {
    let (mut kept, mut dropped) = (Map::new(), BTreeSet::new());
    for (name, value) in env.get("env").and_then(Json::as_object).into_iter().flatten() {
        let own = OWN.contains(&name.as_str()) || TAKEN.contains(&name.as_str());
        let words =
            CHANGED.iter().any(|(key, _)| key == name) || name == "unique_id" || name == "force";
        // PM2 adds an empty table of settings under the app's own name.
        let settings = env.get("name").and_then(Json::as_str) == Some(name)
            && (value.as_str() == Some("{}") || value.as_object().is_some_and(Map::is_empty));
        if own || words || settings || name.starts_with("PM2_") && !name.starts_with("PM2_SERVE_") {
            continue;
        }
        // What the app's own file says is another value than the shell's.
        let of_shell =
            value.as_str().is_some_and(|value| shell.get(name).is_some_and(|own| own == value));
        let usual = OF_SHELLS.contains(&name.as_str())
            || OF_SHELLS_BY_START
                .iter()
                .any(|start| name.starts_with(start) && !name.starts_with("PM2_SERVE_"));
        if usual || of_shell {
            if !usual {
                dropped.insert(name.clone());
            }
            continue;
        }
        kept.insert(name.clone(), value.clone());
    }
    (kept, dropped)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_pm2_adds_under_the_name_of_an_app_are_no_variable() {
        let env = serde_json::json!({
            "name": "api", "env": { "api": "{}", "worker": "{}", "LOG": "shop" }
        });
        let (kept, dropped) = variables(env.as_object().unwrap(), &BTreeMap::new());
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["LOG", "worker"]);
        assert!(dropped.is_empty());
        let own = serde_json::json!({ "name": "api", "env": { "api": "v2" } });
        let (kept, _) = variables(own.as_object().unwrap(), &BTreeMap::new());
        assert_eq!(kept["api"], "v2");
    }
}
