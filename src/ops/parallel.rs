//! Several apps at the same time, their events in one stream.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use super::{Done, Error, Event, Sink};
use crate::ecosystem::AppName;

/// So many apps are worked on at the same time.
const AT_ONCE: usize = crate::limits::APPS_AT_ONCE;

/// What is done for one task.
pub(super) type Work<'a, T> = &'a (dyn Fn(&T, Sink<'_>) -> Result<(AppName, Done), Error> + Sync);

/// How often notices are looked for.
const GLANCE: Duration = Duration::from_millis(200);

/// Does `work` for every task, and passes on what `notices` has meanwhile; the first error comes back when all are done.
pub(super) fn parallel<T: Sync>(
    tasks: &[T],
    work: Work<'_, T>,
    notices: &dyn Fn() -> Vec<Event>,
    sink: Sink<'_>,
) -> Result<BTreeMap<AppName, Done>, Error> {
    let queue: Mutex<VecDeque<&T>> = Mutex::new(tasks.iter().collect());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let (sender, events) = mpsc::channel::<Event>();
    std::thread::scope(|scope| {
        let worker = |sender: mpsc::Sender<Event>| {
            let mut done = Vec::new();
            while let Some(task) = next() {
                // The receiver is gone only when the whole program ends.
                done.push(work(task, &mut |event| drop(sender.send(event))));
            }
            done
        };
        let threads: Vec<_> = (0..AT_ONCE.min(tasks.len()))
            .map(|_| {
                let sender = sender.clone();
                scope.spawn(move || worker(sender))
            })
            .collect();
        drop(sender);
        loop {
            // `witness` sees what instances do meanwhile, and has no sender of this channel.
            let event = events.recv_timeout(GLANCE);
            notices().into_iter().for_each(&mut *sink);
            match event {
                Ok(event) => sink(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let mut done = BTreeMap::new();
        for thread in threads {
            let finished = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            for result in finished {
                let (app, result) = result?;
                done.insert(app, result);
            }
        }
        Ok(done)
    })
}
