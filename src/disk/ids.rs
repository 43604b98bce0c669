//! Numbers for instances, as PM2 has them: short to type, and the same instance for as long as it is
//! there. A number that was given away is not given to anybody else before the list is empty, so that
//! what somebody reads from an old table never means another instance.
//!
//! They are kept in the state directory, since a table on a screen outlives a boot. Nothing depends
//! on them: whoever may not write sees the numbers that others gave.

use std::collections::{BTreeMap, BTreeSet};

use super::{Error, Layout, Lock, note, write_atomic};

/// The numbers of instances, by their names (`api@2`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// The number that is given away next.
    next: u64,
    given: BTreeMap<String, u64>,
}

impl Ids {
    /// The number of an instance, if it has one.
    pub fn of(&self, app: &str, instance: u32) -> Option<u64> {
        self.given.get(&format!("{app}@{instance}")).copied()
    }

    /// The instance that a number means.
    pub fn instance(&self, id: u64) -> Option<&str> {
        let mut all = self.given.iter();
        all.find(|(_, given)| **given == id).map(|(name, _)| name.as_str())
    }

    /// All numbers.
    pub fn all(&self) -> impl Iterator<Item = u64> {
        self.given.values().copied()
    }

    /// These numbers for the instances that exist now: new ones get a number, those of others go.
    fn with(&self, instances: &[String]) -> Ids {
        let there: BTreeSet<&String> = instances.iter().collect();
        let mut now = self.clone();
        now.given.retain(|name, _| there.contains(name));
        if now.given.is_empty() {
            now.next = 0;
        }
        for name in instances {
            if !now.given.contains_key(name) {
                now.given.insert(name.clone(), now.next);
                now.next += 1;
            }
        }
        now
    }

    /// `next 5`, then `3 api@0`: a line each.
    fn text(&self) -> String {
        let lines = self.given.iter().map(|(name, id)| format!("{id} {name}\n"));
        format!("next {}\n{}", self.next, lines.collect::<String>())
    }

    fn parse(text: &str) -> Ids {
        let mut ids = Ids::default();
        for (first, rest) in text.lines().filter_map(|line| line.split_once(' ')) {
            match (first, first.parse(), rest.parse()) {
                ("next", _, Ok(next)) => ids.next = next,
                (_, Ok(id), _) => drop(ids.given.insert(rest.to_owned(), id)),
                _ => {}
            }
        }
        // In a file that was cut, `next` may be too low: no number may be assigned twice.
        let beyond = ids.given.values().map(|id| id.saturating_add(1)).max().unwrap_or(0);
        ids.next = ids.next.max(beyond);
        ids
    }
}

/// The numbers that have been given.
pub fn ids(layout: &Layout) -> Ids {
    Ids::parse(&note::read(&layout.state.join(FILE)))
}

/// Gives a number to each of these instances that has none, in their order, and forgets those of
/// others. `instances` are all that there are.
///
/// # Errors
/// The state directory cannot be written; the numbers are those that have been given before.
pub fn give_ids(layout: &Layout, instances: &[String]) -> Result<Ids, Error> {
    let known = ids(layout);
    if known.with(instances) == known {
        return Ok(known);
    }
    let _shared = Lock::shared(&layout.state)?;
    // Under the lock, since another command may have assigned some meanwhile.
    let now = ids(layout).with(instances);
    write_atomic(&layout.state.join(FILE), now.text().as_bytes(), 0o644, None)?;
    Ok(now)
}

const FILE: &str = "ids";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn given(layout: &Layout, names: &[&str]) -> Vec<u64> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let ids = give_ids(layout, &names).unwrap();
        let of = |name: &String| {
            let (app, number) = name.split_once('@').unwrap();
            ids.of(app, number.parse().unwrap()).unwrap()
        };
        names.iter().map(of).collect()
    }

    #[test]
    fn a_number_stays_with_its_instance_and_is_not_given_twice() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { state: root.path().to_owned(), ..Layout::system() };
        assert_eq!(given(&layout, &["api@0", "api@1"]), [0, 1]);
        assert_eq!(given(&layout, &["aaa@0", "api@0", "api@1"]), [2, 0, 1]);
        assert_eq!(given(&layout, &["aaa@0", "api@0"]), [2, 0]);
        assert_eq!(given(&layout, &["aaa@0", "api@0", "api@1"]), [2, 0, 3]);
        assert_eq!(ids(&layout).instance(3), Some("api@1"));
        assert_eq!(ids(&layout).instance(1), None, "what an old table says means nobody else");
        assert!(given(&layout, &[]).is_empty());
        assert_eq!(given(&layout, &["web@0"]), [0], "from 0 again when the list was empty");
    }

    #[test]
    fn a_file_that_was_cut_gives_no_number_twice() {
        let ids = Ids::parse("next 1\n7 api@0\nrubbish\n8");
        assert_eq!((ids.next, ids.instance(7)), (8, Some("api@0")));
        assert_eq!(Ids::parse(&ids.text()), ids);
    }
}
