//! Commands beside a manager that reads its units again and again, and begins anew now and then, as where a package
//! manager or a management of configurations is at work: each command tells the truth, no client is lost, and the app
//! ends as it does after an undisturbed command, file by file.
//!
//! That units are read ends no command. A manager that begins anew closes its connections: a command that changes
//! units may end with that as its reason then, and goes on when it is run again.

use crate::kills::{
    CHANGE, CREATE, DELETE, DEPLOY, PRUNE, RELOAD, ROLLBACK, SCALE, SHRINK, Scene, State, leavings,
    prepared, state,
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

/// Each verb, in an order in which one may follow the other on the same machine.
const SCENES: [(&str, &Scene); 9] = [
    ("create", &CREATE),
    ("delete", &DELETE),
    ("change", &CHANGE),
    ("shrink", &SHRINK),
    ("prune", &PRUNE),
    ("scale", &SCALE),
    ("reload", &RELOAD),
    ("rollback", &ROLLBACK),
    ("deploy", &DEPLOY),
];

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

fn every_verb(m: &Machine, rounds: usize) {
    prepared(m);
    let mut failed = Vec::new();
    for (name, scene) in SCENES {
        // Once around, so that the runs which tell the state begin where those begin that are compared.
        (0..scene.directions).for_each(|round| drop(undisturbed(m, scene, round)));
        let wanted: Vec<State> =
            (0..scene.directions).map(|round| undisturbed(m, scene, round)).collect();
        let served = scene.serves.then(|| m.load(load()));
        let mut times = 0;
        let turns = TURNS.iter().flat_map(|turn| (0..rounds).map(move |_| *turn));
        let turns = turns.flat_map(|turn| (0..scene.directions).map(move |round| (turn, round)));
        for (turn, round) in turns {
            let tried = || beside(m, (scene, turn), round, &wanted[round]);
            let tried = std::panic::AssertUnwindSafe(tried);
            match std::panic::catch_unwind(tried) {
                Ok(more) => times += more,
                // The other verbs are tried all the same, so that one run of the test names all that fail.
                Err(_) => {
                    failed.push(name);
                    m.sh("rm -f /run/again");
                    undisturbed(m, scene, round);
                }
            }
        }
        if let Some(served) = served {
            served.stop().assert_none_failed();
        }
        eprintln!("{name}: the units were read {times} times");
        assert!(times > 0 || !failed.is_empty(), "{name}");
    }
    assert!(failed.is_empty(), "{failed:?}");
}

fn long(root: Root) {
    let Some(m) = machine(root) else { return };
    every_verb(&m, 10);
}

#[test]
#[ignore = "ten rounds of every verb: make check-long"]
fn long_host() {
    long(Root::Host);
}

#[test]
#[ignore = "ten rounds of every verb: make check-long"]
fn long_trixie() {
    long(Root::Trixie);
}
