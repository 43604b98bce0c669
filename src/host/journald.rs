//! What journald may keep, as its configuration files say it. It asks no daemon.

use std::fs;
use std::path::{Path, PathBuf};

use crate::plan::doctor::JournalFacts;

/// Folders of the configuration, the strongest last: journald.conf(5).
const FOLDERS: [&str; 4] =
    ["/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd"];

/// The settings of journald on this machine, and the bytes of its files.
pub fn journal() -> JournalFacts {
    let mut facts = parsed(&texts());
    facts.on_disk = match facts.storage.as_str() {
        "persistent" => true,
        "volatile" | "none" => false,
        _ => Path::new("/var/log/journal").is_dir(),
    };
    let place = if facts.on_disk { "/var/log/journal" } else { "/run/log/journal" };
    facts.used_bytes = used(Path::new(place));
    facts
}

/// The main file, then the drop-ins in the order of their names, of which a later folder's replaces one
/// of the same name.
fn texts() -> Vec<String> {
    let main = FOLDERS.iter().rev().map(|folder| Path::new(folder).join("journald.conf"));
    let main = main.into_iter().find_map(|path| fs::read_to_string(path).ok());
    let mut drop_ins: std::collections::BTreeMap<_, PathBuf> = Default::default();
    for folder in FOLDERS {
        let inside = fs::read_dir(Path::new(folder).join("journald.conf.d"));
        for entry in inside.into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|end| end == "conf") {
                drop_ins.insert(entry.file_name(), entry.path());
            }
        }
    }
    let drop_ins = drop_ins.into_values().filter_map(|path| fs::read_to_string(path).ok());
    main.into_iter().chain(drop_ins).collect()
}

fn parsed(texts: &[String]) -> JournalFacts {
    let mut facts = JournalFacts::default();
    for line in texts.iter().flat_map(|text| text.lines()) {
        let Some((key, value)) = line.trim().split_once('=') else { continue };
        let value = value.trim().to_owned();
        match key.trim() {
            "Storage" => facts.storage = value,
            "SystemMaxUse" => facts.max_on_disk = value,
            "RuntimeMaxUse" => facts.max_in_memory = value,
            "MaxRetentionSec" => facts.retention = value,
            "RateLimitBurst" => facts.burst = value,
            "RateLimitIntervalSec" => facts.interval = value,
            _ => {}
        }
    }
    facts
}

/// Bytes of all journal files.
fn used(folder: &Path) -> u64 {
    let inside = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let files = inside(folder).flat_map(|machine| inside(&machine.path()));
    files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_file_counts() {
        let first = "[Journal]\n#Storage=auto\nSystemMaxUse=1G\nRateLimitBurst=5\n".to_owned();
        let facts = parsed(&[first, "[Journal]\nSystemMaxUse = 2G\n".to_owned()]);
        assert_eq!((facts.max_on_disk.as_str(), facts.burst.as_str()), ("2G", "5"));
        assert_eq!(facts.storage, "");
    }
}
