//! `ActiveState=` of a unit in the manager's words (org.freedesktop.systemd1(5)). Never asks the manager.

/// The high-level state of a unit. A word that a newer manager uses means that something runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActiveState {
    /// Running; a service with `Type=notify` has said that it is ready.
    Active,
    /// Running, and reading its configuration again.
    Reloading,
    /// Running, while its mounts are made anew (systemd 256 and later).
    Refreshing,
    /// Stopped.
    #[default]
    Inactive,
    /// Stopped, and not because anybody asked.
    Failed,
    /// Starting, or waiting to be restarted.
    Activating,
    /// Stopping.
    Deactivating,
    /// A word that a newer manager uses.
    Other,
}

impl ActiveState {
    /// The state that a word of the manager means.
    pub fn from_text(text: &str) -> ActiveState {
        match text {
            "active" => ActiveState::Active,
            "reloading" => ActiveState::Reloading,
            "refreshing" => ActiveState::Refreshing,
            "inactive" => ActiveState::Inactive,
            "failed" => ActiveState::Failed,
            "activating" => ActiveState::Activating,
            "deactivating" => ActiveState::Deactivating,
            _ => ActiveState::Other,
        }
    }

    /// Whether nothing runs, nor starts or stops.
    pub fn is_down(self) -> bool {
        matches!(self, ActiveState::Inactive | ActiveState::Failed)
    }

    /// Whether the unit has started and does not stop: also while it reads its configuration again.
    pub fn is_active(self) -> bool {
        !self.is_down() && !matches!(self, ActiveState::Activating | ActiveState::Deactivating)
    }

    /// Whether a process runs or is about to. An instance that waits for its automatic restart is one of them.
    pub fn is_up(self) -> bool {
        self.is_active() || self == ActiveState::Activating
    }
}

/// As the manager says it.
impl std::fmt::Display for ActiveState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ActiveState::Active => "active",
            ActiveState::Reloading => "reloading",
            ActiveState::Refreshing => "refreshing",
            ActiveState::Inactive => "inactive",
            ActiveState::Failed => "failed",
            ActiveState::Activating => "activating",
            ActiveState::Deactivating => "deactivating",
            ActiveState::Other => "in a state that this version of clusterctl does not know",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_said_as_the_manager_says_it() {
        for word in "active reloading refreshing inactive failed activating deactivating".split(' ')
        {
            assert_eq!(ActiveState::from_text(word).to_string(), word);
        }
    }

    #[test]
    fn what_runs_is_active_whatever_it_does_besides() {
        for word in ["active", "reloading", "refreshing", "a word of tomorrow"] {
            let state = ActiveState::from_text(word);
            assert!(state.is_active() && state.is_up() && !state.is_down(), "{word}");
        }
        for word in ["inactive", "failed", "deactivating"] {
            let state = ActiveState::from_text(word);
            assert!(!state.is_active() && !state.is_up(), "{word}");
        }
        assert!(ActiveState::Activating.is_up() && !ActiveState::Activating.is_active());
    }
}
