//! Checks that need more than one app, or the machine's other programs: names and addresses.

use std::collections::BTreeMap;
use std::path::Path;

use super::Resolved;
use crate::ecosystem::model::address::ListenAddress;
use crate::ecosystem::model::app::Listener;
use crate::ecosystem::model::host::Ownership;
use crate::ecosystem::model::name::AppName;
use crate::ecosystem::read::node::Reading;
use crate::ecosystem::read::problem::{Place, Problem};
use crate::unit::UnitName;

/// Notes everything that is held twice. `source` is the file.
pub(in crate::ecosystem) fn check(cx: &mut Reading<'_>, apps: &[Resolved], source: Option<&Path>) {
    same_names(cx, apps);
    same_units(cx, apps);
    foreign_units(cx, apps);
    same_addresses(cx, apps);
    same_binds(cx, apps);
    held_addresses(cx, apps, source);
}

fn same_names(cx: &mut Reading<'_>, apps: &[Resolved]) {
    let mut first: BTreeMap<&AppName, &Place> = BTreeMap::new();
    for app in apps {
        let Some(name) = &app.name else { continue };
        if let Some(place) = first.get(name) {
            let problem = Problem::error(&app.at, format!("two apps are named `{name}`"))
                .help("give one of them another `name`")
                .related(place.span.clone(), "the other one");
            cx.problems.push(problem);
        } else {
            first.insert(name, &app.at);
        }
    }
}

/// Names of all units of an app, instances aside: they are of its template.
fn units(app: &Resolved) -> Vec<UnitName> {
    let listeners = app.listeners.iter().map(|(listener, _)| listener);
    let names = app.name.as_ref().map(|name| name.unit_names(listeners, app.app.as_ref()));
    names.unwrap_or_default()
}

/// App `api` has `api-wake.service`, and so has an app that is named `api-wake`.
fn same_units(cx: &mut Reading<'_>, apps: &[Resolved]) {
    let mut first: BTreeMap<UnitName, &Resolved> = BTreeMap::new();
    for app in apps {
        for unit in units(app) {
            let Some(other) = first.get(&unit) else {
                first.insert(unit, app);
                continue;
            };
            let (Some(name), Some(taken)) = (&app.name, &other.name) else { continue };
            if name == taken {
                continue;
            }
            let message = format!("`{name}` and `{taken}` would both have the unit `{unit}`");
            let problem = Problem::error(&app.at, message)
                .help("give one of them another `name`")
                .related(other.at.span.clone(), "the other one");
            cx.problems.push(problem);
        }
    }
}

fn foreign_units(cx: &mut Reading<'_>, apps: &[Resolved]) {
    for app in apps {
        let Some(name) = &app.name else { continue };
        for unit in units(app) {
            if let Ownership::Foreign(path) = cx.host.unit(unit.as_str()) {
                let message = format!("`{unit}` is a unit of somebody else's");
                let help = format!(
                    "choose another `name` than `{name}`: `{}` stays untouched",
                    path.display()
                );
                cx.problems.push(Problem::error(&app.at, message).help(help));
            }
        }
    }
}

fn same_addresses(cx: &mut Reading<'_>, apps: &[Resolved]) {
    let all: Vec<(&Resolved, &ListenAddress, &Place)> = apps
        .iter()
        .flat_map(|app| app.listeners.iter().map(move |(l, at)| (app, &l.address, at)))
        .collect();
    let mut by_port: BTreeMap<Option<u16>, Vec<usize>> = BTreeMap::new();
    for (nr, (app, address, at)) in all.iter().enumerate() {
        let bucket = by_port.entry(address.port()).or_default();
        if let Some(other) = bucket.iter().find(|other| all[**other].1.conflicts_with(address)) {
            let (owner, held, place) = all[*other];
            let who = match (&owner.name, &app.name) {
                (Some(owner), Some(app)) if owner != app => format!(" of app `{owner}`"),
                _ => String::new(),
            };
            let message = if held == *address {
                format!("`{address}` is already a listener{who}")
            } else {
                format!("`{address}` is part of the listener `{held}`{who}")
            };
            let problem = Problem::error(at, message)
                .help(if who.is_empty() { apart(held, address) } else { OWN.to_owned() })
                .related(place.span.clone(), "the other listener");
            cx.problems.push(problem);
        }
        bucket.push(nr);
    }
}

const OWN: &str = "give each listener an address of its own";

/// Advice for two overlapping addresses: a bare port covers IPv4 and IPv6, and may be meant for one.
fn apart(held: &ListenAddress, address: &ListenAddress) -> String {
    let (inet4, other) = if held.is_inet4() { (held, address) } else { (address, held) };
    if inet4.is_inet4() && !other.is_inet4() {
        return format!(
            "remove it: a bare port is IPv4 too; or write two sockets: \
             `listen = [\"{inet4}\", \"{other}\"]`"
        );
    }
    OWN.to_owned()
}

/// One socket of a program is one listener.
fn same_binds(cx: &mut Reading<'_>, apps: &[Resolved]) {
    for app in apps {
        for (nr, (listener, at)) in app.listeners.iter().enumerate() {
            let clash = |other: &Listener| {
                let mapped = listener.bind.is_some() || other.bind.is_some();
                let same = listener.asked().conflicts_with(&other.asked());
                mapped && same && !listener.address.conflicts_with(&other.address)
            };
            let Some((other, place)) = app.listeners[..nr].iter().find(|(other, _)| clash(other))
            else {
                continue;
            };
            let port = listener.asked().port().unwrap_or_default();
            let message = format!(
                "the listeners `{}` and `{}` both stand for port {port} of the program",
                other.address, listener.address
            );
            let problem = Problem::error(at, message)
                .help("give each another `bind`: one socket of a program can be one listener")
                .related(place.span.clone(), "the other listener");
            cx.problems.push(problem);
        }
    }
}

fn held_addresses(cx: &mut Reading<'_>, apps: &[Resolved], source: Option<&Path>) {
    let here = |name: &AppName| apps.iter().any(|app| app.name.as_ref() == Some(name));
    for app in apps {
        let Some(name) = &app.name else { continue };
        for (listener, at) in &app.listeners {
            if let Some(holder) = cx.host.holder(name, &listener.address) {
                let owner = holder.listener_of.as_ref();
                let gone = owner.is_some_and(|it| !here(it) && cx.host.comes_from(it, source));
                if gone && cx.host.prunes() {
                    continue;
                }
                let mut message = format!("`{}` is held by {}", listener.address, holder.who);
                let mut help = holder.help;
                if gone {
                    message.push_str(", which is no longer in this file");
                    help = "add --prune to remove it in the same step".to_owned();
                }
                // A file that is only checked is right whatever runs at this moment.
                let problem = match cx.host.applies() {
                    true => Problem::error(at, message),
                    false => Problem::warning(at, message),
                };
                cx.problems.push(problem.help(help));
            }
        }
    }
}
