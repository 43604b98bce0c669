//! A bounded run of each target of `fuzz/`: bytes of any kind, and damaged ones of the right kind.

use clusterctl::disk::HistoryEntry;
use clusterctl::ops::Request;
use clusterctl::release::Note;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::files::texts;
use crate::targets;

/// A request, an entry of the history, a unit, and lines of other kinds, to be damaged.
const SEEDS: [&str; 10] = [
    r#"{"task":{"Reload":{"instances":[0,1]}},"policy":null,"former":[],"links":[0]}"#,
    r#"{"number":1,"time":0,"user":"root","verb":"apply","changes":["api"],"definition":{"text":"[[apps]]","source":"/a","base":"/","env":null,"only":[]},"files":{"a":"b"},"others":["x"]}"#,
    "[Unit]\nDescription=a \\\nb\n[X-Clusterctl]\nApp=api\nRole=group\nNamespace=shop\nInstances=2\n",
    "GET /metrics?x HTTP/1.1\r\nHost: a\r\n\r\n",
    "2026-01-02 03:04:05",
    "\x1b[1;31mred\x1b[0m \x1b]0;title\x07",
    HOST,
    r#"{"id":"20261130-044512-0123456789ab","digest":"d","from":"/a","user":"root","time":1,"complete":false,"in_force":3}"#,
    "\x01fleet.wait = '5s'\nhosts = [{ name = 'a' }]\napps = [{ name = 'a' }, { name = 'b', env = { A = '[fleet]' } }]\n",
    "\x02[[apps]]\nname = 'é'\n[apps.env]\nA = \"\"\"\n[[hosts]]\n\"\"\"\n[[hosts]]\nname = 'h'\n[hosts.more]\na = 1\n[fleet]\nfirst = 2\n[[apps]]\nname = 'b'\n",
];

/// What a host says.
const HOST: &str = r##"Welcome to web1
{"event":"begin","program":"clusterctl","version":"0.1.0","format":1}
{"event":"data","value":{"event":"rollout","app":"api","change":"start","instance":2}}
{"event":"data","value":{"event":"log","app":"api","instance":2,"line":"boom"}}
{"event":"data","value":{"event":"done","app":"api","success":false,"text":"api@2 died","next":"clusterctl logs"}}
{"event":"data","value":{"instances":[{"app":"api","instance":0,"status":"online"}],"apps":{"api":{"version":"3f"}}}}
{"event":"out","text":"# TYPE up gauge\nup{app=\"api\"} 1\nup 2\n# EOF\n"}
{"event":"err","text":"warning: odd"}
{"event":"end","code":1}
"##;

/// Everything that takes bytes.
const TARGETS: [fn(&[u8]); 9] = [
    targets::ecosystem,
    targets::foreign,
    targets::units,
    targets::words,
    targets::records,
    targets::host,
    targets::blanked,
    targets::archive,
    targets::note,
];

/// Pieces of ecosystem files; in some orders they are one.
const PIECES: [&str; 20] = [
    "fleet.wait = '5s'\n",
    "hosts = [\n  { name = 'a' }, # one\n]\n",
    "fleet = { first = 1 }\n",
    "apps = [{ name = 'x' }, { name = 'y', env = { A = '[[hosts]]' } },\n# z\n]\n",
    "apps = []\n",
    "other.b = '''\n[[hosts]]\n'''\n",
    "[[apps]]\nname = 'é'\n",
    "  [[ apps ]] # indented\n  name = \"b\"\r\n",
    "[apps.env]\nA = \"\"\"\n[fleet]\n\"\"\"\n",
    "[[apps.more]]\nx = [\n1,\n]\n",
    "[[hosts]]\nname = 'h'\napps = [\n'b']\n",
    "[[\"hosts\"]]\nname = 'q'\n",
    "[hosts.deep.er]\na = 1\n",
    "[fleet]\nfirst = 2\n",
    "['fleet']\nlimit = '50%'\n",
    "[fleet.more]\nx = 1\n",
    "[other]\na = 1\n",
    "[other.fleet]\nhosts = []\n",
    "# [[hosts]]\n",
    "\r\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn a_host_gets_its_part_of_every_file(
        mask in any::<u8>(),
        pieces in prop::collection::vec(select(&PIECES[..]), 0..9),
    ) {
        targets::blanked(&[&[mask], pieces.concat().as_bytes()].concat());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), target in select(&TARGETS[..])) {
        target(&bytes);
    }

    #[test]
    fn damaged_bytes(
        seed in select([texts(), SEEDS.map(String::from).to_vec()].concat()),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..6),
        cut in any::<Index>(),
    ) {
        let mut bytes = seed.into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // Half of them whole.
        if cut.index(2) == 0 {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        TARGETS.iter().for_each(|target| target(&bytes));
    }
}

#[test]
fn every_seed_is_what_it_shall_be() {
    assert!(serde_json::from_str::<Request>(SEEDS[0]).is_ok());
    assert!(serde_json::from_str::<HistoryEntry>(SEEDS[1]).is_ok());
    assert!(serde_json::from_str::<Note>(SEEDS[7]).is_ok());
    SEEDS.iter().for_each(|seed| TARGETS.iter().for_each(|target| target(seed.as_bytes())));
}
