//! One effectful function per verb: observe, plan, drive, report facts. Never prints, and decides
//! nothing that `plan` or `rollout` could have decided.

mod act;
mod apply;
mod asked;
mod audit;
mod await_health;
mod canaries;
mod control;
mod credentials;
mod delegate;
mod delete;
mod deploy;
mod describe;
mod doctor;
mod done;
mod door;
mod door_paths;
mod ended;
mod error;
mod event;
mod expand;
mod fast_state;
pub mod fleet;
mod flush;
mod followed;
mod free;

mod handover_files;
mod held;
mod hooks;
pub mod import;
mod job;
mod latecomers;
mod links;
mod list;
mod load;
mod loaded;
mod lock;
mod log_files;
mod log_owner;
mod log_spec;
mod logs;
mod look;
mod masked;
mod memory;
mod meter;
mod metrics;
mod missing;
mod namespaces;
mod observe;
mod overtaken;
mod own_metrics;
mod parallel;
mod perform;
mod pins;
mod reason;
mod reload;
mod reopen;
mod request;
mod reset;
mod resume;
mod roll;
mod scale;
mod select;
mod settle;
mod shown;
mod sight;
mod signal;
mod stay;
mod steps;
pub mod takeover;
mod template;
mod unfit;
mod unreached;
mod variables;
mod way_back;
mod witness;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use crate::disk::{self, HandoverPlace, Layout, Lock};
use crate::plan::reason::InstanceSight;
use crate::systemd::{Systemd, Together};
use crate::translate::Target;
use crate::unit::UnitName;

pub use apply::{Applied, ApplyRequest, Seen, apply, apply_privately};
pub use asked::AskedAddress;
pub use audit::{Audit, audit};
pub use await_health::{CanaryCheck, Check, HealthWait, Unfit, Way, await_health};
pub use control::{ControlVerb, control};
pub use delegate::delegate;
pub use delete::delete;
pub use deploy::{
    DeployEvent, DeploySink, Deployment, Release, after_switch, before_switch, in_force, release,
    tidy,
};
pub use describe::{Description, ListenerState, describe};
pub use doctor::{app_facts, machine_facts};
pub use done::{Done, Finished, UnitFailure};
pub use door::{Reached, drain, reach, undrain};
pub use error::Error;
pub use event::{Event, Sink};
pub use expand::{BadSelector, expand, ids};
pub use flush::{Flushed, flush};
pub use held::{Lacking, lacking};
pub use list::{Row, Status, list, listeners, other_cpus, status};
pub use load::load;
pub use log_spec::{LogSpec, Stream};
pub use logs::{logs, restricted, suppressed_of};
pub use memory::heavy;
pub use meter::cpu_now;
pub use metrics::{AppMetrics, metrics};
use observe::{note_held, note_unheld};
pub use observe::{observe, observe_found};
pub use own_metrics::{OwnMetrics, own_metrics};
pub use perform::perform;
pub use reason::{Stories, Story, story};
pub use reload::{Reload, Running, given_up, not_running, reload, running};
pub use reopen::writes_files;
pub use request::Request;
pub use reset::reset;
use roll::{RollSpec, roll};
pub use scale::{Scaling, scale};
pub use select::{
    Selected, addresses, apps, apps_meant, apps_shown, disable, named, not_down, numbers, select,
    up, whole,
};
pub use settle::under_way;
pub use shown::{UnitFact, UnitFacts};
pub use signal::{Sent, send_signal, signal_number};
pub use stay::masked;
pub use unfit::{note_health, unfit};
pub use unreached::Unreached;
pub use way_back::{WayBack, WayBackReason, way_back};

/// What every verb works with.
#[derive(Debug)]
pub struct Context {
    /// Where files live.
    pub layout: Layout,
    /// The manager.
    pub systemd: Systemd,
    /// The program that `systemctl reload` runs.
    pub program: PathBuf,
    /// When this was asked for.
    pub begun: SystemTime,
    /// Somebody wants rollouts to stop between two instances.
    pub interrupt: Arc<AtomicBool>,
    /// The manager ends the rollout of this process, to stop or restart the app.
    pub end: Arc<AtomicBool>,
    /// How long somebody else may take to let go of the addresses that are about to be opened; nothing,
    /// where nobody but an app that goes is expected to.
    pub(crate) others_let_go: Option<Duration>,
    /// What instances did whose start was waited for.
    sights: Mutex<BTreeMap<UnitName, InstanceSight>>,
    /// What is to be said of them while they are waited for.
    notices: Mutex<Vec<Event>>,
    /// See [`Context::manager_version`].
    version: OnceLock<u32>,
    /// Where helpers are, looked for once.
    handover: OnceLock<HandoverPlace>,
}

impl Context {
    /// For what is asked for now.
    ///
    /// # Errors
    /// The kernel gives no random bytes.
    pub fn new(mut layout: Layout, systemd: Systemd, program: PathBuf) -> Result<Context, Error> {
        let begun = SystemTime::now();
        let (sights, notices) = (Mutex::default(), Mutex::default());
        layout.secret = disk::secret(&layout.state)?;
        let (interrupt, end) = (Arc::default(), Arc::default());
        let others_let_go = None;
        Ok(Context {
            layout,
            systemd,
            program,
            begun,
            interrupt,
            end,
            others_let_go,
            sights,
            notices,
            version: OnceLock::new(),
            handover: OnceLock::new(),
        })
    }

    /// For what writes units: makes the key that names environment files, unless there is one.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub fn make_own_secret(&mut self) -> Result<(), Error> {
        let _shared = Lock::shared(&self.layout.state)?;
        self.layout.secret = disk::own_secret(&self.layout.state)?;
        Ok(())
    }

    fn sights(&self) -> MutexGuard<'_, BTreeMap<UnitName, InstanceSight>> {
        self.sights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notices(&self) -> MutexGuard<'_, Vec<Event>> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen since the last call.
    fn noticed(&self) -> Vec<Event> {
        std::mem::take(&mut self.notices())
    }

    /// Lets questions to the manager that follow one another cost little, as long as the result is held: see
    /// [`Together`]. Whoever holds it waits for nothing but answers.
    #[must_use = "it ends when it is dropped"]
    pub fn together(&self) -> Together {
        self.systemd.together()
    }

    /// Whether the manager ends the rollout of this process.
    pub fn is_ended(&self) -> bool {
        self.end.load(Ordering::Relaxed)
    }

    /// Whether somebody wants rollouts to stop between two instances.
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    /// The major version of the manager, asked for once.
    ///
    /// # Errors
    /// The manager does not tell.
    pub fn manager_version(&self) -> Result<u32, Error> {
        if let Some(version) = self.version.get() {
            return Ok(*version);
        }
        let version = self.systemd.version()?;
        Ok(*self.version.get_or_init(|| version))
    }

    /// What units are written for. The handover directory need not exist yet.
    ///
    /// # Errors
    /// The manager does not tell its version.
    pub fn target(&self) -> Result<Target, Error> {
        Ok(Target {
            scope: self.layout.scope,
            systemd: self.manager_version()?,
            handover: self.handover().dir,
            environment: self.layout.environment.clone(),
            secret: self.layout.secret,
            locks: disk::locks(&self.layout.state),
            namespaces: namespaces::permitted(&self.layout),
            program: self.program.clone(),
        })
    }
}
