//! The secrets that units name: which files they come from. Never opens one.

use std::path::PathBuf;

use crate::unit::{UnitFile, quote};

/// Directives with `NAME:PATH`, and what `describe` adds.
const KEYS: [(&str, &str); 2] =
    [("LoadCredential", ""), ("LoadCredentialEncrypted", ", encrypted")];

/// `NAME from PATH`, for people.
pub(super) fn shown(template: &UnitFile) -> Vec<String> {
    let all = KEYS.iter().flat_map(|(key, how)| pairs(template, key).map(move |pair| (pair, how)));
    all.map(|((name, path), how)| format!("{name} from {}{how}", path.display())).collect()
}

/// The files without which no instance can start.
pub(super) fn files(template: &UnitFile) -> Vec<PathBuf> {
    let all = KEYS.iter().flat_map(|(key, _)| pairs(template, key));
    all.map(|(_, path)| path).filter(|path| path.is_absolute()).collect()
}

fn pairs<'a>(template: &'a UnitFile, key: &'a str) -> impl Iterator<Item = (String, PathBuf)> + 'a {
    template.all("Service", key).filter_map(|value| {
        let (name, path) = value.split_once(':')?;
        Some((name.to_owned(), PathBuf::from(quote::unescaped(path))))
    })
}
