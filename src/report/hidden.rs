//! Environment files without their values: what is printed ends in logs of others.
//! Reads the lines that `unit::quote::env_file_line` writes, and never judges them.

use std::collections::BTreeMap;

/// The two texts with each variable on a line of its own, told as the same or another one.
pub(super) fn values(before: &str, after: &str) -> (String, String) {
    let (old, new) = (variables(before), variables(after));
    let told = |of: &BTreeMap<&str, &str>, other: &BTreeMap<&str, &str>, differs: &str| {
        let line = |(name, value): (&&str, &&str)| match other.get(name) {
            Some(other) if other != value => format!("{name}=({differs})\n"),
            _ => format!("{name}=(hidden)\n"),
        };
        of.iter().map(line).collect()
    };
    (told(&old, &new, "former value"), told(&new, &old, "new value"))
}

fn variables(text: &str) -> BTreeMap<&str, &str> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((name, value)) = rest.split_once("=\"") {
        let mut escaped = false;
        let end = value.find(|char| {
            let ends = char == '"' && !escaped;
            escaped = char == '\\' && !escaped;
            ends
        });
        let end = end.unwrap_or(value.len());
        found.insert(name.trim(), &value[..end]);
        rest = value.get(end + 1..).unwrap_or("");
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::unit::quote::env_file_line;

    fn file(variables: &[(&str, &str)]) -> String {
        variables.iter().map(|(name, value)| env_file_line(name, value) + "\n").collect()
    }

    proptest! {
        #[test]
        fn no_value_is_shown(
            before in prop::collection::vec("[^\0]{1,20}", 0..4),
            after in prop::collection::vec("[^\0]{1,20}", 0..4),
        ) {
            let text = |values: &[String]| -> String {
                let line = |(nr, value): (usize, &String)| {
                    env_file_line(&format!("V{nr}"), &format!("secret{value}\"secret")) + "\n"
                };
                values.iter().enumerate().map(line).collect()
            };
            let (before, after) = values(&text(&before), &text(&after));
            prop_assert!(!before.contains("secret") && !after.contains("secret"), "{before}{after}");
        }
    }

    #[test]
    fn names_stay_and_values_go() {
        let before = file(&[("A", "secret"), ("B", "x=\"y\"\nC=\"secret"), ("D", "\\"), ("E", "")]);
        let after = file(&[("A", "secret"), ("B", "other"), ("D", "\\\""), ("F", "secret")]);
        let (before, after) = values(&before, &after);
        assert_eq!(before, "A=(hidden)\nB=(former value)\nD=(former value)\nE=(hidden)\n");
        assert_eq!(after, "A=(hidden)\nB=(new value)\nD=(new value)\nF=(hidden)\n");
        assert_eq!(values("", "").0, "");
    }
}
