//! Pairs and triples of commands chosen at random; and commands that change the code of an app besides its definition.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{FORMER, VERBS, WRITTEN, at_once, fresh};
use crate::booted_long;
use crate::shop::{SERVER, ecosystem};
use crate::support::chance::Chance;
use crate::support::{Machine, Root, machine};

/// Commands that put another definition in force, and other code with it.
const OF_CODE: [&str; 4] = [
    "clusterctl apply --prune /srv/shop/ecosystem.toml",
    "clusterctl deploy /srv/one --file /srv/shop/ecosystem.toml",
    "clusterctl deploy /srv/two --file /srv/shop/ecosystem.toml",
    "/srv/back rollback",
];

/// Goes back to the newest definition with as many instances as that before the last `deploy` had.
const BACK: &str = "#!/bin/sh
newest=$(grep -l 'instances = NUMBER' /var/lib/clusterctl/history/*.json | grep -o '[0-9]*[.]json' | sort -n | tail -1)
exec clusterctl rollback ${newest%.json}
";

fn put(m: &Machine, instances: usize) {
    let table = "[deploy]\npath = '/srv/code'\nkeep = 3\n";
    let app = ecosystem(instances as u32, "user = 'shop'\nrollout = { min_ready = 0 }");
    m.write("/srv/shop/ecosystem.toml", format!("{table}\n{app}"));
}

/// The app from a release, after one with the former number of instances.
fn deployed(m: &Machine) {
    m.sh("useradd --system shop");
    for (folder, version) in [("/srv/one", "1"), ("/srv/two", "2")] {
        m.write(&format!("{folder}/server.js"), SERVER);
        m.write(&format!("{folder}/version"), version);
    }
    m.write("/srv/back", BACK.replace("NUMBER", &FORMER.to_string()));
    m.ok(["chmod", "755", "/srv/back"]);
    for (instances, verb) in [(FORMER, OF_CODE[1]), (WRITTEN, OF_CODE[2])] {
        put(m, instances);
        m.ok_sh(verb);
    }
}

booted_long!(what_brings_other_code_takes_turns_with_other_commands, |m| {
    for first in [OF_CODE[1], OF_CODE[3]] {
        for second in ["clusterctl scale shop 1", "clusterctl delete shop", "systemctl stop shop"] {
            for order in [[first, second], [second, first]] {
                deployed(m);
                at_once(m, &[(order[0], 0), (order[1], 300)]);
            }
        }
    }
});

/// Runs commands at random times, so many at once.
fn random(root: Root, width: usize, rounds: usize, (verbs, begin): (&[&str], fn(&Machine))) {
    let Some(m) = machine(root) else { return };
    let mut chance = Chance(0x5eed + width as u64);
    begin(&m);
    let mut failed = Vec::new();
    for round in 0..rounds {
        let chosen =
            (0..width).map(|_| (verbs[chance.below(verbs.len())], chance.below(300) as u32));
        let chosen: Vec<_> = chosen.collect();
        if catch_unwind(AssertUnwindSafe(|| at_once(&m, &chosen))).is_err() {
            failed.push((round, chosen));
            m.sh("clusterctl delete shop");
            begin(&m);
        }
        let kept =
            m.sh(&format!("grep -q 'instances = {FORMER}' /var/lib/clusterctl/history/*.json"));
        if !m.exists("/etc/systemd/system/shop.service") || verbs != VERBS && kept.code != 0 {
            begin(&m);
        }
    }
    assert!(failed.is_empty(), "{} of {rounds} failed: {failed:#?}", failed.len());
}

/// All commands, those of code among them.
fn all() -> Vec<&'static str> {
    [&VERBS[..], &OF_CODE].concat()
}

#[test]
#[ignore = "500 pairs: make check-long"]
fn pairs() {
    random(Root::Host, 2, 500, (&VERBS, fresh));
}

#[test]
#[ignore = "100 triples: make check-long"]
fn triples() {
    random(Root::Host, 3, 100, (&VERBS, fresh));
}

#[test]
#[ignore = "200 pairs: make check-long"]
fn pairs_of_code() {
    random(Root::Host, 2, 200, (&all(), deployed));
}

#[test]
#[ignore = "200 pairs: make check-long"]
fn pairs_of_code_trixie() {
    random(Root::Trixie, 2, 200, (&all(), deployed));
}

#[test]
#[ignore = "100 triples: make check-long"]
fn triples_of_code_trixie() {
    random(Root::Trixie, 3, 100, (&all(), deployed));
}
