//! What a command asks the process of a group's reload job to do, and what that one reports.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::plan::{FileId, ObservedFile};
use crate::rollout::{Instruction, Outcome, Policy, Progress, Time};

/// A rollout as asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// What to do.
    pub task: Task,
    /// How; without it as the last apply recorded it.
    pub policy: Option<Policy>,
    /// The former definition, to be put back when the new one fails.
    pub former: Vec<FormerFile>,
    /// The instances that were enabled, likewise; `None`: their number does not change.
    #[serde(default)]
    pub links: Option<BTreeSet<u32>>,
}

/// What a rollout changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Replaces these instances, or all: the code was deployed, the units are the same.
    Reload {
        /// Their numbers.
        instances: Option<BTreeSet<u32>>,
    },
    /// Brings the instances to a new definition or number.
    Change {
        /// Instances whose process must be replaced.
        outdated: BTreeSet<u32>,
        /// Instances that exist, running or not.
        known: BTreeSet<u32>,
        /// How many there were meant to be before.
        before: u32,
        /// How many there shall be.
        wanted: u32,
    },
}

/// A file of the former definition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FormerFile {
    /// The file.
    pub file: FileId,
    /// As it was.
    pub content: ObservedFile,
}

impl Request {
    /// What a plain `systemctl reload` asks for.
    pub fn reload() -> Request {
        Request {
            task: Task::Reload { instances: None },
            policy: None,
            former: Vec::new(),
            links: None,
        }
    }
}

/// One line of a report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum ReportLine {
    /// The rollout does something.
    Does(Instruction),
    /// How it stands.
    Stands {
        /// Since the rollout began.
        at: Time,
        /// Every instance.
        progress: Progress,
    },
    /// It is over.
    Ended(Outcome),
    /// It could not go on.
    Broke(String),
    /// Its process was told to go, since somebody stops or restarts the app.
    Ceded,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::unit::UnitName;

    fn request(texts: &[String]) -> Request {
        let file = FileId::Unit(UnitName::parse("api@.service").unwrap());
        let former = |text: &String| FormerFile {
            file: file.clone(),
            content: ObservedFile { text: text.clone(), modified: text.len() as u64 },
        };
        let former = texts.iter().map(former).collect();
        Request { former, links: Some([0, 3].into()), ..Request::reload() }
    }

    proptest! {
        #[test]
        fn a_request_arrives_as_it_was_sent(texts in prop::collection::vec(any::<String>(), 0..4)) {
            let bytes = serde_json::to_vec(&request(&texts)).unwrap();
            let read: Request = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(serde_json::to_vec(&read).unwrap(), bytes);
        }

        #[test]
        fn a_damaged_request_or_report_is_refused_or_read_and_nothing_else(
            texts in prop::collection::vec("[a-z\"\\\\]{0,9}", 0..3),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
        ) {
            for mut bytes in [
                serde_json::to_vec(&request(&texts)).unwrap(),
                serde_json::to_vec(&ReportLine::Broke(texts.concat())).unwrap(),
            ] {
                for (place, byte) in &changes {
                    *place.get_mut(&mut bytes) = *byte;
                }
                let length = cut.index(bytes.len() + 1);
                let _ = serde_json::from_slice::<Request>(&bytes);
                let _ = serde_json::from_slice::<Request>(&bytes[..length]);
                let _ = serde_json::from_slice::<ReportLine>(&bytes);
            }
        }
    }
}
