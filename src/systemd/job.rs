//! What a job is, and how it ends, in the words of the manager. It never submits one.

use std::fmt;

use super::Error;

const JOB_PATHS: &str = "/org/freedesktop/systemd1/job/";

/// What to do to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// Start it, unless it runs.
    Start,
    /// Stop it.
    Stop,
    /// Stop it if it runs, then start it.
    Restart,
    /// Run its `ExecReload=`.
    Reload,
}

impl JobKind {
    pub(super) fn method(self) -> &'static str {
        match self {
            JobKind::Start => "StartUnit",
            JobKind::Stop => "StopUnit",
            JobKind::Restart => "RestartUnit",
            JobKind::Reload => "ReloadUnit",
        }
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JobKind::Start => "start",
            JobKind::Stop => "stop",
            JobKind::Restart => "restart",
            JobKind::Reload => "reload",
        })
    }
}

/// What becomes of jobs that are queued already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum JobMode {
    /// A conflicting queued job is replaced.
    #[default]
    Replace,
    /// A conflicting queued job makes this one fail.
    Fail,
    /// Only this unit: its dependencies are ignored.
    IgnoreDependencies,
}

impl JobMode {
    pub(super) fn name(self) -> &'static str {
        match self {
            JobMode::Replace => "replace",
            JobMode::Fail => "fail",
            JobMode::IgnoreDependencies => "ignore-dependencies",
        }
    }
}

/// The number of a job, unique while its manager lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u32);

impl JobId {
    /// The job of an object path.
    pub(super) fn of_path(path: &str) -> Option<JobId> {
        path.strip_prefix(JOB_PATHS)?.parse().ok().map(JobId)
    }

    pub(super) fn path(self) -> String {
        format!("{JOB_PATHS}{}", self.0)
    }
}

/// How a job ended, in the manager's words (`job_result_to_string()` in systemd's job.c).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobResult {
    /// The unit is in the wanted state.
    Done,
    /// Another job took its place, or somebody canceled it.
    Canceled,
    /// It took longer than `JobTimeoutSec=`.
    Timeout,
    /// The unit did not reach the wanted state.
    Failed,
    /// A unit that it requires failed.
    Dependency,
    /// Not run: an `ExecCondition=` said no, or a reload met a unit that is not active.
    Skipped,
    /// The unit has no such job.
    Invalid,
    /// An `Assert…=` does not hold: units of ours assert folders, and nothing else.
    Assert,
    /// This kind of unit cannot do that on this machine.
    Unsupported,
    /// A unit that it was for is gone.
    Collected,
    /// The unit can be started once only, and was.
    Once,
    /// The unit is frozen.
    Frozen,
    /// The slice has as many active units as it may.
    Concurrency,
    /// A word that a newer manager uses; no success.
    Other(String),
}

impl JobResult {
    pub(super) fn from_text(text: &str) -> JobResult {
        match text {
            "done" => JobResult::Done,
            "canceled" => JobResult::Canceled,
            "timeout" => JobResult::Timeout,
            "failed" => JobResult::Failed,
            "dependency" => JobResult::Dependency,
            "skipped" => JobResult::Skipped,
            "invalid" => JobResult::Invalid,
            "assert" => JobResult::Assert,
            "unsupported" => JobResult::Unsupported,
            "collected" => JobResult::Collected,
            "once" => JobResult::Once,
            "frozen" => JobResult::Frozen,
            "concurrency" => JobResult::Concurrency,
            other => JobResult::Other(other.to_owned()),
        }
    }

    /// Whether the unit is where the job should bring it.
    pub fn is_success(&self) -> bool {
        *self == JobResult::Done
    }
}

impl fmt::Display for JobResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JobResult::Done => "done",
            JobResult::Canceled => "canceled by another job",
            JobResult::Timeout => "timed out",
            JobResult::Failed => "failed",
            JobResult::Dependency => "a unit that it depends on failed",
            JobResult::Skipped => "skipped: a condition says no, or it is not active",
            JobResult::Invalid => "not possible for this unit",
            JobResult::Assert => "a folder that it needs is not there",
            JobResult::Unsupported => "not supported on this machine",
            JobResult::Collected => "the unit is gone",
            JobResult::Once => "the unit can be started only once",
            JobResult::Frozen => "the unit is frozen",
            JobResult::Concurrency => "the slice has as many active units as it may",
            JobResult::Other(text) => return write!(f, "ended with `{text}`"),
        })
    }
}

/// What became of one request of [`Systemd::run_jobs`].
#[derive(Clone, Debug)]
pub enum JobOutcome {
    /// The job ended.
    Ended(JobResult),
    /// The manager did not take it: no such unit, masked, not permitted …
    Refused(Error),
    /// It had not ended at the deadline, and goes on in the manager.
    Unfinished,
}

impl JobOutcome {
    /// Whether the unit is where the job should bring it.
    pub fn is_success(&self) -> bool {
        matches!(self, JobOutcome::Ended(result) if result.is_success())
    }
}
