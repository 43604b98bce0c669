//! A bounded run of each target of `fuzz/`: bytes of any kind, and damaged ones of the right kind.

use clusterctl::disk::HistoryEntry;
use clusterctl::ops::Request;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::files::texts;
use crate::targets;

/// A request, an entry of the history, a unit, and lines of other kinds, to be damaged.
const SEEDS: [&str; 6] = [
    r#"{"task":{"Reload":{"instances":[0,1]}},"policy":null,"former":[],"links":[0]}"#,
    r#"{"number":1,"time":0,"user":"root","verb":"apply","changes":["api"],"definition":{"text":"[[apps]]","source":"/a","base":"/","env":null,"only":[]},"files":{"a":"b"},"others":["x"]}"#,
    "[Unit]\nDescription=a \\\nb\n[X-Clusterctl]\nApp=api\nRole=group\nNamespace=shop\nInstances=2\n",
    "GET /metrics?x HTTP/1.1\r\nHost: a\r\n\r\n",
    "2026-01-02 03:04:05",
    "\x1b[1;31mred\x1b[0m \x1b]0;title\x07",
];

/// Everything that takes bytes.
const TARGETS: [fn(&[u8]); 5] =
    [targets::ecosystem, targets::foreign, targets::units, targets::words, targets::records];

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
    SEEDS.iter().for_each(|seed| TARGETS.iter().for_each(|target| target(seed.as_bytes())));
}
