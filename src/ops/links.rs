//! Which links make a number of instances the enabled ones.

use std::collections::BTreeSet;

use crate::plan::{LinkChange, LinkId};

/// What makes `wanted` the enabled ones.
pub(super) fn link_difference(links: &BTreeSet<u32>, wanted: &BTreeSet<u32>) -> Vec<LinkChange> {
    let change = |make: bool| move |n: &u32| LinkChange { link: LinkId::Instance(*n), make };
    let mut changes: Vec<LinkChange> = wanted.difference(links).map(change(true)).collect();
    changes.extend(links.difference(wanted).map(change(false)));
    changes
}
