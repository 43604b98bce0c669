//! Every key of an app in `ecosystem.toml`: the one table that the reader, the manual, `init` and
//! the JSON schema share. Data only; what a key means is in [`crate::ecosystem::resolve`].

/// What a key's value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A string.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number, 0 or more.
    Number,
    /// Milliseconds, or a string such as `"1m30s"`.
    Duration,
    /// Bytes, or a string such as `"300M"`.
    Size,
    /// A string, or an array of strings.
    Texts,
    /// `true`, `false`, or as [`ValueKind::Texts`].
    FlagOrTexts,
    /// A whole number or an array of them.
    Numbers,
    /// A string or a number.
    TextOrNumber,
    /// A port, an address, one with the program's own port, an array of them, or a table of named
    /// ones.
    Listen,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// A table of environment variables.
    Environment,
    /// A table of names and files.
    Files,
    /// A table of systemd directives.
    Directives,
    /// A path, or the table of a check.
    Health,
    /// The table of rollout settings.
    Rollout,
}

/// How a key relates to PM2's of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pm2 {
    /// Same name, same meaning.
    Same,
    /// Same name; this is different.
    Differs(&'static str),
    /// PM2 has no such key.
    New,
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name to write.
    pub name: &'static str,
    /// Other accepted spellings; camelCase of each is accepted too.
    pub aliases: &'static [&'static str],
    /// What the value may be.
    pub kind: ValueKind,
    /// What holds without it, in words or as TOML.
    pub default: &'static str,
    /// An example of the whole line.
    pub example: &'static str,
    /// What it does: one sentence.
    pub about: &'static str,
    /// How PM2 sees it.
    pub pm2: Pm2,
}

/// All keys of an app, in the order of the manual. `env_NAME` tables are not among them.
pub fn keys() -> &'static [Key] {
    KEYS
}

/// Keys of the table `rollout`.
pub fn rollout_keys() -> &'static [Key] {
    ROLLOUT_KEYS
}

/// Keys of the table `health`.
pub fn health_keys() -> &'static [Key] {
    HEALTH_KEYS
}

/// Words for the same things in other tools, with the key to write here.
pub(crate) const SYNONYMS: &[(&str, &str)] = &[
    ("replicas", "instances"),
    ("workers", "instances"),
    ("processes", "instances"),
    ("numprocs", "instances"),
    ("count", "instances"),
    ("ports", "listen"),
    ("bind", "listen"),
    ("address", "listen"),
    ("host", "listen"),
    ("socket_path", "listen"),
    ("environment", "env"),
    ("directory", "cwd"),
    ("dir", "cwd"),
    ("workdir", "cwd"),
    ("working_dir", "cwd"),
    ("working_directory", "cwd"),
    ("restart", "autorestart"),
    ("memory", "max_memory_restart"),
    ("max_memory", "max_memory_restart"),
    ("stop_timeout", "kill_timeout"),
    ("timeout", "kill_timeout"),
    ("stop_signal", "kill_signal"),
    ("stopsignal", "kill_signal"),
    ("run", "command"),
    ("start", "command"),
    ("entrypoint", "command"),
    ("stdout", "out_file"),
    ("stderr", "error_file"),
    ("secrets", "credentials"),
    ("hardening", "sandbox"),
    ("healthcheck", "health"),
    ("health_check", "health"),
    ("start_period", "grace"),
];

/// Finds a key of an app by any of its spellings.
pub fn key_of_app(spelling: &str) -> Option<&'static Key> {
    find(KEYS, spelling)
}

/// Finds a key by any of its spellings.
pub(crate) fn find(table: &'static [Key], spelling: &str) -> Option<&'static Key> {
    let named = |text: &str| table.iter().find(|k| k.name == text || k.aliases.contains(&text));
    named(spelling).or_else(|| named(&snake_case(spelling)))
}

/// The key of an app that a word means, by any of its spellings.
///
/// # Errors
/// There is none: the word in snake case.
pub fn canonical(spelling: &str) -> Result<&'static Key, String> {
    find(KEYS, spelling).ok_or_else(|| snake_case(spelling))
}

/// Whether a key sends output into a file.
pub(crate) fn is_log_file(spelling: &str) -> bool {
    find(KEYS, spelling)
        .is_some_and(|key| ["out_file", "error_file", "log_file"].contains(&key.name))
}

/// `maxMemoryRestart` → `max_memory_restart`.
pub(crate) fn snake_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    for char in text.chars() {
        if char.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(char.to_ascii_lowercase());
    }
    out
}

pub(super) const fn key(
    name: &'static str,
    kind: ValueKind,
    default: &'static str,
    about: &'static str,
) -> Key {
    Key { name, aliases: &[], kind, default, example: "", about, pm2: Pm2::Same }
}

impl Key {
    const fn alias(self, aliases: &'static [&'static str]) -> Key {
        Key { aliases, ..self }
    }

    pub(super) const fn eg(self, example: &'static str) -> Key {
        Key { example, ..self }
    }

    const fn differs(self, how: &'static str) -> Key {
        Key { pm2: Pm2::Differs(how), ..self }
    }

    pub(super) const fn ours(self) -> Key {
        Key { pm2: Pm2::New, ..self }
    }
}

/// Values of `handover`.
pub(crate) const HANDOVERS: &[&str] = &["auto", "native", "preload", "trace", "none"];
/// Values of `readiness`.
/// The first one is the default.
pub(crate) const BALANCES: &[&str] = &["queue", "even", "client"];
pub(crate) const READINESS: &[&str] = &["first", "all", "notify", "exec", "listening"];
/// Values of `sandbox`.
pub(crate) const SANDBOXES: &[&str] = &["default", "strict", "off"];
/// Values of `rollout.on_failure`.
pub(crate) const ON_FAILURE: &[&str] = &["rollback", "pause"];

const KEYS: &[Key] = &[
    // what runs
    key("name", ValueKind::Text, "the script's name without its extension", "Name of the app and of its units.")
        .eg("name = \"api\""),
    key("name_prefix", ValueKind::Text, "none", "Stands before the name, with a dash between them.")
        .eg("name_prefix = \"shop\"").differs("a dash instead of a colon, which no unit can have there"),
    key("append_env_to_name", ValueKind::Boolean, "false", "With `--env NAME` the app is called `…-NAME`, so that several profiles of a file can run side by side.")
        .eg("append_env_to_name = true"),
    key("namespace", ValueKind::Text, "\"default\"", "Group of apps that a command can select at once.")
        .eg("namespace = \"shop\""),
    key("script", ValueKind::Text, "", "File to run, relative to `cwd`, or a line for the shell.")
        .alias(&["exec"]).eg("script = \"server.js\"")
        .differs("a line without shell syntax runs without a shell"),
    key("command", ValueKind::Texts, "", "Program and arguments, instead of `script`.")
        .alias(&["cmd"]).eg("command = [\"gunicorn\", \"shop.wsgi\"]").ours(),
    key("args", ValueKind::Texts, "none", "Arguments; a string is split as a shell splits it.")
        .eg("args = [\"--port\", \"3000\"]"),
    key("interpreter", ValueKind::Text, "by the script's extension", "Program that runs the script, or `\"none\"`.")
        .alias(&["exec_interpreter"]).eg("interpreter = \"python3\""),
    key("interpreter_args", ValueKind::Texts, "none", "Arguments of the interpreter, before the script.")
        .alias(&["node_args"]).eg("interpreter_args = [\"--max-old-space-size=512\"]"),
    key("source_map_support", ValueKind::Boolean, "false", "Node names the places of an error in the source that the program was compiled from.")
        .eg("source_map_support = true").differs("off unless it is asked for; it costs memory and time"),
    key("cwd", ValueKind::Text, "the folder of the ecosystem file", "Working directory, relative to the ecosystem file.")
        .eg("cwd = \"/srv/api\""),
    key("user", ValueKind::TextOrNumber, "the manager's user", "User that the program runs as.")
        .alias(&["uid"]).eg("user = \"api\""),
    key("group", ValueKind::TextOrNumber, "the user's group", "Group that the program runs as.")
        .alias(&["gid"]).eg("group = \"www-data\""),
    // how many, and where
    key("instances", ValueKind::TextOrNumber, "1", "Number of processes; 0 or \"max\" is one per CPU, -1 one less.")
        .eg("instances = \"max\""),
    key("listen", ValueKind::Listen, "none", "Addresses that systemd holds and all instances share.")
        .eg("listen = \"0.0.0.0:80\"").ours(),
    key("port", ValueKind::Number, "none", "Sets `PORT`; without `listen`, it is the listener too.")
        .eg("port = 3000").differs("also listens on it"),
    key("backlog", ValueKind::Number, "4096", "Length of each listener's accept queue.").eg("backlog = 4096").ours(),
    key("non_blocking", ValueKind::Boolean, "true; false for a php-fpm that takes its listener natively", "Whether the shared listeners are non-blocking; false for statically linked programs that wait in accept().")
        .eg("non_blocking = false").ours(),
    key("handover", ValueKind::Choice(HANDOVERS), "\"auto\"", "How the program gets the listeners; auto: preload, or trace where no library can be loaded.")
        .eg("handover = \"native\"").ours(),
    // environment
    key("env", ValueKind::Environment, "empty", "Environment of the program.")
        .eg("env = { NODE_ENV = \"production\" }").differs("nothing of your shell's environment is added"),
    key("env_file", ValueKind::Texts, "none", "Files of `NAME=value` lines, relative to `cwd`, read at every start.")
        .alias(&["env_files"]).eg("env_file = \".env\"").ours(),
    key("filter_env", ValueKind::FlagOrTexts, "true", "Variables of the service manager that do not reach the app; of your shell's none does.")
        .eg("filter_env = [\"SSH_AUTH_SOCK\"]").differs("whole names; PM2 drops what contains a word of a list"),
    key("instance_var", ValueKind::Text, "\"NODE_APP_INSTANCE\"", "Variable that holds the instance number.")
        .eg("instance_var = \"INSTANCE\""),
    key("increment_var", ValueKind::Text, "none", "Variable of `env` that grows by one per instance.")
        .eg("increment_var = \"METRICS_PORT\""),
    // ready and stop
    key("readiness", ValueKind::Choice(READINESS), "\"first\" with listeners, else \"exec\"", "What makes an instance ready.")
        .alias(&["ready"]).eg("readiness = \"all\"").ours(),
    key("wait_ready", ValueKind::Boolean, "false", "The program says when it is ready: `process.send('ready')` or `READY=1`.")
        .eg("wait_ready = true"),
    key("health", ValueKind::Health, "none", "What an instance has to pass before it gets its first client, and again while it serves: a path that is asked for by HTTP, or a table.")
        .eg("health = \"/healthz\"").ours(),
    key("balance", ValueKind::Choice(BALANCES), "\"even\" with the library and a TCP listener, else \"queue\"", "Which instance takes a connection; queue: whichever asks first; even: the one with the fewest open, or one that has hardly more; client: the one to which the client's address belongs.")
        .eg("balance = \"even\"").ours(),
    key("door", ValueKind::Boolean, "true where clients are spread (`balance`), and with `health`, `watchdog` and `wait_ready`, else false", "Whether each instance can be reached alone: `clusterctl curl api@2`, `drain`, `metrics --app`.")
        .eg("door = true").ours(),
    key("watchdog", ValueKind::Duration, "none", "Time in which the program's own loop has to come round; one that hangs for longer is killed and started again.")
        .eg("watchdog = \"30s\"").ours(),
    key("listen_timeout", ValueKind::Duration, "\"60s\"", "Time until an instance must be ready.")
        .eg("listen_timeout = \"60s\"").differs("a timeout is a failed start; PM2 goes on after 3 s"),
    key("kill_timeout", ValueKind::Duration, "\"10s\"", "Time to finish and exit before the instance is killed.")
        .eg("kill_timeout = \"10s\"").differs("PM2 kills after 1.6 s"),
    key("stream_timeout", ValueKind::Duration, "`kill_timeout`", "How long streams without an end (server-sent events, websockets, tunnels) may go on when the instance is asked to stop.")
        .eg("stream_timeout = \"2s\"").ours(),
    key("kill_signal", ValueKind::Text, "\"SIGTERM\", or the graceful one of a known server (nginx, Apache, php-fpm, lighttpd, haproxy, unicorn, starman, hypnotoad)", "Signal that asks the program to stop.")
        .eg("kill_signal = \"SIGINT\"").ours(),
    key("shutdown_with_message", ValueKind::Boolean, "false", "Node gets the message `shutdown` instead of the signal.")
        .eg("shutdown_with_message = true"),
    key("treekill", ValueKind::Boolean, "true; for such a server the main process, which asks its own", "The signal goes to all processes of the instance; with false to the main one alone, and others go on running.")
        .eg("treekill = false"),
    // restarts
    key("autorestart", ValueKind::Boolean, "true", "A stopped program is started again.").eg("autorestart = false"),
    key("stop_exit_codes", ValueKind::Numbers, "none", "Exit codes after which it is not started again.")
        .eg("stop_exit_codes = [0]"),
    key("max_restarts", ValueKind::TextOrNumber, "16", "Unstable restarts in a row before the instance is `errored`; 0 is none, \"unlimited\" never gives up.")
        .eg("max_restarts = 16"),
    key("min_uptime", ValueKind::Duration, "\"1s\"", "A shorter run counts as unstable.").eg("min_uptime = \"1s\""),
    key("restart_delay", ValueKind::Duration, "0; a loop of restarts pauses", "Pause before each restart.").eg("restart_delay = \"1s\""),
    key("exp_backoff_restart_delay", ValueKind::Duration, "none", "First pause before a restart; grows up to 15 s.")
        .eg("exp_backoff_restart_delay = \"100ms\""),
    key("max_memory_restart", ValueKind::Size, "none", "Memory of an instance above which it is replaced, looked at every 30 s.")
        .eg("max_memory_restart = \"300M\"")
        .differs("of all its processes, no request is lost, and at half as much again the kernel kills it"),
    key("cron_restart", ValueKind::Texts, "none", "When instances are replaced one after the other, or a job runs again: `minute hour day month weekday`, as cron has it, seconds before them if wanted.")
        .alias(&["cron"]).eg("cron_restart = \"0 3 * * *\"")
        .differs("a rollout instead of a restart of all at once, and an app that is stopped stays so"),
    key("watch", ValueKind::FlagOrTexts, "false", "Folders and files that reload the app when they change, relative to `cwd`, which `true` stands for.")
        .eg("watch = true").differs("a rollout instead of a restart, so that code that does not start costs nothing"),
    key("ignore_watch", ValueKind::Texts, "hidden files, `node_modules` and logs", "What does not count for `watch`: names with `*` and `?`, and paths.")
        .eg("ignore_watch = [\"uploads\", \"*.tmp\"]").differs("patterns of names instead of regular expressions; the default stays"),
    key("watch_delay", ValueKind::Duration, "\"200ms\"", "How long nothing may change before `watch` reloads the app.")
        .eg("watch_delay = \"1s\""),
    key("before_reload", ValueKind::Texts, "none", "Lines for the shell that run before instances are replaced, which they are not if one fails.")
        .eg("before_reload = \"npm run migrate\"").ours(),
    key("after_reload", ValueKind::Texts, "none", "Lines for the shell that run when all instances have been replaced.")
        .eg("after_reload = [\"./purge-cache\"]").ours(),
    key("autostart", ValueKind::Boolean, "true", "`apply` starts the app and enables it at boot.").eg("autostart = false"),
    key("rollout", ValueKind::Rollout, "see below", "How instances are replaced.")
        .eg("rollout = { max_surge = 1, max_unavailable = 0 }").ours(),
    // output
    key("out_file", ValueKind::Text, "the journal", "File that standard output is appended to.")
        .alias(&["out", "output", "out_log"]).eg("out_file = \"/var/log/api.log\"")
        .differs("one file for all instances, unless `merge_logs = false`"),
    key("error_file", ValueKind::Text, "the journal", "File that standard error is appended to.")
        .alias(&["error", "err", "err_file", "err_log"]).eg("error_file = \"/var/log/api.err\"")
        .differs("one file for all instances, unless `merge_logs = false`"),
    key("log_file", ValueKind::Text, "the journal", "File that both streams are appended to, instead of `out_file` and `error_file`.")
        .alias(&["log"]).eg("log_file = \"/var/log/api.log\"")
        .differs("the streams go to no other file besides; `true` means the journal"),
    key("merge_logs", ValueKind::Boolean, "true", "All instances write to one file; with false each to one of its own, with its number before the extension.")
        .alias(&["combine_logs"]).eg("merge_logs = true")
        .differs("on unless it is switched off, and files have the number of the instance instead of PM2's id"),
    key("pid_file", ValueKind::Text, "none", "File that holds the number of an instance's main process; the instance's number is put before its extension.")
        .alias(&["pid"]).eg("pid_file = \"/run/api.pid\""),
    key("disable_logs", ValueKind::Boolean, "false", "Output is thrown away.").eg("disable_logs = true"),
    key("log_rate_limit", ValueKind::TextOrNumber, "journald's own",
        "Lines that the journal takes of an instance in 30 s, or \"unlimited\"; further ones are lost.")
        .eg("log_rate_limit = \"unlimited\"").ours(),
    // rights
    key("sandbox", ValueKind::Choice(SANDBOXES), "\"default\"", "What an app is kept from: by default what only root needs; strict: all but serving clients.")
        .eg("sandbox = \"strict\"").ours(),
    key("writable", ValueKind::Texts, "none", "Folders and files that the app may write to under `sandbox = \"strict\"`, relative to `cwd`.")
        .eg("writable = [\"uploads\", \"/var/lib/api\"]").ours(),
    key("credentials", ValueKind::Files, "none", "Secrets that systemd reads at each start and gives to the app alone, in $CREDENTIALS_DIRECTORY.")
        .eg("credentials = { db = \"/etc/keys/db\" }").ours(),
    // systemd
    key("service", ValueKind::Directives, "empty", "systemd directives for each instance's `[Service]`.")
        .eg("service = { CPUWeight = 200 }").ours(),
    key("slice", ValueKind::Directives, "empty", "systemd directives for the `[Slice]` of the whole app.")
        .eg("slice = { MemoryMax = \"2G\" }").ours(),
    key("socket", ValueKind::Directives, "empty", "systemd directives for each listener's `[Socket]`.")
        .eg("socket = { SocketMode = \"0660\" }").ours(),
];

const HEALTH_KEYS: &[Key] = &[
    key("http", ValueKind::Text, "none", "Path that has to be answered with a status from 200 to 299; with several listeners, its port before it.")
        .eg("http = \"http://localhost:3000/healthz\"").ours(),
    key("tcp", ValueKind::Number, "none", "Port of a listener on which a connection has to be accepted.")
        .eg("tcp = 3000").ours(),
    key("command", ValueKind::Texts, "none", "Program that has to end with code 0, and its arguments; it runs as the app's user, in its folder and with its variables.")
        .eg("command = [\"./check\", \"--ready\"]").ours(),
    key("interval", ValueKind::Duration, "\"10s\"", "How often instances that serve are checked by `http` or `tcp`; 0 is never.")
        .eg("interval = \"30s\"").ours(),
    key("failures", ValueKind::Number, "3", "Checks in a row, a second apart, that an instance has to fail to be replaced.")
        .eg("failures = 5").ours(),
    key("timeout", ValueKind::Duration, "\"5s\"", "How long one check may take.").eg("timeout = \"2s\"").ours(),
    key("grace", ValueKind::Duration, "`listen_timeout`", "How long checks of a starting instance may fail before its start has failed.")
        .eg("grace = \"30s\"").ours(),
];

const ROLLOUT_KEYS: &[Key] = &[
    key(
        "max_surge",
        ValueKind::TextOrNumber,
        "1",
        "Extra instances during a rollout, a number up to 1024 or percent.",
    )
    .eg("max_surge = \"25%\"")
    .ours(),
    key(
        "max_unavailable",
        ValueKind::TextOrNumber,
        "0",
        "Instances that may be missing during a rollout, a number up to 1024 or percent.",
    )
    .eg("max_unavailable = 1")
    .ours(),
    key(
        "min_ready",
        ValueKind::Duration,
        "1s",
        "Time that an instance must stay ready before it counts.",
    )
    .eg("min_ready = \"5s\"")
    .ours(),
    key(
        "on_failure",
        ValueKind::Choice(ON_FAILURE),
        "\"rollback\"",
        "What a failure does: put the former state back, or leave it.",
    )
    .eg("on_failure = \"pause\"")
    .ours(),
    key(
        "check",
        ValueKind::Texts,
        "none",
        "Program that has to end with code 0 before the first new instance gets a client and any other is touched, and its arguments.",
    )
    .eg("check = [\"./smoke-test\"]")
    .ours(),
];
