//! The template of an app's instances, `api@.service`. It decides nothing that `resolve` has left open.
//!
//! A group whose instances have all given up fails (`units/restart-guard`, `units/wake`): an open
//! listener that nobody serves looks healthy to every balancer. Each instance writes that it gave
//! up before it looks whether the others have, so that the last one sees them all. A start fails
//! only when all have given up, since what an instance needs may appear while it is restarted.
//!
//! `clusterctl-exec --guard` as `ExecCondition=` ends a crash loop, and pauses between restarts. A start
//! limit would close the listener for all instances. `RestartSteps=` is not used: it follows
//! `NRestarts`, which a stable run does not reset. A rollout notes beforehand that it starts the
//! instance, so that the guard asks the manager nothing.
//!
//! Nothing may fail before the guard runs. What the manager does for a unit it does for the guard
//! first, and where that fails nobody counts. A file of variables that cannot be read would be
//! tried for ever: hence the `-` before its path, and the guard reads it (`--env`) and fails the
//! start itself, with 255, the one code that is a failure of an `ExecCondition=`. Every other
//! failure of its set-up is a start that was skipped, as by a condition: `systemctl start`
//! succeeds. Folders are therefore asserted (`AssertPathIsDirectory=`), unless directives of the
//! file make or show folders; nothing can assert a user.
//!
//! Helpers that run as root (`+`) get no variable (`clusterctl-exec --bare`, linked with nothing):
//! the loader obeys `LD_PRELOAD`, and a shell its functions, before the first line of a script
//! could drop them; the app's user has a say in what they name.
//!
//! Unix listeners of programs without the library are bind-mounted over themselves (`BindPaths=`),
//! because Go and php-fpm remove the path when they close their listener, and a mount point cannot
//! be removed.
//!
//! Jobs remain active when they have ended well (`RemainAfterExit=`): everything that wants an
//! instance to run finds that it does, so that a migration runs once. A job that failed is not run
//! again by the group's script either.

use std::path::PathBuf;
use std::time::Duration;

use super::{
    UnitContext, common, door, environment, joined, log_paths, memory, pid_file, sandbox,
    socket_names, span,
};
use crate::ecosystem::{App, Backoff, Handover, RateLimit, Readiness, last_line, runtime_folder};
use crate::handover::contract::TRACER;
use crate::unit::{Section, UnitFile, quote};

/// `api@.service`.
pub(super) fn template(context: &UnitContext<'_>) -> UnitFile {
    let app = context.app;
    let group = app.name.group_unit();
    let sockets = joined(&socket_names(app));
    UnitFile::new(app.name.template_unit())
        .section("Unit", |s| {
            s.set("Description", format!("{} (instance %i)", app.name));
            common(s);
            if !sockets.is_empty() {
                // `Sockets=` alone only wants them: a program without its listener would bind the
                // address itself, and keep systemd from ever opening it again.
                s.set("Requires", &sockets);
                // At a stop of the app, its clients come first: see close().
                s.set("Before", app.name.close_unit().as_str());
            }
            // Stop and restart of the group reach the instances.
            s.set("PartOf", group.as_str());
            if !context.user() {
                s.set("After", "network.target");
            }
            // A start limit that one instance hits closes the listener for all.
            s.set("StartLimitIntervalSec", "0");
            // Without such a folder not even the guard can run, and what keeps that from running counts for
            // systemd as a start that was skipped: `systemctl start` would succeed.
            for folder in needed_folders(app) {
                s.set("AssertPathIsDirectory", quote::path(&folder.to_string_lossy()));
            }
        })
        .section("Service", |s| {
            process(s, context);
            if !sockets.is_empty() {
                s.set("Sockets", &sockets);
            }
            if app.non_blocking && !sockets.is_empty() {
                // O_NONBLOCK is shared: without this, each start clears it for all who run.
                s.set("NonBlocking", "yes");
            }
            let loaded = matches!(app.handover, Handover::Preload | Handover::Nothing);
            if !loaded && !context.user() {
                keep_paths(s, app);
            }
            restarts(s, context);
            stopping(s, context);
            output(s, app);
            s.set("Slice", app.name.slice_unit().as_str());
            s.set_some("MemoryMax", memory::hard_limit(context).map(|bytes| bytes.to_string()));
            door::folder(s, app);
            sandbox::set(s, context);
            context.pass_through(s, &app.service);
            if holds_listener(app) {
                // The end of any instance would remove the path that clients of all connect to.
                s.set("RuntimeDirectoryPreserve", "yes");
            }
        })
        .section("Install", |s| {
            s.set("WantedBy", group.as_str()).set("DefaultInstance", "0");
        })
}

fn process(s: &mut Section, context: &UnitContext<'_>) {
    let app = context.app;
    match app.readiness {
        Readiness::FirstListener | Readiness::AllListeners | Readiness::Notify => {
            // The process that listens may be a grandchild of a wrapper such as `npm start`.
            s.set("Type", "notify").set("NotifyAccess", "all");
        }
        Readiness::Exec => {
            s.set("Type", "exec");
            // The library answers the watchdog in whichever process listens.
            s.set_some("NotifyAccess", app.process.watchdog.map(|_| "all"));
        }
        Readiness::Listening => {
            s.set("Type", "exec");
            s.set("ExecStartPost", {
                let count = app.listeners.len();
                format!("{} $MAINPID {count}", root_helper(context, "wait-listening"))
            });
        }
    }
    if app.readiness == Readiness::Exec && !app.own_env_files.is_empty() {
        // Started counts as ready there, and this must fail as it does when the manager reads.
        s.set("ExecStartPre", command_line(&env_reader(context).collect::<Vec<_>>()));
    }
    s.set("ExecStart", exec_start(context));
    s.set("WorkingDirectory", quote::path(&app.cwd.to_string_lossy()));
    s.set_some("User", app.process.user.as_deref().map(quote::text));
    s.set_some("Group", app.process.group.as_deref().map(quote::text));
    for line in environment::lines(context) {
        s.set("Environment", line);
    }
    s.set_some("UnsetEnvironment", environment::filtered(context));
    // One that cannot be read fails a start before anything of the unit runs, the guard included, so that the
    // restarts would never end. Where there is a guard, it sees to it that they can be read.
    let optional = if is_guarded(app) { "-" } else { "" };
    for path in manager_env_files(context) {
        s.set("EnvironmentFile", format!("{optional}{}", quote::path(&path.to_string_lossy())));
    }
    s.set_some("WatchdogSec", app.process.watchdog.map(span));
    s.set("TimeoutStartSec", span(app.process.listen_timeout));
    pid_file::set(s, context, &root_helper(context, "pid-file"));
    // Last: what it lets in are clients.
    door::check(s, context);
}

/// The program, behind what becomes it one after the other.
fn exec_start(context: &UnitContext<'_>) -> String {
    let app = context.app;
    let mut words: Vec<String> = env_reader(context).collect();
    words.extend(log_opener(context));
    if let Some((name, base)) = &app.increment_var {
        // systemd cannot add numbers, so a shell does; `exec` leaves the program as the main process.
        let sum = format!("{name}=$(({base} + ${})); export {name}; ", app.instance_var);
        let script = format!("{sum}exec \"$@\"");
        words.extend(["/bin/sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()]);
    }
    if app.handover == Handover::Trace {
        // `clusterctl-exec` leaves a tracer behind and becomes the program.
        words.push(tracer(context));
    }
    words.push(app.command.program.to_string_lossy().into_owned());
    words.extend(app.command.args.iter().cloned());
    log_paths::numbered(&command_line(&words))
}

pub(super) fn command_line(words: &[String]) -> String {
    let mut words = words.iter();
    let first = words.next().map(|word| quote::executable(word));
    let rest = words.map(|word| quote::argument(word));
    first.into_iter().chain(rest).collect::<Vec<_>>().join(" ")
}

/// Reads files of variables with the rights of the program's user.
pub(super) fn env_reader(context: &UnitContext<'_>) -> impl Iterator<Item = String> {
    let files = &context.app.own_env_files;
    let files = files.iter().flat_map(|file| ["--env".into(), file.to_string_lossy().into_owned()]);
    let reader = [tracer(context)].into_iter().chain(files).chain(["--".to_owned()]);
    reader.filter(|_| !context.app.own_env_files.is_empty())
}

fn tracer(context: &UnitContext<'_>) -> String {
    context.target.handover.join(TRACER).display().to_string()
}

/// Opens log files with the rights of the program's user, each with its descriptor.
fn log_opener(context: &UnitContext<'_>) -> Vec<String> {
    let logs = &context.app.logs;
    let out = logs.out_file.iter().map(|path| ("1", path));
    let all = out.chain(logs.error_file.iter().map(|path| ("2", path)));
    let own = all.filter(|(_, path)| logs.by_program.contains(path));
    let words = own.flat_map(|(descriptor, path)| {
        ["--log".to_owned(), descriptor.to_owned(), log_paths::marked(context.app, path)]
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        return words;
    }
    [tracer(context)].into_iter().chain(words).chain(["--".to_owned()]).collect()
}

/// Programs remove the path of a Unix socket that they close, and nothing of ours is in them that would answer in the
/// kernel's place: a mount point cannot be removed.
fn keep_paths(s: &mut Section, app: &App) {
    // Others would need a quoting that BindPaths= has not on all versions.
    let plain = |c: char| c.is_alphanumeric() || "/._-@+".contains(c);
    let paths = app.listeners.iter().filter_map(|listener| listener.address.path());
    for path in paths.map(|path| path.to_string_lossy()).filter(|path| path.chars().all(plain)) {
        s.set("BindPaths", format!("-{path}"));
    }
}

/// Whether a Unix listener lies in a directory that systemd makes for the instances, and whose fate
/// the file says nothing about.
fn holds_listener(app: &App) -> bool {
    let mut paths = app.listeners.iter().filter_map(|listener| listener.address.path());
    last_line(&app.service, "RuntimeDirectoryPreserve").is_none()
        && paths.any(|path| runtime_folder(&app.service, path).is_some())
}

fn restarts(s: &mut Section, context: &UnitContext<'_>) {
    let app = context.app;
    let restart = &app.restart;
    // An instance that waits for its restart counts as active, so that the listener does not
    // start the wake unit meanwhile.
    s.set("Restart", if restart.auto { "always" } else { "no" });
    if !restart.auto {
        if app.is_job() {
            // What has ended well is not started again by whoever wants the instance to run: the
            // group at its start, an apply, a boot that comes later.
            s.set("RemainAfterExit", "yes");
        }
        return;
    }
    // A timer of the manager may come 250 ms late, which counts in a short pause: the guard makes those.
    let long = restart.delay >= LONG_DELAY;
    s.set("RestartSec", if long { span(restart.delay) } else { "0".to_owned() });
    if !restart.stop_exit_codes.is_empty() {
        // Asked for, hence no failure: `SuccessExitStatus=` below names them too.
        let codes: Vec<String> = restart.stop_exit_codes.iter().map(u8::to_string).collect();
        s.set("RestartPreventExitStatus", codes.join(" "));
    }
    // Ends a restart loop without a start limit, which would close the listener for all. Also
    // pauses between restarts: RestartSteps= is missing before systemd 254.
    let verb = if context.user() { "--guard-user" } else { "--guard" };
    let max = restart.max_restarts.map_or("unlimited".to_owned(), |max| max.to_string());
    let uptime = restart.min_uptime.as_millis();
    let delay = if long { "-".to_owned() } else { restart.delay.as_millis().to_string() };
    let guard = context.helper(TRACER);
    let mut line = format!("+{guard} {verb} %t/clusterctl/%n %n {max} {uptime} {delay}");
    if let Some(Backoff { first, max }) = restart.backoff {
        line.push_str(&format!(" {} {}", first.as_millis(), max.as_millis()));
    }
    for path in manager_env_files(context) {
        line.push_str(&format!(" --env {}", quote::argument(&path.to_string_lossy())));
    }
    s.set("ExecCondition", line);
}

/// Whether the guard runs before every start.
fn is_guarded(app: &App) -> bool {
    app.restart.auto
}

/// A pause from here on is the manager's, which shows that the instance waits, and which no limit of its
/// start cuts short.
const LONG_DELAY: Duration = Duration::from_secs(1);

/// Files of variables that the manager reads, in this order.
pub(super) fn manager_env_files(context: &UnitContext<'_>) -> Vec<PathBuf> {
    let own = environment::file(context).map(|file| file.path);
    own.into_iter().chain(context.app.env_files.iter().cloned()).collect()
}

/// Folders that must be there before the manager sets up the first process of an instance. None where
/// directives of the file make folders, or show the program other ones.
fn needed_folders(app: &App) -> Vec<PathBuf> {
    let other = |key: &str| {
        let made = ["StateDirectory", "RuntimeDirectory", "CacheDirectory", "LogsDirectory"];
        let shown = ["RootDirectory", "RootImage", "TemporaryFileSystem", "MountImages"];
        made.contains(&key)
            || shown.contains(&key)
            || ["ConfigurationDirectory", "ExtensionImages", "ExtensionDirectories"].contains(&key)
            || key.starts_with("Bind")
    };
    if app.service.iter().any(|(key, _)| other(key)) {
        return Vec::new();
    }
    let logs = &app.logs;
    let by_manager = |path: &&PathBuf| !logs.disabled && !logs.by_program.contains(path);
    let files = logs.out_file.iter().chain(&logs.error_file).filter(by_manager);
    let mut folders = vec![app.cwd.clone()];
    for folder in files.filter_map(|path| path.parent()) {
        if folders.iter().all(|known| known != folder) {
            folders.push(folder.to_path_buf());
        }
    }
    folders
}

fn stopping(s: &mut Section, context: &UnitContext<'_>) {
    let app = context.app;
    if app.handover == Handover::Trace {
        // No library is there that would drain at the signal.
        let tracer = context.helper(TRACER);
        let limit = app.process.kill_timeout.as_millis();
        // The drain has to end before the manager sends SIGKILL.
        let millis = limit - (limit / 10).min(500);
        let signal = &app.kill_signal;
        let streams = app.process.stream_timeout.map(|timeout| format!(" {}", timeout.as_millis()));
        let streams = streams.unwrap_or_default();
        s.set("ExecStop", format!("{tracer} --drain $MAINPID {millis} {signal}{streams}"));
    }
    s.set("KillSignal", &app.kill_signal);
    s.set_some("KillMode", super::kill_mode(app.asks));
    s.set("TimeoutStopSec", span(app.process.kill_timeout));
    // A program that dies of the signal that asked it to stop has stopped well.
    let asked: String = app.restart.stop_exit_codes.iter().map(|code| format!(" {code}")).collect();
    s.set("SuccessExitStatus", format!("143 {}{asked}", app.kill_signal));
}

fn output(s: &mut Section, app: &App) {
    if app.logs.disabled {
        s.set("StandardOutput", "null").set("StandardError", "null");
        return;
    }
    let file = |path: &PathBuf| log_paths::numbered(&quote::path(&log_paths::marked(app, path)));
    let append = |path: &PathBuf| format!("append:{}", file(path));
    let by_manager = |path: &&PathBuf| !app.logs.by_program.contains(path);
    s.set_some("StandardOutput", app.logs.out_file.as_ref().filter(by_manager).map(append));
    s.set_some("StandardError", app.logs.error_file.as_ref().filter(by_manager).map(append));
    if app.logs.out_file.is_some() && app.logs.error_file.is_none() {
        // By default standard error follows standard output into its file.
        s.set("StandardError", "journal");
    }
    s.set("SyslogIdentifier", app.name.as_str());
    // An interval of 0 means no limit on newer versions only.
    let limit = app.logs.rate_limit.map(|limit| match limit {
        RateLimit::Lines(lines) => ("30s", lines.to_string()),
        RateLimit::Unlimited => ("1s", "100000000".to_owned()),
    });
    if let Some((interval, burst)) = limit {
        s.set("LogRateLimitIntervalSec", interval).set("LogRateLimitBurst", burst);
    }
}

/// A script that runs beside the program, with all rights. The variables are the program's, whose
/// user may have a say in them: a loader or a shell would act on some before the script's first line.
fn root_helper(context: &UnitContext<'_>, script: &str) -> String {
    let script = context.helper(script);
    if context.user() {
        // With a user's manager the script has no more rights than the program, and finds its manager by the
        // variables.
        return format!("+{script}");
    }
    format!("+{} --bare -- {script}", context.helper(TRACER))
}
