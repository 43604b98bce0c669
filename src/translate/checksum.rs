//! A mark in each unit file that tells whether anybody changed it since it was written. It finds
//! edits, it does not keep anybody from making them.

use super::MARK;
use crate::ecosystem::fnv1a;
use crate::unit::UnitFile;

const KEY: &str = "Checksum";

/// Adds the mark to a finished file.
pub(super) fn seal(unit: &mut UnitFile) {
    let sum = sum(&unit.to_string());
    if let Some(section) = unit.sections.iter_mut().find(|section| section.name == MARK) {
        section.set(KEY, sum);
    }
}

/// Whether the text of one of our unit files is not as it was written. A file without the mark,
/// of an older version, counts as untouched.
pub fn is_edited(text: &str) -> bool {
    let key = format!("{KEY}=");
    let Some(mark) = text.lines().find_map(|line| line.strip_prefix(&key)) else { return false };
    let rest: String = text.split_inclusive('\n').filter(|line| !line.starts_with(&key)).collect();
    sum(&rest) != mark
}

fn sum(text: &str) -> String {
    format!("{:016x}", fnv1a(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::unit::UnitName;

    #[test]
    fn an_edit_is_seen() {
        let mut unit = UnitFile::new(UnitName::parse("a.service").unwrap())
            .section("Service", |s| {
                s.set("ExecStart", "/bin/true");
            })
            .section(MARK, |s| {
                s.set("App", "a");
            });
        seal(&mut unit);
        let text = unit.to_string();
        assert!(text.contains("\nChecksum="), "{text}");
        assert!(!is_edited(&text));
        assert!(is_edited(&text.replace("/bin/true", "/bin/false")));
        assert!(is_edited(&format!("{text}\n[Service]\nUser=root\n")));
        assert!(is_edited(&text.replace("App=a", "App=b")));
        assert!(!is_edited("[X-Clusterctl]\nApp=a\n"), "an older version wrote no mark");
    }
}
