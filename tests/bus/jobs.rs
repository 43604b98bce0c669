//! Jobs: every order in which replies and results can arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clusterctl::systemd::{ErrorKind, JobId, JobKind, JobMode, JobOutcome, JobResult, Systemd};
use zbus::Message;

use crate::fake::{self, Outbox, Script, job, unit};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn target(call: &Message) -> String {
    call.body().deserialize::<(String, String)>().unwrap().0
}

fn run(systemd: &Systemd, jobs: &[(JobKind, &str)]) -> Vec<JobOutcome> {
    let jobs: Vec<_> = jobs.iter().map(|(kind, name)| (*kind, unit(name))).collect();
    systemd.run_jobs(&jobs, JobMode::Replace, soon(), &mut |_, _| {}).unwrap()
}

/// Answers `Subscribe`, and gives the rest to the script.
fn manager(
    mut script: impl FnMut(&Message, &mut Outbox) + Send + 'static,
) -> impl FnMut(&Message, &mut Outbox) + Send + 'static {
    move |call, out| match call.header().member().unwrap().as_str() {
        "Subscribe" => out.reply(call, &()),
        _ => script(call, out),
    }
}

#[track_caller]
fn ended(outcome: &JobOutcome, expected: JobResult) {
    match outcome {
        JobOutcome::Ended(result) => assert_eq!(*result, expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_subscription_stands_before_the_first_job() {
    let (mut fake, systemd) = fake::start(manager(|call, out| {
        out.reply(call, &job(1));
        out.job_removed(1, "api@0.service", "done");
    }));
    run(&systemd, &[(JobKind::Start, "api@0.service")]);
    drop(systemd);
    fake.join();
    assert_eq!(
        fake.members(),
        ["AddMatch", "AddMatch", "Subscribe", "StartUnit", "RemoveMatch", "RemoveMatch"]
    );
}

#[test]
fn a_result_that_comes_before_the_reply_is_kept() {
    let (_fake, systemd) = fake::start(manager(|call, out| {
        out.job_removed(4, "api@0.service", "done");
        out.reply(call, &job(4));
    }));
    ended(&run(&systemd, &[(JobKind::Restart, "api@0.service")])[0], JobResult::Done);
}

#[test]
fn results_in_another_order_find_their_units() {
    let mut id = 0;
    let (_fake, systemd) = fake::start(manager(move |call, out| {
        id += 1;
        out.reply(call, &job(id));
        if id == 3 {
            out.job_removed(3, "api@2.service", "done");
            out.job_removed(1, "api@0.service", "timeout");
            out.job_removed(2, "api@1.service", "canceled");
        }
    }));
    let jobs = ["api@0.service", "api@1.service", "api@2.service"];
    let outcomes = run(&systemd, &jobs.map(|name| (JobKind::Start, name)));
    ended(&outcomes[0], JobResult::Timeout);
    ended(&outcomes[1], JobResult::Canceled);
    ended(&outcomes[2], JobResult::Done);
}

#[test]
fn two_requests_that_share_a_job_both_get_its_result() {
    let mut calls = 0;
    let (_fake, systemd) = fake::start(manager(move |call, out| {
        calls += 1;
        out.reply(call, &job(9));
        if calls == 2 {
            out.job_removed(9, "api@0.service", "failed");
        }
    }));
    let outcomes =
        run(&systemd, &[(JobKind::Start, "api@0.service"), (JobKind::Start, "api@0.service")]);
    ended(&outcomes[0], JobResult::Failed);
    ended(&outcomes[1], JobResult::Failed);
}

#[test]
fn the_end_of_another_job_of_the_unit_is_not_ours() {
    let (_fake, systemd) = fake::start(manager(|call, out| {
        out.job_removed(7, "api@0.service", "canceled");
        out.reply(call, &job(8));
        out.job_removed(8, "api@0.service", "done");
    }));
    ended(&run(&systemd, &[(JobKind::Start, "api@0.service")])[0], JobResult::Done);
}

#[test]
fn a_signal_sent_to_us_alone_is_forged() {
    let (_fake, systemd) = fake::start(manager(|call, out| {
        out.reply(call, &job(8));
        out.forged_job_removed(8, "api@0.service", "done");
        out.job_removed(8, "api@0.service", "failed");
    }));
    ended(&run(&systemd, &[(JobKind::Start, "api@0.service")])[0], JobResult::Failed);
}

#[test]
fn a_result_of_a_newer_manager_is_kept_and_no_success() {
    let (_fake, systemd) = fake::start(manager(|call, out| {
        out.reply(call, &job(1));
        out.job_removed(1, "api@0.service", "postponed");
    }));
    let outcome = run(&systemd, &[(JobKind::Start, "api@0.service")]).remove(0);
    assert!(!outcome.is_success());
    ended(&outcome, JobResult::Other("postponed".to_owned()));
}

#[test]
fn every_word_of_the_manager_has_its_variant() {
    use JobResult::{
        Assert, Canceled, Collected, Concurrency, Dependency, Done, Failed, Frozen, Invalid, Once,
        Skipped, Timeout, Unsupported,
    };
    let words = [
        ("done", Done),
        ("canceled", Canceled),
        ("timeout", Timeout),
        ("failed", Failed),
        ("dependency", Dependency),
        ("skipped", Skipped),
        ("invalid", Invalid),
        ("assert", Assert),
        ("unsupported", Unsupported),
        ("collected", Collected),
        ("once", Once),
        ("frozen", Frozen),
        ("concurrency", Concurrency),
    ];
    let texts: Vec<String> = words.iter().map(|(text, _)| (*text).to_owned()).collect();
    let (_fake, systemd) = fake::start(manager(move |call, out| {
        let name = target(call);
        let place: usize = name[4..name.len() - ".service".len()].parse().unwrap();
        let id = u32::try_from(place).unwrap() + 1;
        out.reply(call, &job(id));
        out.job_removed(id, &name, &texts[place]);
    }));
    let names: Vec<String> = (0..words.len()).map(|i| format!("api@{i}.service")).collect();
    let jobs: Vec<_> = names.iter().map(|name| (JobKind::Start, name.as_str())).collect();
    for ((text, expected), outcome) in words.into_iter().zip(run(&systemd, &jobs)) {
        assert_eq!(outcome.is_success(), expected == JobResult::Done, "{text}");
        ended(&outcome, expected);
    }
}

#[test]
fn a_refused_unit_is_one_outcome_among_the_others() {
    let (_fake, systemd) = fake::start(manager(|call, out| match target(call).as_str() {
        "gone@0.service" => {
            out.error(call, "org.freedesktop.systemd1.NoSuchUnit", "Unit not found.");
        }
        name => {
            out.reply(call, &job(2));
            out.job_removed(2, name, "done");
        }
    }));
    let outcomes =
        run(&systemd, &[(JobKind::Start, "gone@0.service"), (JobKind::Start, "api@0.service")]);
    match &outcomes[0] {
        JobOutcome::Refused(error) => {
            assert_eq!(error.kind(), ErrorKind::NoSuchUnit);
            assert_eq!(error.unit(), Some("gone@0.service"));
        }
        other => panic!("{other:?}"),
    }
    ended(&outcomes[1], JobResult::Done);
}

#[test]
fn outcomes_are_told_as_they_happen() {
    let (_fake, systemd) = fake::start(manager(|call, out| match target(call).as_str() {
        "api@0.service" => out.reply(call, &job(1)),
        name => {
            out.reply(call, &job(2));
            out.job_removed(2, name, "done");
            out.job_removed(1, "api@0.service", "done");
        }
    }));
    let jobs = [(JobKind::Stop, unit("api@0.service")), (JobKind::Stop, unit("api@1.service"))];
    let mut seen = Vec::new();
    systemd.run_jobs(&jobs, JobMode::Replace, soon(), &mut |place, _| seen.push(place)).unwrap();
    assert_eq!(seen, [1, 0]);
}

#[test]
fn a_job_that_outlives_the_deadline_is_unfinished() {
    let (_fake, systemd) = fake::start(manager(|call, out| out.reply(call, &job(1))));
    let jobs = [(JobKind::Start, unit("api@0.service"))];
    let deadline = Instant::now() + Duration::from_millis(50);
    let outcomes = systemd.run_jobs(&jobs, JobMode::Replace, deadline, &mut |_, _| {}).unwrap();
    assert!(matches!(outcomes[0], JobOutcome::Unfinished));
}

#[test]
fn a_manager_that_goes_away_ends_the_wait() {
    let (_fake, systemd) = fake::start(manager(|call, out| {
        out.reply(call, &job(1));
        out.hang_up = true;
    }));
    let jobs = [(JobKind::Start, unit("api@0.service"))];
    let error = systemd.run_jobs(&jobs, JobMode::Replace, soon(), &mut |_, _| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected);
}

#[test]
fn every_kind_and_mode_by_its_name() {
    let (fake, systemd) = fake::start(manager(|call, out| {
        let (_, mode): (String, String) = call.body().deserialize().unwrap();
        assert_eq!(mode, "fail");
        out.reply(call, &job(3));
    }));
    let kinds = [
        (JobKind::Start, "StartUnit"),
        (JobKind::Stop, "StopUnit"),
        (JobKind::Restart, "RestartUnit"),
        (JobKind::Reload, "ReloadUnit"),
    ];
    for (kind, method) in kinds {
        let id = systemd.submit(kind, &unit("api@0.service"), JobMode::Fail).unwrap();
        assert_eq!(id, JobId(3));
        assert_eq!(
            fake.asked(method),
            [format!("/org/freedesktop/systemd1 {}.{method}(ss)", fake::MANAGER)]
        );
    }
    drop(systemd);
}

/// Ends its jobs when it is asked nothing more, and knows how many it had at most.
struct Busy {
    pending: Vec<(u32, String)>,
    submitted: u32,
    most: Arc<AtomicUsize>,
}

impl Script for Busy {
    fn call(&mut self, call: &Message, out: &mut Outbox) {
        if call.header().member().unwrap().as_str() == "Subscribe" {
            return out.reply(call, &());
        }
        self.submitted += 1;
        self.pending.push((self.submitted, target(call)));
        self.most.fetch_max(self.pending.len(), Ordering::Relaxed);
        out.reply(call, &job(self.submitted));
    }

    fn quiet(&mut self, out: &mut Outbox) {
        self.pending.drain(..).for_each(|(id, unit)| out.job_removed(id, &unit, "done"));
    }
}

/// More at a time and the bus would put the manager out.
#[test]
fn of_many_jobs_over_a_bus_a_part_is_pending_at_a_time() {
    let most = Arc::new(AtomicUsize::new(0));
    let busy = Busy { pending: Vec::new(), submitted: 0, most: Arc::clone(&most) };
    let (_fake, systemd) = fake::start_script(busy);
    let names: Vec<String> = (0..600).map(|number| format!("api@{number}.service")).collect();
    let jobs: Vec<(JobKind, &str)> = names.iter().map(|n| (JobKind::Start, n.as_str())).collect();
    let outcomes = run(&systemd, &jobs);
    assert_eq!(outcomes.len(), 600);
    outcomes.iter().for_each(|outcome| ended(outcome, JobResult::Done));
    assert_eq!(most.load(Ordering::Relaxed), 256);
}
