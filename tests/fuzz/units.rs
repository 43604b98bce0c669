//! The language of unit files: nothing that is quoted becomes a line of its own.

use clusterctl::unit::{UnitFile, UnitName, quote};
use proptest::prelude::*;

fn name() -> UnitName {
    UnitName::parse("api@.service").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_stands_in_a_unit_is_read(text in "([\\[\\]A-Za-z=#; \\\\\n\r\t\0é]{0,8}){0,20}") {
        let unit = UnitFile::parse(name(), &text);
        // A parsed unit, written and parsed again, is the same.
        let again = UnitFile::parse(name(), &unit.to_string());
        prop_assert_eq!(unit.to_string(), again.to_string());
    }

    #[test]
    fn no_text_becomes_a_directive(text in "[^\0]{0,30}", more in "[\n\r\\\\\"'%$=\\[\\]#; A-Z]{0,30}") {
        let text = format!("{text}{more}");
        let path = format!("/{}", text.replace(|c: char| c.is_control() || c == '\\', ""));
        let unit = UnitFile::new(name()).section("Service", |s| {
            s.set("Description", quote::text(&text));
            s.set("Environment", quote::assignment("A", &text));
            s.set("ExecStart", format!("/bin/true {}", quote::argument(&text)));
            s.set("WorkingDirectory", quote::path(&path));
            s.set("Last", "x");
        });
        let printed = unit.to_string();
        let keys = |text: &str| -> Vec<String> {
            text.lines().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect()
        };
        let wanted = ["Description", "Environment", "ExecStart", "WorkingDirectory", "Last"];
        prop_assert_eq!(keys(&printed), wanted, "{}", printed);
        prop_assert_eq!(printed.matches('\n').count(), printed.lines().count());
        let read = UnitFile::parse(name(), &printed);
        prop_assert_eq!(read.get("Service", "Last"), Some("x"), "{}", printed);
        prop_assert_eq!(read.sections.len(), 1);
        prop_assert_eq!(read.sections[0].lines.len(), 5, "{}", printed);
    }
}
