//! What becomes of an app's listeners, and of timers and other triggers that open and close with the app.
//! Never decides about instances, save that those which hold a listener that moves start anew with it.
//!
//! A Unix listener whose path is lost is restarted beside its instances (`Action::Reopen`): nobody
//! reaches it any more, so nothing is lost by that, and the instances, which hold the former
//! socket, are replaced as in any rollout.
//!
//! An address that moves to an overlapping one (`127.0.0.1:80` → `[::]:80`) costs a moment of
//! refused connections, and the plan says so: the kernel gives an address once. The group is
//! stopped with a note of the old listeners (`/run/clusterctl/api.service.moves`), which its
//! scripts hold, empty and close as at any stop; then they start it again by themselves, in the
//! middle of its own stop, so that all new listeners open in one transaction: a connection to the
//! first would start the wake unit, and while that runs no other listener opens. Each instance
//! starts when its former process has ended, and whoever asked may die. Datagrams are moved by a
//! stop and a start.

use std::collections::BTreeSet;

use super::AppDecision;
use crate::ecosystem::{ListenAddress, Role};
use crate::plan::cost::different_keys;
use crate::plan::{Action, Step, StepReason};
use crate::unit::{UnitFile, UnitName};

impl AppDecision<'_> {
    pub(super) fn rebind(&self) -> Option<Step> {
        let open: BTreeSet<UnitName> = self.new_sockets().map(|unit| unit.name.clone()).collect();
        let close: BTreeSet<UnitName> = self.old_sockets().map(|unit| unit.name.clone()).collect();
        let overlap = self.new_sockets().any(|unit| {
            let address = ListenAddress::of_socket_unit(unit);
            self.old_sockets().any(|old| {
                let old = ListenAddress::of_socket_unit(old);
                matches!((&address, &old), (Some(new), Some(old)) if new.conflicts_with(old))
            })
        });
        let held = self.new_sockets().any(|unit| self.found.held.contains(&unit.name));
        let because = if overlap { StepReason::AddressMoves } else { StepReason::AddressHeld };
        let action = Action::Rebind { close, open, start: self.wanted_set() };
        ((overlap || held) && self.is_up()).then_some(Step { action, because })
    }

    fn new_sockets(&self) -> impl Iterator<Item = &UnitFile> {
        self.files.listeners().filter(|unit| !self.found.units.contains_key(&unit.name))
    }

    /// Whether somebody removed the file of a listener that instances rely on. It is written anew, and
    /// what it said before is not known, so they start anew with it.
    pub(super) fn has_removed_listener(&self) -> bool {
        let template = self.found.units.parsed(&self.name.template_unit());
        let Some(unit) = template else { return false };
        let mut known = unit.all("Service", "Sockets").flat_map(str::split_whitespace);
        known.any(|name| self.new_sockets().any(|new| new.name.as_str() == name))
    }

    fn old_sockets(&self) -> impl Iterator<Item = &UnitFile> {
        let sockets = self.found.units.listeners();
        sockets.filter(|unit| self.files.units.get(&unit.name).is_none())
    }

    /// Steps that open listeners (`true`), or the other triggers.
    pub(super) fn opened(&self, listeners: bool) -> Vec<Step> {
        self.files
            .triggers()
            .filter(|unit| (Role::of(unit) == Role::Listener) == listeners)
            .filter_map(|unit| {
                let state = self.found.triggers.get(&unit.name).copied().unwrap_or_default();
                let known = self.found.units.contains_key(&unit.name);
                let because = match Role::of(unit) {
                    role if known => StepReason::TriggerDown(role),
                    role => StepReason::NewTrigger(role),
                };
                (!state.is_up()).then(|| Step { action: Action::Open(unit.name.clone()), because })
            })
            .collect()
    }

    /// Steps for triggers that are open and whose unit changes: they open anew.
    pub(super) fn changed_triggers(&self) -> Vec<Step> {
        let step = |unit: &UnitFile| {
            let role = Role::of(unit);
            let found = self.found.units.get(&unit.name)?;
            let up = self.found.triggers.get(&unit.name).is_some_and(|state| state.is_up());
            let runs = up && role != Role::Listener && !role.is_live();
            let keys = different_keys(&unit.name, &found.text, &unit.to_string());
            (runs && !keys.is_empty()).then(|| Step {
                action: Action::Reopen(unit.name.clone()),
                because: StepReason::Changed(keys),
            })
        };
        self.files.triggers().filter_map(step).collect()
    }

    /// Steps for listeners whose path is gone: no client reaches them, so no client loses anything.
    pub(super) fn reopened_listeners(&self) -> Vec<Step> {
        let step = |unit: &UnitName| Step {
            action: Action::Reopen(unit.clone()),
            because: StepReason::PathLost,
        };
        self.lost().map(step).collect()
    }

    pub(super) fn lost(&self) -> impl Iterator<Item = &UnitName> {
        self.found.lost.iter().filter(|unit| self.files.units.get(unit).is_some())
    }

    /// Steps that close listeners (`true`), or the other triggers.
    pub(super) fn closed(&self, listeners: bool) -> Vec<Step> {
        let step = |unit: &UnitFile| Step {
            action: Action::Close(unit.name.clone()),
            because: StepReason::TriggerGone,
        };
        let triggers = self.found.units.triggers();
        let gone = triggers.filter(|unit| self.files.units.get(&unit.name).is_none());
        gone.filter(|unit| (Role::of(unit) == Role::Listener) == listeners).map(step).collect()
    }
}
