//! Answers about the machine that many apps of one file ask for again. They are those of one moment, and last as long as
//! the file is read. It looks at names in folders of units, and at nothing else.

use std::collections::HashMap;
use std::path::PathBuf;

use super::sockets;
use crate::disk::{Layout, UnitNames};
use crate::ecosystem::PathKind;

/// So many names are looked for one after the other; from then on the folders of units are listed once.
const FEW: u32 = 32;

/// What is known by now.
#[derive(Debug, Default)]
pub(super) struct KnownAnswers {
    pub kinds: HashMap<PathBuf, PathKind>,
    pub heads: HashMap<PathBuf, Option<Vec<u8>>>,
    pub parts: HashMap<(PathBuf, usize, usize), Option<Vec<u8>>>,
    pub gaining: HashMap<PathBuf, bool>,
    pub leading: HashMap<PathBuf, Option<PathBuf>>,
    pub programs: HashMap<String, Option<PathBuf>>,
    pub holders: Option<sockets::Table>,
    asked: u32,
    names: Option<UnitNames>,
}

impl KnownAnswers {
    /// The names of all units, once many have been asked for.
    pub(super) fn unit_names(&mut self, layout: &Layout) -> Option<&UnitNames> {
        self.asked += 1;
        if self.asked > FEW && self.names.is_none() {
            self.names = Some(UnitNames::of(layout));
        }
        self.names.as_ref()
    }
}
