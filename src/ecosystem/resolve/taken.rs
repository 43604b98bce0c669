//! Apps of two projects that have the same name: one must not become a new version of the other by chance. It opens no
//! file but the one that the other app comes from.

use std::path::Path;

use crate::ecosystem::model::deploy::Deploy;
use crate::ecosystem::model::name::AppName;
use crate::ecosystem::program::naming;
use crate::ecosystem::read::node::Reading;
use crate::ecosystem::read::problem::{Place, Problem, visible};
use crate::ecosystem::resolve::deploy::releases_folder;

/// An app of the file.
pub(in crate::ecosystem) struct Claim<'a> {
    pub name: Option<AppName>,
    /// Whether the file gives it that name; else it follows from what the app runs.
    pub named: bool,
    pub at: &'a Place,
}

/// Refuses apps that come from another file until now, unless it was asked for. `source` is the file that is read,
/// `deploy` its table.
///
/// A name that is written makes an app the new version of one from another file, as in release folders that somebody
/// makes by hand: the plan says so. Where `deploy` makes the folders, the file keeps its place, and another file is
/// another project.
pub(in crate::ecosystem) fn refuse(
    cx: &mut Reading<'_>,
    apps: &[Claim<'_>],
    source: Option<&Path>,
    deploy: Option<&Deploy>,
) {
    for Claim { name, named, at } in apps {
        let Some(name) = name else { continue };
        let Some(other) = cx.host.other_source(name, source) else { continue };
        if *named && !is_deployed(cx, &other, deploy) {
            continue;
        }
        let other = visible(&other.to_string_lossy());
        let message = format!("`{name}` is the app of another file, {other}");
        let own = naming::in_folder(name, cx.base);
        let own = if *named { String::new() } else { format!(", such as `name = \"{own}\"`") };
        let wanted = match (named, deploy) {
            (false, None) => format!("`name = \"{name}\"`"),
            _ => "`--takeover` of `apply` and `deploy`".to_owned(),
        };
        let help = format!(
            "give this one a name of its own{own}; {wanted} makes it the new version of the other one"
        );
        let problem = match cx.host.applies() {
            true => Problem::error(at, message),
            false => Problem::warning(at, message),
        };
        cx.problems.push(problem.help(help));
    }
}

/// Bytes of the other file that are read: what is larger is none.
const MOST: usize = crate::limits::FILE as usize;

/// Whether one of two files keeps releases, and the other one does not keep them in the same place.
fn is_deployed(cx: &Reading<'_>, other: &Path, deploy: Option<&Deploy>) -> bool {
    let text = cx.host.head(other, MOST).unwrap_or_default();
    let other = releases_folder(&String::from_utf8_lossy(&text));
    other.as_deref() != deploy.map(|deploy| deploy.path.as_path())
}
