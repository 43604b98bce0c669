//! Commands beside a manager that reads its units again and again, and begins anew now and then, as where a package
//! manager or a management of configurations is at work: each command tells the truth, no client is lost, and the app
//! ends as it does after an undisturbed command, file by file.
//!
//! That units are read ends no command. A manager that begins anew closes its connections: a command that changes
//! units may end with that as its reason then, and goes on when it is run again.

use crate::kills::{
    CHANGE, CREATE, DELETE, DEPLOY, PRUNE, RELOAD, ROLLBACK, SCALE, SHRINK, Scene, State, leavings,
    points_asked_for, prepared, state,
};
use crate::shop::load;
use crate::support::{Machine, Root, machine};

/// Has the manager read all units as often as it can until a file is gone, and begin anew in its turn.
const AGAIN: &str = "\
n=0
while test -e /run/again; do
  n=$((n + 1))
  if test $((n % TURN)) = 0; then systemctl daemon-reexec; else systemctl daemon-reload; fi
done
echo $n";

/// After how many times of reading the manager begins anew: never, and now and then.
const TURNS: [u32; 2] = [1_000_000, 7];

/// Runs the command of a round undisturbed; gives the state in which it ends.
fn undisturbed(m: &Machine, scene: &Scene, round: usize) -> State {
    (scene.base)(m, round);
    let command = (scene.command)(m, round);
    m.ok_sh(&format!("clusterctl {command}"));
    state(m)
}

/// Runs the command of a round beside such a manager; gives how often the units were read.
fn beside(m: &Machine, (scene, turn): (&Scene, u32), round: usize, wanted: &State) -> u32 {
    (scene.base)(m, round);
    let command = (scene.command)(m, round);
    m.write("/run/again", "");
    let mut again = m.spawn(["sh", "-c", &AGAIN.replace("TURN", &turn.to_string())]);
    let output = m.sh(&format!("clusterctl {command}"));
    m.ok(["rm", "/run/again"]);
    let (_, times) = again.wait();
    // Nobody has waited in vain for an answer: the connection broke.
    let says = |words: &str| output.stderr.contains(words);
    let told = (says("connection") || says("no service manager answers")) && !says("in time");
    let broke = turn != TURNS[0] && output.code != 0 && told && output.stderr.contains("next: ");
    assert!(output.code == 0 || broke, "{command}: {output:#?}");
    if broke {
        let second = m.sh(&format!("clusterctl {command}"));
        // When the first run has removed the app, the second one does not know it.
        let gone = !scene.serves && second.code == 5;
        assert!(second.code == 0 || gone, "{command}: {output:#?} {second:#?}");
    }
    let after = state(m);
    assert_eq!(after.units, wanted.units, "{command}: {output:#?}");
    assert_eq!(after, *wanted, "{command}: {output:#?}");
    assert_eq!(leavings(m), "", "{command}: {output:#?}");
    times.last().and_then(|line| line.parse().ok()).unwrap_or_default()
}

/// Runs a verb beside such managers, so many rounds of each direction beside each.
fn rounds(root: Root, scene: &Scene, rounds: usize) {
    let Some(m) = machine(root) else { return };
    prepared(&m);
    // Once around, so that the runs which tell the state begin where those begin that are compared.
    (0..scene.directions).for_each(|round| drop(undisturbed(&m, scene, round)));
    let wanted: Vec<State> =
        (0..scene.directions).map(|round| undisturbed(&m, scene, round)).collect();
    let served = scene.serves.then(|| m.load(load()));
    let (mut times, mut failed) = (0, Vec::new());
    let turns = TURNS.iter().flat_map(|turn| (0..rounds).map(move |_| *turn));
    let turns = turns.flat_map(|turn| (0..scene.directions).map(move |round| (turn, round)));
    for (turn, round) in turns {
        let tried = || beside(&m, (scene, turn), round, &wanted[round]);
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(tried)) {
            Ok(more) => times += more,
            // The other rounds are tried all the same, so that one run of the test tells how often it fails.
            Err(_) => {
                failed.push((turn, round));
                m.sh("rm -f /run/again");
                undisturbed(&m, scene, round);
            }
        }
    }
    if let Some(served) = served {
        served.stop().assert_none_failed();
    }
    eprintln!("the units were read {times} times");
    assert!(
        failed.is_empty(),
        "failed beside managers that begin anew after so many readings, by round: {failed:?}"
    );
    assert!(times > 0);
}

/// Tests of one verb. Each has a machine of its own, so that it can be run and repeated without the others.
macro_rules! verb {
    ($name:ident, $scene:expr) => {
        mod $name {
            use super::*;

            #[test]
            #[ignore = "ten rounds beside each manager: make check-long"]
            fn long_host() {
                rounds(Root::Host, &$scene, points_asked_for().unwrap_or(10));
            }

            #[test]
            #[ignore = "ten rounds beside each manager: make check-long"]
            fn long_trixie() {
                rounds(Root::Trixie, &$scene, points_asked_for().unwrap_or(10));
            }
        }
    };
}

verb!(create, CREATE);
verb!(delete, DELETE);
verb!(change, CHANGE);
verb!(shrink, SHRINK);
verb!(prune, PRUNE);
verb!(scale, SCALE);
verb!(reload, RELOAD);
verb!(rollback, ROLLBACK);
verb!(deploy, DEPLOY);
