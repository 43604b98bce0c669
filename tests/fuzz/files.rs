//! Ecosystem files: those of the other tests, damaged.

use std::fs;
use std::path::Path;

use clusterctl::ecosystem::{Color, load};
use clusterctl::report;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::host::FakeHost;

pub fn texts() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> =
        fs::read_dir(root.join("bad")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let situations = fs::read_dir(root.join("units")).unwrap();
    files.extend(situations.map(|entry| entry.unwrap().path().join("ecosystem.toml")));
    files.sort();
    let texts: Vec<String> =
        files.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    assert!(texts.len() > 30, "{}", texts.len());
    texts
}

/// Text that is inserted somewhere.
const PIECES: &str = "[\\[\\]{}=\"'#,.\n\r\t\0\x1b\u{9b}\u{202e}é0-9a-z-]{0,6}|'''|\"\"\"|\\[\\[apps\\]\\]|99999999999999999999|= -1\n|env_x = |listen = ";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// It is read or refused with places that lie in the text; what is said of it is no command to a
    /// terminal; and the same text gives the same answer.
    #[test]
    fn a_damaged_file_is_read_or_refused(
        text in select(texts()),
        changes in prop::collection::vec((any::<Index>(), any::<Index>(), PIECES), 0..5),
    ) {
        let mut text = text;
        for (at, until, piece) in changes {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let at = *at.get(&places);
            let end = places.iter().copied().filter(|end| *end >= at).take(20).collect::<Vec<_>>();
            text.replace_range(at..*until.get(&end), &piece);
        }
        let read = || load(&text, Some(Path::new("/srv/app/e\x1b[2J\n.toml")), Path::new("/srv/app"), None, &FakeHost::new());
        let problems = match read() {
            Ok(loaded) => loaded.warnings,
            Err(problems) => problems,
        };
        for problem in problems.iter() {
            prop_assert!(problem.span.end <= text.len() && problem.span.start <= problem.span.end);
        }
        let drawn = report::only_colours(&problems.render(Color::On));
        let plain = problems.render(Color::Off);
        for text in [&report::only_colours(&plain), &drawn.replace("\x1b[", "")] {
            prop_assert!(!text.contains(|c: char| c.is_control() && !"\t\n".contains(c)), "{text:?}");
        }
        let again = match read() {
            Ok(loaded) => loaded.warnings,
            Err(problems) => problems,
        };
        prop_assert_eq!(plain, again.render(Color::Off));
    }
}
