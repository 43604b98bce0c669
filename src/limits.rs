//! Every limit of the program: how many, how long, how much. Each has its reason, and where the number
//! comes from if it is not our own.
//!
//! Values alone. What one algorithm looks at how often stays with that algorithm, and defaults of keys
//! stay with their keys: a default is not a limit.

use std::time::Duration;

// what an ecosystem file may ask for

/// Instances of one app, and how many may be added or missing in a rollout: more than the CPUs of any
/// machine that one systemd manages.
pub const INSTANCES: u32 = 1024;

/// Hosts of one file: more than anybody rolls a release over from one terminal.
pub const HOSTS: u32 = 1000;

/// Bytes of what ssh is told as a host: a name of DNS has 253 at most, and a user may stand before it.
pub const HOST_NAME: usize = 300;

/// Listeners that the preload library and the tracer hand over: those that are marked in one word of 64
/// bits. More are left to programs that speak `LISTEN_FDS`.
pub const LISTENERS: usize = 64;

/// Bytes of an app's name: leaves room for `-<listener>-<hash>.socket` within [`UNIT_NAME`].
pub const APP_NAME: usize = 100;

/// Bytes of a listener's name, for the same reason; `FileDescriptorName=` takes 255.
pub const LISTENER_NAME: usize = 60;

/// Bytes of an address in a socket unit's name; of a longer one the end is replaced by its hash.
pub const ADDRESS_IN_NAME: usize = 60;

/// Bytes of a unit's name: `UNIT_NAME_MAX` of systemd less its NUL, which is a file's name in any folder.
pub const UNIT_NAME: usize = 255;

/// Bytes of a credential's name: a file's name in any folder, and what `LoadCredential=` takes.
pub const CREDENTIAL_NAME: usize = 255;

/// Bytes of a Unix socket's path: `sun_path` less its NUL, unix(7).
pub const SOCKET_PATH: usize = 107;

/// Bytes of one argument or variable: `MAX_ARG_STRLEN` of the kernel less its NUL.
pub const ARGUMENT: usize = 131_071;

/// Bytes of one line of a unit file: `LONG_LINE_MAX` of systemd.
pub const UNIT_LINE: usize = 1 << 20;

/// Milliseconds that any key may ask for: a year and a day; systemd's own limits are far beyond it.
pub const DURATION_MS: u64 = 366 * 24 * 3_600_000;

/// Unstable restarts in a row: scripts compare the number, and POSIX promises a shell no more than 32
/// bits with a sign.
pub const RESTARTS: i64 = i32::MAX as i64;

/// Lines that the journal takes of an instance in 30 s: beyond that journald's own arithmetic overflows.
pub const LOG_LINES: u32 = 100_000_000;

/// Least memory of an instance: in less no runtime can even start.
pub const LEAST_MEMORY: u64 = 1 << 20;

/// Bytes of a request for metrics that are read: a scraper's header has a few hundred.
pub const HTTP_REQUEST: usize = 16 * 1024;

/// Bytes of the answer of an instance's door: one line.
pub const DOOR_ANSWER: usize = 1024;

/// Bytes of an answer that a program gives through its door, header included: more than anybody looks at.
pub const DOOR_BODY: usize = 64 << 20;

/// Bytes of what the program of `rollout.check` says that go to the journal.
pub const CHECK_OUTPUT: u64 = 64 << 10;

/// Bytes at the beginning of a body in which the line is that says why a check failed.
pub const HEALTH_LINE: usize = 300;

// what is read of files

/// Bytes of an ecosystem file: more than anybody writes by hand.
pub const FILE: u64 = 64 << 20;

/// Bytes of a file of a project in which `init` looks for its port and its name.
pub const PROJECT_FILE: u64 = 4 << 20;

/// Bytes that a configuration in JavaScript may export, and that PM2 may tell of its processes: each of hundreds
/// of them with a whole shell environment.
pub const EVALUATED: u64 = 16 << 20;

/// Changed paths that are remembered until nothing changes any more: whoever writes files decides how many there are,
/// and one is enough for a reload.
pub const CHANGED_PATHS: usize = 4096;

/// Bytes of a file of variables that are looked at before systemd reads it.
pub const ENV_FILE: usize = 64 << 10;

/// First bytes of a program: the head of what any usual linker makes.
pub const PROGRAM_HEAD: usize = 8192;

/// Bytes of the first line of a script: `BINPRM_BUF_SIZE` of the kernel.
pub const SCRIPT_LINE: usize = 256;

/// Scripts whose interpreter is a script: the kernel follows four, and one more shows that there is a loop.
pub const SCRIPTS: u32 = 5;

/// Bytes of the dynamic section of a program: larger than that of any program there is.
pub const DYNAMIC_SECTION: usize = 1 << 16;

/// Bytes of the names of a program's dynamic symbols, likewise.
pub const SYMBOL_NAMES: usize = 1 << 26;

/// Bytes of a line that a host says: a plan with all files of a large ecosystem, and then some.
pub const HOST_LINE: u64 = 64 << 20;

/// Bytes at the end of what ssh wrote to standard error: its last words say why it failed.
pub const HOST_SAID: usize = 16 << 10;

// what a release may be

/// Files and folders of a release: more than the largest `node_modules` there is.
pub const MEMBERS: usize = 2_000_000;

/// Folders of a release that lie in one another: the deepest `node_modules` has some thirty. Each takes a descriptor and
/// a piece of the stack of whoever walks through them.
pub const MEMBER_DEPTH: usize = 200;

/// Steps of removing a release: several for each of [`MEMBERS`] and of what a build adds, and an end for whoever makes more
/// files while they are removed.
pub const REMOVALS: usize = 40_000_000;

/// Bytes of a path in a release: `PATH_MAX` of the kernel, the folder of the release not counted.
pub const MEMBER_PATH: usize = 3500;

/// Bytes of a release: whoever sends one must not fill every disk.
pub const RELEASE: u64 = 64 << 30;

/// How long a hook of a deployment may take: a build of a large project on a small machine.
pub const DEPLOY_HOOK: Duration = Duration::from_secs(2 * 3600);

/// Bytes of a line of a hook that are waited for before they are shown.
pub const HOOK_LINE: usize = 8 << 10;

/// Steps from a link to what it leads to: the kernel follows 40 links, each of some steps.
pub const LINK_STEPS: usize = 400;

// what is shown

/// Problems of a file that are drawn; the others are counted.
pub const PROBLEMS: usize = 50;

/// Bytes of a line, its line break among them, that is drawn with a caret; of a longer one the place alone is told.
pub const DRAWN_LINE: usize = 4 << 10;

/// Problems behind which no word is searched that is near to an unknown one: that takes time.
pub const SUGGESTED: usize = 1000;

/// Known keys that a message lists; more of them are no help.
pub const KEYS_LISTED: usize = 12;

/// Instances that the progress of a rollout lists; more of them are counted.
pub const INSTANCES_LISTED: usize = 8;

/// Lines of an instance's output that say enough about a failure.
pub const FAILURE_LINES: usize = 10;

/// Lines of a program that `detect` has run and that did not do what was expected.
pub const TRIAL_LINES: usize = 10;

/// Lines of logs that the dashboard of `monit` keeps for scrolling: a few thousand are read by nobody, and
/// each takes memory.
pub const MONIT_LINES: usize = 5000;

/// Characters of one of them: more is no line that somebody reads in a window.
pub const MONIT_LINE: usize = 2000;

/// Looks of which the dashboard keeps what was used: as many as the widest sparkline shows.
pub const MONIT_LOOKS: usize = 24;

/// Lines of each instance that `describe` shows.
pub const DESCRIBED_LINES: usize = 3;

/// Steps of the clock by which the kernel says when an inode changed, and then some: what was written within one may look
/// as if it had not been.
pub const INODE_CLOCK: Duration = Duration::from_millis(20);

/// Two clocks that differ by more, in microseconds, are one that somebody has set: those of machines that keep the time
/// differ by less.
pub const CLOCK_SET: u64 = 60_000_000;

/// Bytes of the command line of whoever holds a lock.
pub const HOLDER: u64 = 200;

/// Instances of which each change in a rollout is told at once.
const TOLD_AT_ONCE: usize = 32;

/// Time between two tales of how a rollout stands that each list so many instances: a millisecond for
/// each of them, so that a thousand are told of once a second.
pub fn progress_pause(instances: usize) -> Duration {
    let millis = u64::try_from(instances).unwrap_or(u64::MAX);
    if instances <= TOLD_AT_ONCE { Duration::ZERO } else { Duration::from_millis(millis) }
}

// what is kept

/// Entries of the history, which bound what it takes on the disk: each holds a whole ecosystem file.
pub const HISTORY: usize = 20;

/// Reports of rollouts that are kept for whoever is about to read them.
pub const REPORTS: usize = 4;

/// Failed health checks of an app that are noted for `describe` and `history`: the last ones.
pub const HEALTH_NOTES: usize = 5;

// what is read of logs

/// Entries of the journal that are looked at for a failure, and how many if those do not reach back to
/// the start that failed: sixteen restarts of a program that prints a stack trace are five hundred.
pub const FAILURE_ENTRIES: [u64; 2] = [400, 8000];

/// Entries from the start of an instance in which the handover tells what was asked for: it speaks before
/// the program listens.
pub const START_ENTRIES: usize = 1000;

/// Bytes at the end of a log file that are looked at for a failure.
pub const FAILURE_TAIL: u64 = 64 << 10;

/// Bytes of a log file that are read at once, to show them or to find what the handover has told.
pub const LOG_FILE: u64 = 1 << 20;

/// Bytes of a journal's field; longer ones are cut: a core dump in the journal is no log line.
pub const JOURNAL_FIELD: usize = 1 << 20;

/// Bytes of a line without an end, where it is cut: `LineMax=` of systemd-journald.
pub const STREAM_LINE: usize = 48 * 1024;

// how much at the same time

/// Apps that are worked on at the same time.
pub const APPS_AT_ONCE: usize = 16;

/// Hosts that are asked at the same time: each is a process here.
pub const HOSTS_AT_ONCE: usize = 32;

/// Bytes that the command on one host says at most: its lines are kept until it has ended.
pub const HOST_ANSWER: u64 = 64 << 20;

/// Calls on the bus that are under way at one time: dbus-daemon refuses more than 128
/// (`max_replies_per_connection` of a system bus) with `LimitsExceeded`.
pub const CALLS: usize = 100;

/// Jobs that were submitted over a bus and have yet to end: for each the manager has a match rule there, of which
/// dbus-daemon allows a connection 512 (`max_match_rules_per_connection` of a system bus).
pub const JOBS_ON_BUS: usize = 256;

// how long is waited

/// Time that the manager may take to answer a question. It answers in milliseconds unless it is
/// reloading, which on a slow machine with many units takes seconds.
pub const ANSWER: Duration = Duration::from_secs(30);

/// Time for a daemon-reload, which runs all generators as well: systemd gives them 90 s.
pub const RELOAD: Duration = Duration::from_secs(150);

/// Time for bus and manager to come back after they were restarted.
pub const MANAGER_RETURNS: Duration = Duration::from_secs(60);

/// Time for ssh to have a connection. With [`HOST_ANSWERS`] it bounds how long a host can keep a command waiting that
/// has not begun there.
pub const SSH_CONNECT: Duration = Duration::from_secs(5);

/// How often a host that says nothing is asked for a sign of life, and how many may be missed: the link has ended
/// after three of these times. With [`SSH_CONNECT`], in which ssh tries anew when a kept connection has ended so, that is
/// less than [`HOST_ANSWERS`].
pub const SSH_ALIVE: (Duration, u32) = (Duration::from_secs(3), 2);

/// Time for which a connection is kept: from the plan to the last of its hosts, and for whoever types the next command.
pub const SSH_KEPT: Duration = Duration::from_secs(60);

/// Time for clusterctl on a host to say its first word: connection, login and `sudo` take less than a second each.
pub const HOST_ANSWERS: Duration = Duration::from_secs(15);

/// Time without a word after which a host is given up that is only asked: whatever holds its clusterctl up, the other
/// hosts' answers are wanted. Of a host that does something nobody minds silence; a dead link ends by [`SSH_ALIVE`].
pub const HOST_SILENT: Duration = Duration::from_secs(15);

/// The longest start or stop that a definition can ask for, and then some: each unit has its own limits,
/// this one only keeps a lost signal from being waited for without an end.
pub const JOB: Duration = Duration::from_secs(24 * 60 * 60);

/// Time for all commands before a rollout, or after it: a migration of a database may take minutes.
pub const HOOK: Duration = Duration::from_secs(15 * 60);

/// Time that the manager may need beyond an app's own limits.
pub const JOB_MARGIN: Duration = Duration::from_secs(30);

/// Time that the manager may need for each of many jobs that it was given at once, on a machine with other things to do.
pub const JOB_EACH: Duration = Duration::from_millis(250);

/// Time for a job of somebody else: it may itself wait for the unit that runs this command.
pub const OTHER_JOB: Duration = Duration::from_secs(300);

/// Time for the door of an instance to answer: the library does nothing before it but look at the command, and a
/// process that is stopped shall hold nobody up.
pub const DOOR: Duration = Duration::from_secs(5);

/// Time for a program to answer a request through its door, where the command line says nothing.
pub const DOOR_REQUEST: Duration = Duration::from_secs(30);

/// Time for a program to tell its metrics: as long as Prometheus waits by default.
pub const OWN_METRICS: Duration = Duration::from_secs(10);

/// Time for a listener to open.
pub const LISTENER_OPENS: Duration = Duration::from_secs(30);

/// Time for the kernel to let go of an address that is about to be opened.
pub const ADDRESS_FREE: Duration = Duration::from_secs(5);

/// Time after which a request whose sender is gone is forgotten: whoever reloads the app by hand later
/// wants something else.
pub const REQUEST: Duration = Duration::from_secs(600);

/// A timeout of a rollout: one that may wait a day for one instance is one that nobody is waiting for.
pub const ROLLOUT_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Time that a job of a rollout may take beyond its own limits: forks, conditions, a busy manager.
pub const ROLLOUT_MARGIN: Duration = Duration::from_secs(10);

/// The first moments of a start, in which a program computes rather than waits.
pub const ROLLOUT_MOMENTS: Duration = Duration::from_millis(100);

/// Time for the driver of a rollout to answer a question.
pub const ROLLOUT_ANSWER: Duration = Duration::from_secs(5);

/// Time to write the former unit files, with a daemon-reload; systemd gives its generators 90 s.
pub const RESTORE: Duration = Duration::from_secs(120);

/// Time for node to evaluate a configuration, and for PM2 to answer: either takes a second where nothing is wrong.
pub const EVALUATION: Duration = Duration::from_secs(60);

/// Time for handshakes that have begun, after which new clients go to another socket: a client that has to send its
/// answer once more does so within a second.
pub const HANDSHAKES: Duration = Duration::from_millis(1200);

/// Least time for PM2's processes to finish what they have begun: in its last twentieth kept-alive connections are
/// ended between two requests, which has to be longer than most answers take.
pub const TAKEOVER_DRAIN: Duration = Duration::from_secs(30);

/// Time for PM2's processes to listen again, after which nobody waits for them any more.
pub const PM2_LISTENS: Duration = Duration::from_secs(30);

/// Time for the private manager of `dev` to start.
pub const DEV_READY: Duration = Duration::from_secs(20);

/// Time for all apps of `dev` to drain; each unit has its own, shorter limit.
pub const DEV_DRAIN: Duration = Duration::from_secs(90);

/// Time for a program that was run once, to see where it listens, to end itself.
pub const TRIAL_ENDS: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    #[test]
    fn what_it_costs_to_tell_of_many_instances_grows_with_their_number() {
        use std::time::Duration;
        let pauses = [1, 32, 100, 1000].map(super::progress_pause);
        assert_eq!(pauses, [0, 0, 100, 1000].map(Duration::from_millis));
    }

    use crate::handover::environment::{MAX_LISTENERS, listen_fds};

    #[test]
    fn the_library_is_built_with_the_same_number_of_listeners() {
        assert_eq!(MAX_LISTENERS, super::LISTENERS);
        let taken = |listeners: usize| listen_fds(listeners.to_string().as_bytes());
        assert_eq!(taken(MAX_LISTENERS), MAX_LISTENERS);
        assert_eq!(taken(MAX_LISTENERS + 1), MAX_LISTENERS);
    }
}
