//! Commands that mend what was found, as they are typed. It never runs one.

use super::AppFacts;
use crate::ecosystem::{AppName, Scope};
use crate::plan::shell_word;

/// Commands about one app, as they are typed.
pub(super) struct Words<'a> {
    pub app: &'a AppName,
    pub scope: Scope,
}

impl Words<'_> {
    pub(super) fn systemctl(&self, rest: &str) -> String {
        let flag = if self.scope == Scope::User { " --user" } else { "" };
        format!("systemctl{flag} {rest}")
    }

    pub(super) fn clusterctl(&self, rest: &str) -> String {
        let flag = if self.scope == Scope::User { " --user" } else { "" };
        format!("clusterctl{flag} {rest}")
    }

    /// Applies the file that the app came from.
    pub(super) fn apply(&self, facts: &AppFacts) -> String {
        let source = facts.observed.source.as_deref();
        let path = source.map_or("ecosystem.toml".into(), |path| path.to_string_lossy());
        self.clusterctl(&format!("apply {}", shell_word(&path)))
    }
}
