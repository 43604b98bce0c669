//! What `min_ready` costs: two times itself at most over a rollout without it, whatever the number of instances.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clusterctl::ecosystem::Share;
use clusterctl::rollout::{
    Change, Command, Event, Former, JobResult, Observed, Outcome, Policy, Rollout, Serial, Sight,
    Spec, State, Time,
};

/// How long a rollout takes in which every start takes half a second and every stop a fifth.
fn duration(
    instances: u32,
    min_ready: Duration,
    max_surge: Share,
    max_unavailable: Share,
) -> Duration {
    let ready = |serial| Sight { state: State::Ready, serial: Serial(serial) };
    let old = Observed { sight: ready(1), outdated: true };
    let spec = Spec {
        current: (0..instances).map(|number| (number, old)).collect(),
        before: instances,
        wanted: instances,
        policy: Policy { min_ready, max_surge, max_unavailable, ..Policy::default() },
        former: Former::Nothing,
        chosen: false,
    };
    let mut now = Time::default();
    let (mut rollout, mut commands) = Rollout::new(spec, now);
    let mut events: BTreeMap<(Time, u64), Event> = BTreeMap::new();
    let mut started: BTreeSet<u32> = BTreeSet::new();
    let mut count = 0;
    loop {
        for command in commands {
            count += 1;
            let (after, event) = match command {
                Command::Submit { instance, change, ticket, .. } => {
                    let done = Event::JobDone { instance, ticket, result: JobResult::Done };
                    started.extend((change != Change::Stop).then_some(instance));
                    let after = match change {
                        Change::Start => 500,
                        Change::Restart => 700,
                        Change::Stop => 200,
                    };
                    (after, done)
                }
                Command::Look { instance, .. } => {
                    let serial = if started.contains(&instance) { 2 } else { 1 };
                    (0, Event::Seen { instance, sight: ready(serial) })
                }
                Command::RestoreDefinition { because } => panic!("{because}"),
            };
            events.insert((now + Duration::from_millis(after), count), event);
        }
        if let Some(outcome) = rollout.outcome() {
            assert_eq!(*outcome, Outcome::Complete);
            return now.since(Time::default());
        }
        let deadline = rollout.deadline().unwrap();
        let event = match events.first_key_value() {
            Some(((time, _), _)) if *time <= deadline => {
                let ((time, _), event) = events.pop_first().unwrap();
                now = now.max(time);
                event
            }
            _ => {
                now = now.max(deadline);
                Event::Tick
            }
        };
        commands = rollout.handle(now, event);
    }
}

#[test]
fn min_ready_costs_two_times_itself_whatever_the_number_of_instances() {
    let amounts = [
        (Share::Count(1), Share::Count(0)),
        (Share::Count(0), Share::Count(1)),
        (Share::Count(3), Share::Count(2)),
        (Share::Percent(25), Share::Percent(25)),
        (Share::Percent(100), Share::Count(0)),
        (Share::Count(0), Share::Percent(100)),
    ];
    for (surge, unavailable) in amounts {
        for instances in [1, 2, 3, 4, 8, 16, 40] {
            for min_ready in [1, 100, 1000, 5000].map(Duration::from_millis) {
                let plain = duration(instances, Duration::ZERO, surge, unavailable);
                let careful = duration(instances, min_ready, surge, unavailable);
                let what = format!("{instances} instances, {surge} and {unavailable}");
                assert!(careful >= plain + min_ready, "{what}: {careful:?} after {plain:?}");
                assert!(careful <= plain + 2 * min_ready, "{what}: {careful:?} after {plain:?}");
            }
        }
    }
}
