//! Listeners in directories that systemd makes for the instances, and removes with them
//! (`RuntimeDirectory=` of systemd.exec(5)).

use std::path::Path;

/// The value of the last line with this key.
pub fn last_line<'a>(service: &'a [(String, String)], key: &str) -> Option<&'a str> {
    let mut lines = service.iter().rev().filter(|(name, _)| name == key);
    lines.next().map(|(_, value)| value.as_str())
}

/// The directory of `RuntimeDirectory=` in which a path lies.
pub fn runtime_folder<'a>(service: &'a [(String, String)], path: &Path) -> Option<&'a str> {
    let lines = service.iter().filter(|(name, _)| name == "RuntimeDirectory");
    let words = lines.flat_map(|(_, value)| value.split_whitespace());
    let mut folders = words.filter_map(|word| word.split(':').next());
    folders.find(|folder| {
        let above = path.ancestors().skip(1).filter(|above| above.starts_with("/run"));
        above.into_iter().any(|above| above.ends_with(folder))
    })
}
