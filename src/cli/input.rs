//! Ecosystem files as the command line names them: where they are, their text, and what they mean
//! on this machine. It never looks at what runs, and changes nothing.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::Ui;
use super::context::machine;
use crate::disk::{Definition, Layout};
use crate::ecosystem::{Color, Ecosystem, Loaded};
use crate::error::Error;
use crate::host::{Machine, text};

/// Whether a word of the command line means an ecosystem file: an app's name has neither a slash
/// nor such an end.
pub fn is_file(word: &str) -> bool {
    word == "-" || word.contains('/') || word.ends_with(".toml")
}

/// The current folder as whoever calls knows it: through the links by which it was entered, since
/// a release folder behind a link is another one after the next deployment.
///
/// # Errors
/// It does not exist any more.
pub fn current_folder() -> Result<PathBuf, Error> {
    let real = std::env::current_dir()
        .map_err(|source| Error::File { path: "the current folder".to_owned(), source })?;
    let named = std::env::var_os("PWD").map(PathBuf::from).filter(|path| path.is_absolute());
    let same = |path: &PathBuf| {
        let plain = path.components().all(|part| part != Component::ParentDir);
        let id = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
        plain && id(path).is_some() && id(path) == id(&real)
    };
    Ok(named.filter(same).unwrap_or(real))
}

/// A path that starts from the current folder, without asking where links lead.
///
/// # Errors
/// The current folder does not exist any more.
pub fn absolute(path: &Path) -> Result<PathBuf, Error> {
    let failed = |source| Error::File { path: path.display().to_string(), source };
    if path.is_absolute() {
        return std::path::absolute(path).map_err(failed);
    }
    std::path::absolute(current_folder()?.join(path)).map_err(failed)
}

/// An ecosystem file's text, its absolute path, and the folder that relative paths in it start
/// from. Standard input (`-`) has no path unless it is given a name.
///
/// # Errors
/// The file cannot be read, or is no standard input though a name is given.
pub fn read_ecosystem(
    file: &Path,
    name: Option<&Path>,
) -> Result<(String, Option<PathBuf>, PathBuf), Error> {
    let failed = |source| Error::File { path: file.display().to_string(), source };
    let parent = |path: &Path| path.parent().unwrap_or(Path::new("/")).to_owned();
    if file == Path::new("-") {
        let name = name.map(absolute).transpose()?;
        let base = name.as_deref().map_or_else(current_folder, |name| Ok(parent(name)))?;
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        return Ok((text, name, base));
    }
    if name.is_some() {
        let text = "--as names standard input: clusterctl apply - --as PATH".to_owned();
        return Err(Error::Usage(text));
    }
    let path = absolute(file)?;
    let text = if is_descriptor(file) {
        std::fs::read_to_string(file)
    } else {
        text::read(file, text::MOST)
    };
    let text = text.map_err(failed)?;
    let base = parent(&path);
    Ok((text, Some(path), base))
}

/// What a shell makes of `<(command)`: a pipe of whoever calls, and nobody else's.
fn is_descriptor(file: &Path) -> bool {
    ["/dev/fd", "/dev/stdin", "/proc/self/fd"].iter().any(|place| file.starts_with(place))
}

/// Reads and resolves an ecosystem file; warnings are printed.
///
/// # Errors
/// The file cannot be read, or has problems.
pub fn load(file: &Path, env: Option<&str>, layout: &Layout, ui: &mut Ui) -> Result<Loaded, Error> {
    load_on(&machine(layout), file, env, ui)
}

/// The same for a file that is not put in force: what runs at this moment is no fault of it.
///
/// # Errors
/// The file cannot be read, or has problems.
pub fn check(
    file: &Path,
    env: Option<&str>,
    layout: &Layout,
    ui: &mut Ui,
) -> Result<Loaded, Error> {
    load_on(&machine(layout).only_checks(), file, env, ui)
}

fn load_on(host: &Machine, file: &Path, env: Option<&str>, ui: &mut Ui) -> Result<Loaded, Error> {
    let (text, source, base) = read_ecosystem(file, None)?;
    let definition =
        Definition { text, source, base, env: env.map(str::to_owned), only: Vec::new() };
    resolve(&definition, &file.display().to_string(), host, ui)
}

/// Resolves the text of an ecosystem file, as far as its apps are asked for; warnings are printed.
/// With `prune`, apps that are gone from the file will be removed, and what they hold is free.
///
/// # Errors
/// It has problems, or an app is asked for that it does not have.
pub fn load_text(
    definition: &Definition,
    shown: &str,
    layout: &Layout,
    prune: bool,
    ui: &mut Ui,
) -> Result<Ecosystem, Error> {
    let prune = prune && definition.only.is_empty();
    let loaded = resolve(definition, shown, &machine(layout).pruning(prune), ui)?;
    only(loaded.ecosystem, &definition.only)
}

fn only(mut ecosystem: Ecosystem, names: &[String]) -> Result<Ecosystem, Error> {
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

fn resolve(
    definition: &Definition,
    shown: &str,
    host: &Machine,
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
        Err(problems) => {
            let problems = problems.shown_as(shown);
            if ui.json {
                ui.json_problems(problems.to_json())?;
            }
            Err(Error::Config(problems.render(color).trim_end().to_owned()))
        }
    }
}
