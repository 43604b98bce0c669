//! `clusterctl init`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Site, Ui, import};
use crate::ecosystem::{Project, StartCommand, plain_name, port_in, starter};
use crate::error::Error;
use crate::host::text;
use crate::plan::shell_word;

/// Write a commented ecosystem file for the project in the current folder
///
/// Where a set-up of PM2 or another tool lies there, that is imported, as `clusterctl import` does.
/// An existing file is never overwritten.
#[derive(Debug, clap::Args)]
#[command(visible_alias = "ecosystem")]
pub(super) struct InitArgs {
    /// The file to write; `-` is standard output
    #[arg(default_value = "ecosystem.toml")]
    file: PathBuf,
}

/// Runs the verb.
pub(super) fn run(args: &InitArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    if import::has_setup(&place.inside(Path::new("."))) {
        return import::current_folder(&args.file, place, ui);
    }
    let text = starter(&project(&place.inside(Path::new("."))));
    if args.file == Path::new("-") {
        return ui.data(&text);
    }
    let failed = |source: std::io::Error| {
        let path = args.file.display().to_string();
        match source.kind() {
            std::io::ErrorKind::AlreadyExists => Error::Usage(format!(
                "{path} exists and is not overwritten; name another file: clusterctl init FILE"
            )),
            _ => Error::Io { doing: "write", path, source },
        }
    };
    let file = OpenOptions::new().write(true).create_new(true).open(place.inside(&args.file));
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)?;
    let file = args.file.display().to_string();
    ui.note(&format!("wrote {file}"));
    ui.note(&place.next(&shell_word(&file)));
    Ok(())
}

/// Bytes of a file of a project that are looked at.
const MOST: u64 = crate::limits::PROJECT_FILE;

/// Files that start a project, with the command that runs what is no script.
const ENTRIES: [(&str, &[&str]); 12] = [
    ("server.js", &[]),
    ("app.js", &[]),
    ("index.js", &[]),
    ("server.mjs", &[]),
    ("index.mjs", &[]),
    ("dist/server.js", &[]),
    ("dist/index.js", &[]),
    ("config.ru", &["bundle", "exec", "puma"]),
    ("manage.py", &["python3", "manage.py", "runserver", "0.0.0.0:8000"]),
    ("main.py", &[]),
    ("app.py", &[]),
    ("server.py", &[]),
];

fn project(dir: &Path) -> Project {
    let read = |name: &str| text::read(&dir.join(name), MOST).ok();
    let package: Option<serde_json::Value> =
        read("package.json").and_then(|text| serde_json::from_str(&text).ok());
    let text = |path: &str| package.as_ref()?.pointer(path)?.as_str().map(str::to_owned);
    let main = text("/main").filter(|main| dir.join(main).is_file());
    let entry = ENTRIES.iter().find(|(name, _)| dir.join(name).is_file());
    let start = match (main, text("/scripts/start"), entry) {
        (Some(main), _, _) => StartCommand::Script(main),
        (None, _, Some((name, []))) => StartCommand::Script((*name).to_owned()),
        (None, Some(_), _) => StartCommand::Command(vec!["npm".into(), "start".into()]),
        (None, None, Some((_, command))) => {
            StartCommand::Command(command.iter().map(|word| (*word).to_owned()).collect())
        }
        (None, None, None) => StartCommand::Unknown,
    };
    let source = match &start {
        StartCommand::Script(script) => read(script),
        StartCommand::Command(words) => Some(words.join(" ")),
        StartCommand::Line(line) => Some(line.clone()),
        StartCommand::Unknown => None,
    };
    let folder = std::path::absolute(dir).ok();
    let folder = folder.as_deref().and_then(Path::file_name);
    let name = text("/name").or_else(|| folder.map(|name| name.to_string_lossy().into_owned()));
    let name = plain_name(&name.unwrap_or_default());
    Project { name, start, port: source.as_deref().and_then(port_in) }
}

/// The name in a folder's package.json.
pub(super) fn package(folder: &Path) -> Option<String> {
    let text = text::read(&folder.join("package.json"), MOST).ok()?;
    let package: serde_json::Value = serde_json::from_str(&text).ok()?;
    // `@scope/name` is called by its name.
    Some(package.get("name")?.as_str()?.rsplit('/').next()?.to_owned())
}
