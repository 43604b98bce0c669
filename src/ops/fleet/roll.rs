//! A command on one host after the other, as a [`Course`] says. Hosts under way always finish: what stops a course
//! only keeps further ones from being begun.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::call::{HostCall, HostEnd, Listening, WANTED, call};
use super::hook::Hooks;
use crate::fleet::{Course, Line};
use crate::limits;
use crate::ssh::{Interrupt, Ssh};

/// What is done, and in which order.
#[derive(Debug)]
pub struct Roll<'a> {
    /// The command for each host.
    pub calls: &'a [HostCall],
    /// The order.
    pub course: Course,
    /// Time between two batches.
    pub wait: Duration,
    /// What runs here around the work on each of them.
    pub hooks: &'a [Hooks],
    /// Set when somebody wants no further host to be begun.
    pub interrupt: &'a AtomicBool,
}

/// Something happened. Hosts are named by their places.
#[derive(Clone, Debug, PartialEq)]
pub enum FleetEvent {
    /// A host is worked on.
    Begun(usize),
    /// A line for the shell runs for a host.
    Hook(usize, String),
    /// A host says something.
    Said(usize, Line),
    /// A host has ended.
    Ended(usize, HostFate),
    /// Nothing happens until the next batch.
    Pause(Duration),
    /// No further host is begun.
    Interrupted,
    /// Some time has passed.
    Tick,
}

/// What became of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostFate {
    /// It was not begun.
    Left,
    /// Its `before` failed, so that it was not touched.
    Untouched(String),
    /// The command ended.
    Ended(HostEnd),
    /// The command did what was asked for, and then `after` failed.
    NotBack(String),
}

impl HostFate {
    /// Whether all that was asked for was done.
    pub fn is_good(&self) -> bool {
        matches!(self, HostFate::Ended(end) if end.is_good())
    }
}

/// How often a view is told that time passes, and Ctrl-C is looked for.
const TICK: Duration = Duration::from_millis(100);

/// Runs the commands, and says what became of each host.
pub fn roll(ssh: &Ssh, roll: Roll<'_>, sink: &mut dyn FnMut(FleetEvent)) -> Vec<HostFate> {
    let Roll { calls, mut course, wait, hooks, interrupt } = roll;
    let mut fates = vec![HostFate::Left; calls.len()];
    let mut told = false;
    let mut heard = |course: &mut Course, sink: &mut dyn FnMut(FleetEvent)| {
        if interrupt.load(Ordering::Relaxed) && !std::mem::replace(&mut told, true) {
            course.interrupt();
            sink(FleetEvent::Interrupted);
        }
    };
    let mut first = true;
    loop {
        heard(&mut course, sink);
        let more = !course.left().is_empty() && course.clone().begin().is_some();
        if more && !std::mem::replace(&mut first, false) && !wait.is_zero() {
            sink(FleetEvent::Pause(wait));
            let until = Instant::now() + wait;
            while Instant::now() < until && !interrupt.load(Ordering::Relaxed) {
                // The pause that the file asks for, in pieces that Ctrl-C ends.
                std::thread::sleep(TICK.min(until.saturating_duration_since(Instant::now())));
            }
            heard(&mut course, sink);
        }
        let Some(batch) = course.begin() else { return fates };
        let mut told = |event: FleetEvent, course: &mut Course| {
            heard(course, sink);
            if let FleetEvent::Ended(at, fate) = &event {
                course.ended(fate.is_good());
                fates[*at] = fate.clone();
            }
            sink(event);
        };
        run_batch(ssh, calls, batch, hooks, &mut |event| told(event, &mut course));
    }
}

/// Works on the hosts of a batch at the same time.
fn run_batch(
    ssh: &Ssh,
    calls: &[HostCall],
    batch: Range<usize>,
    hooks: &[Hooks],
    sink: &mut dyn FnMut(FleetEvent),
) {
    let (sender, events) = mpsc::channel::<FleetEvent>();
    let size = batch.len();
    let queue = &Mutex::new(batch);
    std::thread::scope(|scope| {
        for _ in 0..size.min(limits::HOSTS_AT_ONCE) {
            let sender = sender.clone();
            scope.spawn(move || {
                // The receiver is gone only when the whole program ends.
                let mut tell = |event| drop(sender.send(event));
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some(at) = next() {
                    let fate = one(ssh, at, &calls[at], &hooks[at], &mut tell);
                    tell(FleetEvent::Ended(at, fate));
                }
            });
        }
        drop(sender);
        loop {
            match events.recv_timeout(TICK) {
                Ok(event) => sink(event),
                Err(RecvTimeoutError::Timeout) => sink(FleetEvent::Tick),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    });
}

fn one(
    ssh: &Ssh,
    at: usize,
    host: &HostCall,
    hooks: &Hooks,
    tell: &mut dyn FnMut(FleetEvent),
) -> HostFate {
    tell(FleetEvent::Begun(at));
    if let Some(line) = &hooks.before {
        tell(FleetEvent::Hook(at, line.clone()));
        if let Err(why) = hooks.run(line, &host.host) {
            return HostFate::Untouched(why);
        }
    }
    // What has begun there is listened to until its end: in a rollout nothing may happen for long.
    let how = Listening {
        interrupt: Interrupt::LeavesIt,
        most: Some(limits::HOST_ANSWER),
        silence: None,
        unasked: &WANTED,
    };
    let end = call(ssh, host, how, &mut |line| tell(FleetEvent::Said(at, line)));
    if let Some(line) = hooks.after.as_ref().filter(|_| end.is_good()) {
        tell(FleetEvent::Hook(at, line.clone()));
        if let Err(why) = hooks.run(line, &host.host) {
            return HostFate::NotBack(why);
        }
    }
    HostFate::Ended(end)
}
