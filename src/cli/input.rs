//! Ecosystem files as the command line names them: where they are, their text, and what they mean
//! on this machine. It never looks at what runs, and changes nothing.

use std::path::{Path, PathBuf};

use super::world::{Purpose, Site};
use super::{Ui, foreign};
use crate::disk::{Definition, Layout};
use crate::ecosystem::{Color, Ecosystem, Host, Loaded, Problems};
use crate::error::Error;
use crate::host::text;
use crate::import::{self, Foreign};

/// Whether a word of the command line means an ecosystem file: an app's name has neither a slash
/// nor such an end, and a pattern has a slash at both ends.
pub(super) fn is_file(word: &str, place: &Site<'_>) -> bool {
    let pattern = word.len() > 2 && word.starts_with('/') && word.ends_with('/');
    let script = word.contains('/') && !pattern && !is_script(word);
    script || is_ecosystem(word, place)
}

/// A script that an app runs is a selector.
fn is_script(word: &str) -> bool {
    Foreign::of(Path::new(word)).is_none()
        && [".js", ".cjs", ".mjs", ".ts", ".py", ".rb", ".php", ".sh"]
            .iter()
            .any(|end| word.ends_with(end))
}

/// Names of ecosystem files, those of other tools among them, in the order in which they are looked for.
const USUAL: [&str; 8] = [
    "ecosystem.toml",
    "ecosystem.config.js",
    "ecosystem.config.cjs",
    "ecosystem.config.mjs",
    "ecosystem.config.ts",
    "ecosystem.json",
    "ecosystem.yaml",
    "ecosystem.yml",
];

/// Whether `start` means a file with apps by this word, and not a program.
pub(super) fn is_ecosystem(word: &str, place: &Site<'_>) -> bool {
    // A line is what its first word is.
    let line = word.contains(' ') && !place.inside(Path::new(word)).is_file();
    word == "-" || !line && (word.ends_with(".toml") || Foreign::of(Path::new(word)).is_some())
}

/// The ecosystem file of the current folder, where none is named.
///
/// # Errors
/// There is none.
pub(super) fn usual_file(place: &Site<'_>) -> Result<String, Error> {
    let there = USUAL.into_iter().find(|name| place.inside(Path::new(name)).is_file());
    let missing = || Error::Io {
        doing: "read",
        path: "ecosystem.toml".to_owned(),
        source: rustix::io::Errno::NOENT.into(),
    };
    there.map(str::to_owned).ok_or_else(missing)
}

/// An ecosystem file's text, its absolute path, and the folder that relative paths in it start
/// from. Standard input (`-`) has no path unless it is given a name.
///
/// # Errors
/// The file cannot be read, or is no standard input though a name is given.
pub(super) fn read_ecosystem(
    place: &Site<'_>,
    file: &Path,
    name: Option<&Path>,
    ui: &mut Ui,
) -> Result<(String, Option<PathBuf>, PathBuf), Error> {
    let failed = |source| Error::Io { doing: "read", path: file.display().to_string(), source };
    let parent = |path: &Path| path.parent().unwrap_or(Path::new("/")).to_owned();
    if file == Path::new("-") {
        let name = name.map(|name| place.absolute(name)).transpose()?;
        let base =
            name.as_deref().map_or_else(|| place.current_folder(), |name| Ok(parent(name)))?;
        let text = place.around.standard_input().map_err(failed)?;
        // As for `pm2 start -`.
        let Ok(json) = import::json(&text) else { return Ok((text, name, base)) };
        let imported = foreign::given(&json, base.clone(), place, ui)?;
        foreign::summarize(&imported, "standard input", ui);
        return Ok((imported.text, name, base));
    }
    if name.is_some() {
        let text = "--as names standard input: clusterctl apply - --as PATH".to_owned();
        return Err(Error::Usage(text));
    }
    let path = place.absolute(file)?;
    if let Some(kind) = Foreign::of(&path) {
        let imported = foreign::converted(file, kind, true, false, place, ui)?;
        // Values that have to be corrected are reported when the text is resolved.
        foreign::summarize(&imported, &file.display().to_string(), ui);
        let base = parent(&path);
        return Ok((imported.text, Some(path), base));
    }
    let text = if is_descriptor(file) {
        std::fs::read_to_string(file)
    } else {
        text::read(&path, text::MOST)
    };
    let text = text.map_err(failed)?;
    let base = parent(&path);
    Ok((text, Some(path), base))
}

/// What messages call a file: standard input by the name that it is given.
pub(super) fn shown(file: &Path, name: Option<&Path>) -> String {
    name.unwrap_or(file).display().to_string()
}

/// Whether a path is a descriptor of the caller, as a shell passes for `<(command)`.
fn is_descriptor(file: &Path) -> bool {
    ["/dev/fd", "/dev/stdin", "/proc/self/fd"].iter().any(|place| file.starts_with(place))
}

/// Reads and resolves an ecosystem file; warnings are printed.
///
/// # Errors
/// The file cannot be read, or has problems.
pub(super) fn load(
    place: &Site<'_>,
    file: &Path,
    env: Option<&str>,
    layout: &Layout,
    ui: &mut Ui,
) -> Result<Loaded, Error> {
    load_for(Purpose::Apply { prunes: false, moves: false }, place, file, env, layout, ui)
}

/// As [`load`], for a file that is only checked: an address that is in use now is no problem of the file.
///
/// # Errors
/// The file cannot be read, or has problems.
pub(super) fn check(
    place: &Site<'_>,
    file: &Path,
    env: Option<&str>,
    layout: &Layout,
    ui: &mut Ui,
) -> Result<Loaded, Error> {
    load_for(Purpose::Check, place, file, env, layout, ui)
}

fn load_for(
    purpose: Purpose,
    place: &Site<'_>,
    file: &Path,
    env: Option<&str>,
    layout: &Layout,
    ui: &mut Ui,
) -> Result<Loaded, Error> {
    let (text, source, base) = read_ecosystem(place, file, None, ui)?;
    let definition =
        Definition { text, source, base, env: env.map(str::to_owned), only: Vec::new() };
    let host = place.around.host(layout, purpose);
    resolve(&definition, &file.display().to_string(), &*host, ui)
}

/// Resolves the text of an ecosystem file, as far as its apps are asked for; warnings are printed.
/// With `prune`, apps that are gone from the file will be removed, and what they hold is free; with `moves`, it may take
/// apps from other files.
///
/// # Errors
/// It has problems, or an app is asked for that it does not have.
pub(super) fn load_text(
    place: &Site<'_>,
    definition: &Definition,
    shown: &str,
    layout: &Layout,
    (prune, moves): (bool, bool),
    ui: &mut Ui,
) -> Result<Ecosystem, Error> {
    let prunes = prune && definition.only.is_empty();
    let host = place.around.host(layout, Purpose::Apply { prunes, moves });
    let loaded = resolve(definition, shown, &*host, ui)?;
    only(loaded.ecosystem, &definition.only)
}

/// The apps of these names, of an ecosystem, or all without any.
///
/// # Errors
/// There is no such app.
pub(super) fn only(mut ecosystem: Ecosystem, names: &[String]) -> Result<Ecosystem, Error> {
    if names.is_empty() {
        return Ok(ecosystem);
    }
    let known: Vec<String> = ecosystem.apps.keys().map(ToString::to_string).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(Error::Unknown { selector: unknown.clone(), known });
    }
    ecosystem.apps.retain(|name, _| names.iter().any(|wanted| wanted == name.as_str()));
    Ok(ecosystem)
}

/// Resolves a definition by what `host` tells of the machine; warnings are printed.
///
/// # Errors
/// It has problems.
pub(super) fn resolve(
    definition: &Definition,
    shown: &str,
    host: &dyn Host,
    ui: &mut Ui,
) -> Result<Loaded, Error> {
    let color = if ui.err.color { Color::On } else { Color::Off };
    let Definition { text, source, base, env, .. } = definition;
    match crate::ecosystem::load(text, source.as_deref(), base, env.as_deref(), host) {
        Ok(loaded) => {
            if !loaded.warnings.is_empty() {
                let text = loaded.warnings.clone().shown_as(shown).render(color);
                ui.paragraph(text.trim_end());
            }
            Ok(loaded)
        }
        Err(problems) => Err(refused(problems, shown, ui)),
    }
}

/// The error that problems of a file are; programs get them as data besides.
pub(super) fn refused(problems: Problems, shown: &str, ui: &mut Ui) -> Error {
    let problems = problems.shown_as(shown);
    if ui.json
        && let Err(error) = ui.json_problems(problems.to_json())
    {
        return error;
    }
    Error::Config(problems)
}
