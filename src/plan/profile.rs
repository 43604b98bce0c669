//! The profile (`--env NAME`) with which a file is applied when none is given. It never reads units
//! or files: what was applied comes from the caller.

use std::collections::BTreeMap;
use std::fmt;

use crate::ecosystem::AppName;

/// The word for no profile, on the command line and in messages.
pub const NONE: &str = "none";

/// What a word after `--env` means.
pub fn of_word(word: String) -> Option<String> {
    Some(word).filter(|name| name != NONE)
}

/// A profile as messages name it.
pub fn shown(profile: &Option<String>) -> &str {
    profile.as_deref().unwrap_or(NONE)
}

/// Apps of one file that were applied with different profiles: one app of each profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differ(BTreeMap<Option<String>, AppName>);

impl fmt::Display for Differ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.0.iter().map(|(profile, app)| format!("{app}: {}", shown(profile)));
        write!(
            f,
            "apps of this file were applied with different profiles ({}): say which with --env",
            each.collect::<Vec<_>>().join(", ")
        )
    }
}

/// The profile with which all apps of a file were applied last.
///
/// # Errors
/// They were applied with different ones.
pub fn kept<'a>(
    applied: impl IntoIterator<Item = (Option<String>, &'a AppName)>,
) -> Result<Option<String>, Differ> {
    let profiles: BTreeMap<Option<String>, AppName> =
        applied.into_iter().map(|(profile, app)| (profile, app.clone())).collect();
    match profiles.len() {
        0 | 1 => Ok(profiles.into_keys().next().flatten()),
        _ => Err(Differ(profiles)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn kept_of(applied: &[(Option<&str>, &str)]) -> Result<Option<String>, String> {
        let apps: Vec<(Option<String>, AppName)> = applied
            .iter()
            .map(|(name, app)| (name.map(str::to_owned), AppName::parse(app).unwrap()))
            .collect();
        kept(apps.iter().map(|(name, app)| (name.clone(), app))).map_err(|e| e.to_string())
    }

    #[test]
    fn the_profile_of_the_last_apply_is_kept() {
        assert_eq!(kept_of(&[]), Ok(None));
        assert_eq!(kept_of(&[(None, "api"), (None, "web")]), Ok(None));
        let both = [(Some("production"), "api"), (Some("production"), "web")];
        assert_eq!(kept_of(&both), Ok(Some("production".to_owned())));
    }

    #[test]
    fn different_profiles_are_named() {
        let text = kept_of(&[(Some("production"), "api"), (None, "web")]).unwrap_err();
        assert!(text.contains("(web: none, api: production)"), "{text}");
    }

    #[test]
    fn a_word_can_mean_no_profile() {
        assert_eq!(of_word("none".to_owned()), None);
        assert_eq!(of_word("staging".to_owned()).as_deref(), Some("staging"));
    }
}
