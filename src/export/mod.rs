//! The apps of an ecosystem file in the words of other systems: manifests of Kubernetes, and a file for
//! docker compose.
//!
//! ```text
//! Ecosystem ─kubernetes | compose→ documents and what is left out ─write→ YAML
//! ```
//!
//! Whatever an app says is either in the documents or named with the reason and with what does its work
//! there: nothing is dropped in silence. Never opens a file, and never asks anybody: what lies in other
//! files (variables, secrets) is named, not read.

mod compose;
mod kubernetes;
mod left_out;
mod write;

use crate::ecosystem::{App, Ecosystem};

pub use left_out::LeftOut;

/// For whom an ecosystem file is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Manifests for `kubectl apply`.
    Kubernetes,
    /// A file for `docker compose`.
    Compose,
}

/// What an export gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The file, with what is left out as comments.
    pub text: String,
    /// What is not in the file or not the same there, in the order of the apps.
    pub left_out: Vec<LeftOut>,
}

/// What an export knows besides the apps.
#[derive(Clone, Copy, Debug)]
pub struct ExportFacts<'a> {
    /// The name of the ecosystem file, for the first line.
    pub origin: &'a str,
    /// The image that has the programs; one for all apps.
    pub image: &'a str,
}

/// An app under the name that it has there.
#[derive(Clone, Copy, Debug)]
struct Named<'a> {
    app: &'a App,
    name: &'a str,
}

/// Exports all apps of an ecosystem.
pub fn export(target: Target, ecosystem: &Ecosystem, facts: ExportFacts<'_>) -> Exported {
    let names = write::names(ecosystem.apps.keys());
    let apps = ecosystem.apps.values().zip(&names).map(|(app, name)| Named { app, name });
    match target {
        Target::Kubernetes => kubernetes::file(apps, facts),
        Target::Compose => compose::file(apps, facts),
    }
}
