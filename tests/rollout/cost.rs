//! What `min_ready` costs: two times itself at most over a rollout without it, whatever the number of instances.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clusterctl::ecosystem::Share;
use clusterctl::rollout::{
    Former, FoundInstance, Instruction, Outcome, Policy, Rollout, RolloutEvent, RolloutJobResult,
    Serial, Sight, Spec, State, Time, UnitJob,
};

/// How long a rollout takes in which every start takes half a second and every stop a fifth.
fn duration(
    instances: u32,
    min_ready: Duration,
    max_surge: Share,
    max_unavailable: Share,
) -> Duration {
    let ready = |serial| Sight { state: State::Ready, serial: Serial(serial) };
    let old = FoundInstance { sight: ready(1), outdated: true };
    let spec = Spec {
        current: (0..instances).map(|number| (number, old)).collect(),
        before: instances,
        wanted: instances,
        policy: Policy { min_ready, max_surge, max_unavailable, ..Policy::default() },
        former: Former::Nothing,
        starts_at_once: u32::MAX,
        chosen: false,
        pinned: BTreeSet::new(),
    };
    let mut now = Time::default();
    let (mut rollout, mut commands) = Rollout::new(spec, now);
    let mut events: BTreeMap<(Time, u64), RolloutEvent> = BTreeMap::new();
    let mut started: BTreeSet<u32> = BTreeSet::new();
    let mut count = 0;
    loop {
        for command in commands {
            count += 1;
            let (after, event) = match command {
                Instruction::Submit { instance, change, ticket, .. } => {
                    let done =
                        RolloutEvent::JobDone { instance, ticket, result: RolloutJobResult::Done };
                    started.extend((change != UnitJob::Stop).then_some(instance));
                    let after = match change {
                        UnitJob::Start => 500,
                        UnitJob::Restart => 700,
                        UnitJob::Stop => 200,
                    };
                    (after, done)
                }
                Instruction::Look { instance, .. } => {
                    let serial = if started.contains(&instance) { 2 } else { 1 };
                    (0, RolloutEvent::Seen { instance, sight: ready(serial) })
                }
                Instruction::Unpin { .. } => panic!("nothing is pinned"),
                Instruction::RestoreDefinition { because } => panic!("{because}"),
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
                RolloutEvent::Tick
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
