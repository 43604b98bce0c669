//! The door of an instance (see `crate::door_client`), and the check that an instance passes through it before it gets a
//! client: lines of the template.
//!
//! `RuntimeDirectory=` makes the folder, gives it to the app's user, and removes it with the instance. The
//! manager then sets `RUNTIME_DIRECTORY` for the program, which asked for no such folder: the variable is taken
//! out, or says what the file's own `RuntimeDirectory=` alone would make it say.
//!
//! `ExecStartPost=` runs after `READY=1` and before the start job is done, at every start, whoever wants it: a
//! rollout, a boot, a crash, `systemctl restart`. So the check belongs there, and the state machine of rollouts
//! knows nothing of it. It runs as the app's user, with the program's rights and not more.

use super::UnitContext;
use crate::ecosystem::{App, Balance, HealthCheck, ListenAddress, last_line};
use crate::handover::contract::{self, CANARIES, DOOR_SOCKET, TRACER};
use crate::unit::{Section, quote};

/// The variable in which systemd.exec(5) names folders of `RuntimeDirectory=`.
const FOLDERS: &str = "RUNTIME_DIRECTORY";

/// Lines for `Environment=`, quoted; `%t` and `%i` are specifiers on purpose.
pub(super) fn variables(app: &App) -> Vec<String> {
    if !app.has_door() {
        let cold = app.begins_cold().then(|| format!("\"{}=1\"", contract::DOOR_COLD));
        return cold.into_iter().collect();
    }
    let mut lines = vec![format!("\"{}={}\"", contract::DOOR, path(app))];
    if app.begins_cold() {
        lines.push(format!("\"{}=1\"", contract::DOOR_COLD));
    }
    let balance = match app.process.balance {
        Balance::Queue => None,
        Balance::Even => Some(contract::BALANCE_EVEN),
        Balance::Client => Some(contract::BALANCE_CLIENT),
    };
    lines.extend(balance.map(|word| format!("\"{}={word}\"", contract::BALANCE)));
    if app.process.watchdog.is_some() {
        lines.push(format!("\"{}=1\"", contract::WATCHDOG));
    }
    let own = own_folders(app);
    if !own.is_empty() && !app.env.contains_key(FOLDERS) {
        let paths: Vec<String> = own.iter().map(|folder| format!("%t/{folder}")).collect();
        lines.push(format!("\"{FOLDERS}={}\"", paths.join(":")));
    }
    lines
}

/// The variable that the program shall not see because of the door's folder.
pub(super) fn hidden(app: &App) -> Option<&'static str> {
    let own = app.env.contains_key(FOLDERS) || app.instance_var == FOLDERS;
    let counted = app.increment_var.as_ref().is_some_and(|(name, _)| name == FOLDERS);
    let hides = app.has_door() && last_line(&app.service, "RuntimeDirectory").is_none();
    (hides && !own && !counted).then_some(FOLDERS)
}

/// Folders that the file itself asks for, as far as they are written plainly.
fn own_folders(app: &App) -> Vec<&str> {
    let lines = app.service.iter().filter(|(key, _)| key == "RuntimeDirectory");
    let words = lines.flat_map(|(_, value)| value.split_whitespace());
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-@%+".contains(c);
    let folders: Vec<&str> = words.filter_map(|word| word.split(':').next()).collect();
    if folders.iter().all(|folder| folder.chars().all(plain)) { folders } else { Vec::new() }
}

/// The folder of the door.
pub(super) fn folder(s: &mut Section, app: &App) {
    if !app.has_door() {
        return;
    }
    s.set("RuntimeDirectory", runtime_folder(app));
    let written = |key: &str| last_line(&app.service, key).is_some();
    if !written("RuntimeDirectory") && !written("RuntimeDirectoryMode") {
        // Others may see whether an instance is out of rotation; the socket itself has mode 0600.
        s.set("RuntimeDirectoryMode", "0711");
    }
}

/// The check before the first client.
pub(super) fn check(s: &mut Section, context: &UnitContext<'_>) {
    let app = context.app;
    let checks = !app.reloads.check.is_empty();
    if !app.begins_cold() && app.health.is_none() && !checks {
        return;
    }
    // The program's variables are no business of ours, but those of a command of the app are.
    let asked = app.health.as_ref().map(|health| &health.check);
    let own = checks || matches!(asked, Some(HealthCheck::Command(_)));
    let bare = if own { String::new() } else { format!("{} --bare -- ", context.helper(TRACER)) };
    let program = quote::executable(&context.target.program.to_string_lossy());
    // Units outlive the program: the script says what happens without it.
    let script = context.helper("await-health");
    let (door, asked) = if app.has_door() {
        (path(app), format!(" --door {}", path(app)))
    } else if app.begins_cold() {
        // Nothing of ours is in the process: the tracer comes once more.
        ("traced".to_owned(), format!(" --traced {}", context.helper(TRACER)))
    } else {
        ("-".to_owned(), String::new())
    };
    let name = &app.name;
    let mut line = format!("{bare}{script} {door} $MAINPID {program} await-health {name}@%i");
    line.push_str(&format!(" --main $MAINPID{asked}"));
    let grace = app.health.as_ref().map_or(app.process.listen_timeout, |health| health.grace);
    line.push_str(&format!(" --grace {}", grace.as_millis()));
    line.push_str(&of_canary(app));
    if let Some(health) = &app.health {
        line.push_str(&format!(" --timeout {}", health.timeout.as_millis()));
        line.push_str(&checked(&health.check));
    }
    s.set("ExecStartPost", line);
}

/// The check of the first new instance of a rollout: where the rollout marks that instance, how long the check may take,
/// and its words.
fn of_canary(app: &App) -> String {
    if app.reloads.check.is_empty() {
        return String::new();
    }
    let mut text = format!(" --canary %t/clusterctl/{CANARIES}/{}@%i", app.name);
    text.push_str(&format!(" --canary-until {}", app.process.listen_timeout.as_millis()));
    if let Some(listener) = app.checked_listener() {
        let address = quote::argument(&listener.address.to_string());
        text.push_str(&format!(" --canary-listener {address}"));
    }
    for word in &app.reloads.check {
        text.push_str(&format!(" {}", quote::argument(&format!("--canary-check={word}"))));
    }
    text
}

/// The check, in the words of the commands that make it.
pub(super) fn checked(check: &HealthCheck) -> String {
    let at = |address: &ListenAddress| quote::argument(&address.to_string());
    match check {
        HealthCheck::Http { listener, target, host } => {
            let (target, host) = (quote::argument(target), quote::argument(host));
            format!(" --listener {} --host {host} --http {target}", at(listener))
        }
        HealthCheck::Tcp(listener) => format!(" --listener {}", at(listener)),
        HealthCheck::Command(words) => {
            let words: Vec<String> = words.iter().map(|word| quote::argument(word)).collect();
            format!(" -- {}", words.join(" "))
        }
    }
}

/// The folder of the door, below that of the manager.
fn runtime_folder(app: &App) -> String {
    format!("clusterctl/{}", app.name.door_folder("%i"))
}

fn path(app: &App) -> String {
    format!("%t/{}/{DOOR_SOCKET}", runtime_folder(app))
}
