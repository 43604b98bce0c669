//! Links between pages lead to files that are there, and to headings that are in them.

use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

fn pages(root: &Path) -> Vec<PathBuf> {
    let folders = [root.to_owned(), root.join("docs")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = files.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

/// The name that a heading has in an address.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let link = Regex::new(r"\]\(([^)\s#]*)(?:#([^)\s]+))?\)").unwrap();
    let (mut count, mut dead) = (0, Vec::new());
    for page in pages(root) {
        let text = fs::read_to_string(&page).unwrap();
        for found in link.captures_iter(&text).filter(|found| !found[1].contains("://")) {
            count += 1;
            let to = match &found[1] {
                "" => page.clone(),
                path => page.parent().unwrap().join(path),
            };
            let there = to.exists()
                && found.get(2).is_none_or(|name| {
                    let text = fs::read_to_string(&to).unwrap_or_default();
                    text.lines().any(|line| line.starts_with('#') && anchor(line) == name.as_str())
                });
            if !there {
                dead.push(format!("{}: {}", page.display(), &found[0]));
            }
        }
    }
    assert!(count > 40, "{count}");
    assert!(dead.is_empty(), "{dead:#?}");
}
