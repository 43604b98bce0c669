//! One `[program:x]` of supervisord as an app. It opens no file.

use super::ini::{self, IniSection};
use crate::import::draft::{Draft, LeftOut};
use crate::import::ports;

/// The app of a section; `group` is the group that it belongs to.
pub(super) fn app(section: &IniSection, name: &str, group: Option<&String>, here: &str) -> Draft {
    let mut draft = Draft::default();
    draft.set("name", name);
    if let Some(group) = group {
        draft.set("namespace", group.as_str());
    }
    let told = Told { name, group: group.map_or(name, String::as_str), here };
    for (key, value) in &section.entries {
        let value = told.expanded(value);
        entry(&mut draft, section, key, &value);
    }
    defaults(&mut draft, section);
    numbered(&mut draft, section);
    ports::from_definition(&mut draft);
    draft
}

/// Values of the expressions `%(name)s`.
struct Told<'a> {
    name: &'a str,
    group: &'a str,
    here: &'a str,
}

impl Told<'_> {
    fn expanded(&self, text: &str) -> String {
        text.replace("%(program_name)s", self.name)
            .replace("%(group_name)s", self.group)
            .replace("%(here)s", self.here)
            .replace("%%", "%")
    }
}

/// What a key of supervisord's becomes.
fn entry(draft: &mut Draft, section: &IniSection, key: &str, value: &str) {
    let seconds = || format!("{}s", value.trim());
    let number = || value.trim().parse::<i64>().unwrap_or_default();
    match key {
        "command" => {
            draft.set("command", value.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        "directory" => {
            draft.set("cwd", value);
        }
        "user" => {
            draft.set("user", value);
        }
        "numprocs" => {
            draft.set("instances", number());
        }
        "environment" => {
            for (name, value) in ini::pairs(value) {
                draft.set_in("env", &name, value);
            }
        }
        "autostart" if is_no(value) => {
            draft.set("autostart", false);
        }
        "autorestart" => autorestart(draft, section, value),
        "startsecs" => startsecs(draft, number(), value),
        "startretries" => {
            draft.set("max_restarts", number());
        }
        "stopsignal" => {
            let signal = value.trim_start_matches("SIG");
            draft.set("kill_signal", format!("SIG{signal}"));
        }
        "stopwaitsecs" => {
            draft.set("kill_timeout", seconds());
        }
        "stdout_logfile" => log(draft, section, "out_file", value),
        "stderr_logfile" if !is_yes(section.get("redirect_stderr")) => {
            log(draft, section, "error_file", value);
        }
        "umask" => draft.set_in("service", "UMask", value),
        "priority" => draft.leave(
            LeftOut::new(format!("priority = {value}"), "orders the starts of programs")
                .instead("order units with `systemctl edit NAME@`: After=other.service"),
        ),
        "serverurl" => draft.leave(LeftOut::new("serverurl", "is supervisord's own address")),
        "stdout_events_enabled"
        | "stderr_events_enabled"
        | "stdout_capture_maxbytes"
        | "stderr_capture_maxbytes"
            if !is_no(value) && value.trim() != "0" =>
        {
            draft.leave(LeftOut::new(key, "sends output to supervisord's event listeners"));
        }
        _ => known_without_effect(draft, section, key, value),
    }
}

/// Keys that are read together with another key, describe what clusterctl does anyway, or are unknown.
fn known_without_effect(draft: &mut Draft, section: &IniSection, key: &str, value: &str) {
    match key {
        "autostart"
        | "exitcodes"
        | "redirect_stderr"
        | "stderr_logfile"
        | "process_name"
        | "numprocs_start"
        | "stdout_events_enabled"
        | "stderr_events_enabled"
        | "stdout_capture_maxbytes"
        | "stderr_capture_maxbytes"
        | "stopasgroup"
        | "killasgroup"
        | "stdout_syslog"
        | "stderr_syslog" => {}
        "stdout_logfile_maxbytes"
        | "stderr_logfile_maxbytes"
        | "stdout_logfile_backups"
        | "stderr_logfile_backups" => {
            let file = key.split("_maxbytes").next().unwrap_or(key).replace("_backups", "");
            if section.get(&file).is_some_and(|path| path.starts_with('/')) && value.trim() != "0" {
                draft.leave(
                    LeftOut::new(format!("{key} = {value}"), "rotates a file")
                        .instead("logrotate(8) does it, or leave the file out: the journal has limits of its own"),
                );
            }
        }
        _ => draft.leave(LeftOut::new(format!("{key} = {value}"), "is no key of supervisord's")),
    }
}

fn is_no(value: &str) -> bool {
    ["false", "no", "off", "0"].contains(&value.trim().to_ascii_lowercase().as_str())
}

fn is_yes(value: Option<&str>) -> bool {
    value.is_some_and(|value| {
        ["true", "yes", "on", "1"].contains(&value.to_ascii_lowercase().as_str())
    })
}

/// `unexpected`, the default, restarts after every end but those with `exitcodes`.
fn autorestart(draft: &mut Draft, section: &IniSection, value: &str) {
    if is_no(value) {
        draft.set("autorestart", false);
    } else if value.trim().eq_ignore_ascii_case("unexpected") {
        expected_ends(draft, section);
    }
}

fn expected_ends(draft: &mut Draft, section: &IniSection) {
    let codes = section.get("exitcodes").unwrap_or("0").split(',');
    let codes = codes.filter_map(|code| code.trim().parse::<i64>().ok()).map(toml::Value::from);
    draft.set("stop_exit_codes", toml::Value::Array(codes.collect()));
}

fn startsecs(draft: &mut Draft, seconds: i64, value: &str) {
    // 0 says that an end at once is as good: nothing counts as a crash then.
    if seconds > 0 {
        draft.set("min_uptime", format!("{}s", value.trim()));
    }
}

/// `AUTO` and no file at all is a file below supervisord's own folder, which the journal replaces.
fn log(draft: &mut Draft, section: &IniSection, key: &str, path: &str) {
    match path.trim() {
        "AUTO" | "syslog" | "/dev/stdout" | "/dev/stderr" | "/dev/fd/1" | "/dev/fd/2" => {}
        "NONE" | "/dev/null" => {
            let other = if key == "out_file" { "stderr_logfile" } else { "stdout_logfile" };
            let both =
                section.get(other).is_some_and(|other| ["NONE", "/dev/null"].contains(&other));
            if both || is_yes(section.get("redirect_stderr")) {
                draft.set("disable_logs", true);
            } else {
                draft.leave(LeftOut::new(
                    format!("{key}: {path}"),
                    "would throw one stream away; the journal keeps it",
                ));
            }
        }
        path => {
            draft.set(key, path);
            if key == "out_file" && is_yes(section.get("redirect_stderr")) {
                draft.set("error_file", path).remark = Some("redirect_stderr".to_owned());
            }
        }
    }
}

/// Defaults of supervisord that differ from ours, written out.
fn defaults(draft: &mut Draft, section: &IniSection) {
    if section.get("autorestart").is_none() {
        expected_ends(draft, section);
    }
    if section.get("startretries").is_none() {
        draft.set("max_restarts", 3).remark = Some("supervisord's default".to_owned());
    }
}

/// Processes with a number in their command have ports of their own there; here they share one.
fn numbered(draft: &mut Draft, section: &IniSection) {
    let command = draft.text("command").unwrap_or_default().to_owned();
    let Some(start) = command.find("%(process_num)") else { return };
    let first =
        section.get("numprocs_start").and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let rest = &command[start + "%(process_num)".len()..];
    let end = rest.find('d').map_or(0, |end| end + 1);
    let width = rest[..end].trim_start_matches('0').trim_end_matches('d').parse().unwrap_or(0);
    let number = format!("{first:0width$}");
    draft.set("command", format!("{}{number}{}", &command[..start], &rest[end..]));
    draft.leave(
        LeftOut::new("%(process_num)", "numbers the processes of a program")
            .instead("instances share the listener; the number of each is in NODE_APP_INSTANCE, or what `instance_var` names"),
    );
}
