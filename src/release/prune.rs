//! Which releases go. Pure: what refers to a release is told by the caller.

use std::collections::BTreeSet;

/// What refers to releases, by their names.
#[derive(Clone, Debug, Default)]
pub struct Needed {
    /// Those of the entries of the history, newest first; one may be there several times.
    pub history: Vec<String>,
    /// Those that were in force once, as their notes say, newest first. The history forgets: it is one for all apps of the
    /// machine.
    pub in_force: Vec<String>,
    /// Those that units, processes, a rollback under way or the caller itself need.
    pub used: BTreeSet<String>,
}

/// What goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Releases whose entries the history has to forget first: nothing in it refers to what is gone.
    pub forget: BTreeSet<String>,
    /// Releases to be removed.
    pub remove: BTreeSet<String>,
}

/// What goes of all releases, where `keep` that were in force are kept, and whatever is used.
pub fn prune(all: &[String], needed: &Needed, keep: usize) -> Pruned {
    let mut kept: BTreeSet<&String> = BTreeSet::new();
    for id in needed.history.iter().chain(&needed.in_force) {
        if kept.len() < keep {
            kept.insert(id);
        }
    }
    let stays = |id: &&String| kept.contains(id) || needed.used.contains(*id);
    let goes: BTreeSet<String> = all.iter().filter(|id| !stays(id)).cloned().collect();
    let forget = needed.history.iter().filter(|id| goes.contains(*id)).cloned().collect();
    Pruned { forget, remove: goes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    fn gone(all: &str, history: &str, used: &str, keep: usize) -> (Vec<String>, Vec<String>) {
        let (history, marked) = history.split_once('|').unwrap_or((history, ""));
        let used = ids(used).into_iter().collect();
        let needed = Needed { history: ids(history), in_force: ids(marked), used };
        let Pruned { forget, remove } = prune(&ids(all), &needed, keep);
        (remove.into_iter().collect(), forget.into_iter().collect())
    }

    #[test]
    fn as_many_stay_as_are_asked_for_and_all_that_are_used() {
        assert_eq!(gone("a b c d", "d c b a", "", 2), (ids("a b"), ids("a b")));
        assert_eq!(gone("a b c d", "d c b a", "a", 2), (ids("b"), ids("b")));
        // After a rollback the one that was gone back to counts as the newest.
        assert_eq!(gone("a b c d", "a d c b a", "", 2), (ids("b c"), ids("b c")));
        assert_eq!(gone("a b", "b b b a", "", 2), (ids(""), ids("")));
    }

    #[test]
    fn what_the_history_has_forgotten_is_kept_as_long_as_it_counts() {
        assert_eq!(gone("a b c d e", "e | e d c b a", "", 3), (ids("a b"), ids("")));
        assert_eq!(gone("a b c", "| a c b", "", 2), (ids("b"), ids("")));
        assert_eq!(gone("a b bad", "b | b a", "", 5), (ids("bad"), ids("")));
    }

    #[test]
    fn what_was_never_in_force_goes_unless_it_is_used() {
        assert_eq!(gone("a bad worse", "a", "", 5), (ids("bad worse"), ids("")));
        assert_eq!(gone("a bad worse", "a", "worse", 5), (ids("bad"), ids("")));
        // One that the history knows and that is gone already is nothing to remove.
        assert_eq!(gone("b", "b a", "", 2), (ids(""), ids("")));
    }
}
